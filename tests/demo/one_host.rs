//! The first act: one host, three VMs.

use simulated_host::Release;
use vgpu_tests::Dom0;

use crate::stage::Stage;

const WEB: &str = "cda8bcd3-f410-bd1f-3688-8c308ff28e90";
const RENDER: &str = "7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48";
const DB: &str = "19e0b7d4-63fa-4a0c-8d1e-5b7c9f2e6a31";

/// An administrator's day on one host.
pub struct OneHost<'a> {
    stage: &'a Stage,
    dom0: Dom0,
}

impl<'a> OneHost<'a> {
    pub fn play(stage: &'a Stage) {
        let act = Self::new(stage);
        act.register();
        act.enable();
        act.start();
        act.change();
        act.copy();
        act.look_back();
    }

    fn new(stage: &'a Stage) -> Self {
        let dom0 = Dom0::stock(Release::V8_3);
        Stage::install_xe(&dom0.root);
        let demo = Self { stage, dom0 };
        demo.stage.title("A simulated stock XCP-ng host with three VMs");
        for (uuid, name) in [(WEB, "web01"), (RENDER, "render"), (DB, "db01")] {
            demo.dom0.create_vm_with_uuid(uuid, name);
        }
        demo.run("xe vm-list is-control-domain=false params=uuid,name-label,power-state");
        demo
    }

    fn register(&self) {
        self.stage.title("Three ways to give a VM its vGPU settings");
        Stage::say("Through XAPI, as Xen Orchestra or a script would, from any host of the pool:");
        let host = self.dom0.host_uuid().to_owned();
        self.run(&format!(
            "xe host-call-plugin host-uuid={host} plugin=vgpu fn=register_vm args:vm_uuid={WEB} args:pool=A args:priority=high"
        ));
        Stage::say("On the command line of dom0:");
        self.run(&format!("vgpu-admin register-vm --vm-uuid={RENDER} --pool=B --priority=medium"));
        Stage::say("By hand, in the database:");
        let insert = format!("INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES ('{DB}', 'db01', 'A', 0)");
        self.run(&format!("sqlite3 /etc/vgpu/vgpu_config.db \"{insert}\""));
    }

    fn enable(&self) {
        self.stage.title(
            "A stock XCP-ng does not pass the vGPU to QEMU: vgpu-config's qemu-wrapper does, once it is enabled",
        );
        self.run(&format!("xe vm-start uuid={WEB}"));
        self.show_qemu(WEB, "web01");
        self.run(&format!("xe vm-shutdown uuid={WEB}"));
        self.run("vgpu-admin qemu-wrapper enable");
        self.run("vgpu-admin qemu-wrapper enable --restart-toolstack");
    }

    fn start(&self) {
        self.stage.title("Start them: this very boot has its arguments");
        for (uuid, name) in [(WEB, "web01"), (RENDER, "render"), (DB, "db01")] {
            self.run(&format!("xe vm-start uuid={uuid}"));
            self.show_qemu(uuid, name);
        }
        let pid = self.dom0.qemu(WEB).map(|qemu| qemu.pid).unwrap_or_default();
        Stage::say("The whole command line of web01's QEMU, from /proc:");
        self.run(&format!("tr '\\0' ' ' </proc/{pid}/cmdline"));
        Stage::say(
            "XAPI did not know of db01's row. The vm-pre-start hook saw it and repaired that boot, and XAPI for the next:",
        );
        self.show_log();
    }

    fn change(&self) {
        self.stage.title("Change one while it runs, then reboot it from inside");
        self.run(&format!("vgpu-admin update-vm --vm-uuid={WEB} --pool=B --priority=low"));
        self.show_qemu(WEB, "web01");
        Stage::say("web01's guest reboots:");
        self.dom0.reboot_from_inside(WEB);
        self.show_qemu(WEB, "web01");
        self.run("vgpu-admin list-vms");
        self.run("vgpu-admin list-pools");
    }

    fn copy(&self) {
        self.stage.title("A clone does not take its origin's GPU share along");
        self.run(&format!("xe vm-shutdown uuid={RENDER}"));
        let clone = self.run(&format!("xe vm-clone uuid={RENDER} new-name-label=render-copy"));
        self.run(&format!("xe vm-start uuid={clone}"));
        self.show_qemu(&clone, "render-copy");
        Stage::say(
            "It is no one's vGPU until somebody registers it. (unregistered = \"inherit\" in vgpu.toml does so by itself.)",
        );
    }

    fn look_back(&self) {
        self.stage.title("What is configured, what its QEMU has, and every link between them");
        self.run(&format!("vgpu-admin show-vm --vm-uuid={WEB}"));
        self.run("vgpu-admin check --vm-name=web01");
        self.run("vgpu-admin status");
    }

    fn run(&self, line: &str) -> String {
        self.stage.run(&self.dom0.root, "", line)
    }

    fn show_qemu(&self, uuid: &str, name: &str) {
        self.stage.qemu(name, self.dom0.qemu(uuid).as_ref());
    }

    fn show_log(&self) {
        for line in self.dom0.hook_log() {
            let from = line.find("vgpu-hook").unwrap_or_default();
            Stage::say(&format!("  {}", &line[from..]));
        }
    }
}
