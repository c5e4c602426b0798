//! `make demo`: an administrator's day on a simulated host, with the real plugin, hook and vgpu-admin.

use std::io::IsTerminal;
use std::process::Command;

use vgpu_tests::{Dom0, programs};

const WEB: &str = "cda8bcd3-f410-bd1f-3688-8c308ff28e90";
const RENDER: &str = "7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48";
const DB: &str = "19e0b7d4-63fa-4a0c-8d1e-5b7c9f2e6a31";

fn main() {
    let demo = Demo::new();
    demo.register();
    demo.start();
    demo.change();
    demo.copy();
    demo.look_back();
    say("That was it. The scratch folder and the simulated host are gone when this ends.");
}

fn say(text: &str) {
    println!("{text}");
}

struct Demo {
    dom0: Dom0,
    colour: bool,
}

impl Demo {
    fn new() -> Self {
        let dom0 = Dom0::new();
        let xe = dom0.root.path("usr/bin/xe");
        std::fs::copy(programs::folder().join("xe"), xe).unwrap();
        let demo = Self { dom0, colour: std::io::stdout().is_terminal() };
        demo.title("A simulated XCP-ng host with three VMs");
        for (uuid, name) in [(WEB, "web01"), (RENDER, "render"), (DB, "db01")] {
            demo.dom0.create_vm_with_uuid(uuid, name);
        }
        demo.run("xe vm-list is-control-domain=false params=uuid,name-label,power-state");
        demo
    }

    fn register(&self) {
        self.title("Three ways to give a VM its vGPU settings");
        say("Through XAPI, as Xen Orchestra or a script would, from any host of the pool:");
        let host = self.dom0.host_uuid().to_owned();
        self.run(&format!(
            "xe host-call-plugin host-uuid={host} plugin=vgpu fn=register_vm args:vm_uuid={WEB} args:pool=A args:priority=high"
        ));
        say("On the command line of dom0:");
        self.run(&format!("vgpu-admin register-vm --vm-uuid={RENDER} --pool=B --priority=medium"));
        say("By hand, in the database:");
        let insert = format!("INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES ('{DB}', 'db01', 'A', 0)");
        self.run(&format!("sqlite3 /etc/vgpu/vgpu_config.db \"{insert}\""));
    }

    fn start(&self) {
        self.title("Start them: this very boot has its arguments");
        for (uuid, name) in [(WEB, "web01"), (RENDER, "render"), (DB, "db01")] {
            self.run(&format!("xe vm-start uuid={uuid}"));
            self.show_qemu(uuid, name);
        }
        say(
            "XAPI did not know of db01's row. The vm-pre-start hook saw it and repaired that boot, and XAPI for the next:",
        );
        self.show_log();
    }

    fn change(&self) {
        self.title("Change one while it runs, then reboot it from inside");
        self.run(&format!("vgpu-admin update-vm --vm-uuid={WEB} --pool=B --priority=low"));
        self.show_qemu(WEB, "web01");
        say("web01's guest reboots:");
        self.dom0.reboot_from_inside(WEB);
        self.show_qemu(WEB, "web01");
        self.run("vgpu-admin list-vms");
        self.run("vgpu-admin list-pools");
    }

    fn copy(&self) {
        self.title("A clone does not take its origin's GPU share along");
        self.run(&format!("xe vm-shutdown uuid={RENDER}"));
        let clone = self.run(&format!("xe vm-clone uuid={RENDER} new-name-label=render-copy"));
        self.run(&format!("xe vm-start uuid={clone}"));
        self.show_qemu(&clone, "render-copy");
        say(
            "It is no one's vGPU until somebody registers it. (unregistered = \"inherit\" in vgpu.toml does so by itself.)",
        );
    }

    fn look_back(&self) {
        self.title("What is configured, and what the last start really got");
        self.run(&format!("vgpu-admin show-vm --vm-uuid={WEB}"));
        self.run("vgpu-admin status");
    }

    fn title(&self, text: &str) {
        println!("\n{}\n", self.bold(&format!("── {text} ──")));
    }

    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Shows a command as it is typed in dom0, and runs it below the scratch root.
    fn run(&self, line: &str) -> String {
        println!("{}", self.bold(&format!("# {line}")));
        let root = self.dom0.root.folder();
        let below_root = line.replace(" /etc/", &format!(" {}/etc/", root.display()));
        let path = format!("{}/usr/bin:{}", root.display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new("sh").args(["-c", &below_root]).env("PATH", path).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).replace(&root.display().to_string(), "");
        assert!(output.status.success(), "{line}: {text}");
        let text = text.trim_end();
        if !text.is_empty() {
            println!("{text}");
        }
        println!();
        text.to_owned()
    }

    fn show_qemu(&self, uuid: &str, name: &str) {
        let boots = self.dom0.boots(uuid);
        let args = boots.last().and_then(|boot| boot.device_model_args.as_deref());
        println!("  QEMU of {name}: {}\n", self.bold(args.unwrap_or("(no vGPU)")));
    }

    fn show_log(&self) {
        for line in self.dom0.hook_log() {
            let from = line.find("vgpu-hook").unwrap_or_default();
            println!("  {}", &line[from..]);
        }
    }
}
