//! What is measured: hosts with many VMs, and the programs on them.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use vgpu_bench::{fill, shared, vm};
use vgpu_tests::root::Ran;
use vgpu_tests::{Dom0, ScratchRoot, programs};

use crate::measure::Program;

/// A script that lets a start wait before our hook, until whoever has opened the gate closes it.
const GATE: &str = "#!/bin/sh\nread -r _ <\"${0%/etc/*}/gate\"\nexit 0\n";

/// Where XCP-ng's own qemu-wrapper is.
const STOCK_WRAPPER: &str = "usr/lib64/xen/bin/qemu-wrapper";

/// A host with VMs in its database, the first of which XAPI knows.
pub struct Stage {
    dom0: Dom0,
    vm: String,
    python: String,
}

impl Stage {
    /// A host with so many VMs.
    pub fn new(vms: u32) -> Self {
        let dom0 = Dom0::new();
        fill(&dom0.root.database(), vms).expect("the database can be filled");
        Self::with_programs(dom0, 1)
    }

    /// A host with the same VMs as another, of which XAPI carries the settings of so many.
    pub fn like(other: &Self, carried: u32) -> Self {
        let dom0 = Dom0::new();
        fs::copy(other.dom0.root.database(), dom0.root.database()).expect("the database can be copied");
        Self::with_programs(dom0, carried)
    }

    fn with_programs(dom0: Dom0, carried: u32) -> Self {
        let stage = Self { dom0, vm: vm(0).to_string(), python: python() };
        let Self { dom0, vm, .. } = &stage;
        let database = dom0.root.database();
        for (key, value) in shared(&database, carried).expect("the database can be read") {
            dom0.set_pool_other_config(&key, Some(&value));
        }
        dom0.create_vm_with_uuid(vm, "web0");
        dom0.set_args_in_xapi(vm, dom0.argument(vm).as_deref());
        for (from, to) in [("plugin.py", "etc/xapi.d/plugins/vgpu.py"), ("hook.sh", "etc/xapi.d/script/50vgpu")] {
            let content = fs::read(programs::workspace().join("benches").join(from)).expect("it is in the source");
            dom0.root.write(to, content);
        }
        fs::copy(programs::folder().join("xe"), dom0.root.path("usr/bin/xe")).expect("xe can be installed");
        dom0.root.write("var/log/vgpu-vm-startup.log", "");
        dom0.root.write("etc/xapi.d/vm-pre-start/00gate", GATE);
        dom0.root.chmod("etc/xapi.d/vm-pre-start/00gate", 0o755);
        let made = Ran::of(Command::new("mkfifo").arg(dom0.root.path("gate")));
        assert_eq!(made.code, Some(0), "{made:?}");
        stage
    }

    fn path(&self, below: &str) -> String {
        self.dom0.root.path(below).display().to_string()
    }

    /// The plugin, called as XAPI calls it.
    pub fn plugin(&self, function: &str) -> Program {
        Program::new([self.path("etc/xapi.d/plugins/vgpu"), self.call(function)])
    }

    /// The same in Python.
    pub fn python(&self, function: &str) -> Program {
        Program::new([self.python.clone(), self.path("etc/xapi.d/plugins/vgpu.py"), self.call(function)])
    }

    /// The least that it could be.
    pub fn floor(&self) -> Program {
        let floor = programs::folder().join("floor").display().to_string();
        Program::new([floor, self.path("etc/vgpu/vgpu_config.db"), self.call("show_vm")])
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.dom0.root.database()
    }

    fn call(&self, function: &str) -> String {
        let argument = format!("<member><name>vm_uuid</name><value>{}</value></member>", self.vm);
        let members = if function == "show_vm" { &argument } else { "" };
        format!(
            "<methodCall><methodName>{function}</methodName><params><param><value>OpaqueRef:session</value></param><param>\
             <value><struct>{members}</struct></value></param></params></methodCall>"
        )
    }

    /// The hook, called as xenopsd calls it.
    pub fn hook(&self) -> Program {
        self.before_start("etc/xapi.d/vm-pre-start/50vgpu")
    }

    /// The hook that people write.
    pub fn script(&self) -> Program {
        self.before_start("etc/xapi.d/script/50vgpu")
    }

    fn before_start(&self, script: &str) -> Program {
        Program::new(["sh", &self.path(script), "-vmuuid", &self.vm, "-reason", "none"])
    }

    /// The hook was measured where nothing was left to do, as before nearly every start.
    pub fn assert_nothing_was_left_to_do(&self) {
        let log = self.dom0.hook_log();
        let line = log.last().expect("the hook has logged");
        assert!(line.contains("changed=nothing"), "{line}");
    }

    /// The settings of all its VMs as a file.
    pub fn export(&self) -> String {
        self.dom0.root.admin_ok(&["export"])
    }
}

/// An import of a file into a database that is not there.
pub fn import(root: &ScratchRoot, file: &str) -> Program {
    root.write("vms.toml", file);
    let path = |below: &str| root.path(below).display().to_string();
    let import = Program::new([path("usr/bin/vgpu-admin"), "import".to_owned(), path("vms.toml")]);
    Program { before: Some(vec!["rm".to_owned(), "-f".to_owned(), path("etc/vgpu/vgpu_config.db")]), ..import }
}

/// A host on which xenstore has a domain's arguments and the stock qemu-wrapper does nothing.
pub struct WrapperStage(ScratchRoot);

impl WrapperStage {
    /// The stock qemu-wrapper is a shell script, and xenstore-read the simulated host's.
    pub fn new() -> Self {
        let root = ScratchRoot::new();
        root.write(STOCK_WRAPPER, "");
        root.replace_program(STOCK_WRAPPER, "#!/bin/sh\nexit 0\n");
        root.write("usr/bin/xenstore-read", "");
        fs::copy(programs::folder().join("dom0-program"), root.path("usr/bin/xenstore-read"))
            .expect("it can be installed");
        root.chmod("usr/bin/xenstore-read", 0o755);
        let argument = "-device vgpu-stub,pool_id=A,priority=high,vm_id=7";
        root.write("var/run/simulated-host/xenstore/local/domain/5/platform/device-model-args/.value", argument);
        Self(root)
    }

    /// Our qemu-wrapper, started as xenopsd does.
    pub fn ours(&self) -> Program {
        self.started("usr/libexec/vgpu/qemu-wrapper")
    }

    /// The stock one alone.
    pub fn stock(&self) -> Program {
        self.started(STOCK_WRAPPER)
    }

    fn started(&self, wrapper: &str) -> Program {
        Program::new([&self.0.path(wrapper).display().to_string(), "5", "--syslog", "-std-vga", "-xen-domid", "5"])
    }
}

/// Measures while the VMs of hosts are about to boot: each start waits before our hook.
pub fn while_starting<T>(stages: &[&Stage], measure: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let mut gates = Vec::new();
        for Stage { dom0, vm, .. } in stages {
            scope.spawn(|| dom0.vm_start(vm).expect("the VM starts"));
            // It is open once the other side is, which is the start.
            gates.push(File::options().write(true).open(dom0.root.path("gate")).expect("the gate can be opened"));
        }
        measure()
    })
}

/// The interpreter itself: what is found first may be a script around it.
fn python() -> String {
    let ran = Ran::of(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]));
    ran.stdout.trim_end().to_owned()
}
