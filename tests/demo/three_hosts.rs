//! The second act: three hosts in one resource pool, and a VM that moves.

use simulated_host::Outage;
use vgpu_tests::ResourcePool;

use crate::stage::Stage;

const VM: &str = "5b0a6f0e-2c51-4d0b-8a57-3d8e1f6c9b24";
const NAME: &str = "cad01";

/// An administrator's day in a resource pool.
pub struct ThreeHosts<'a> {
    stage: &'a Stage,
    pool: ResourcePool,
}

impl<'a> ThreeHosts<'a> {
    pub fn play(stage: &'a Stage) {
        let pool = ResourcePool::stock(3);
        for host in 0..3 {
            Stage::install_xe(pool.on(host).root);
        }
        let act = Self { stage, pool };
        act.enable();
        act.start_elsewhere();
        act.change_from_a_third();
        act.lose_the_coordinator();
        act.look_after_all();
    }

    fn enable(&self) {
        self.stage.title("Three hosts in one resource pool: enable the qemu-wrapper on each");
        for host in 0..3 {
            self.run(host, "vgpu-admin qemu-wrapper enable --restart-toolstack");
        }
    }

    fn start_elsewhere(&self) {
        self.stage.title("Registered on the first, started on the second");
        self.pool.host(0).create_vm_with_uuid(VM, NAME);
        self.run(0, &format!("vgpu-admin register-vm --vm-uuid={VM} --pool=A --priority=medium"));
        self.run(1, "vgpu-admin list-vms");
        Stage::say("The second host has it from XAPI, which it asks again before it starts the VM:\n");
        self.run(1, &format!("xe vm-start uuid={VM} on=xcp-ng-2"));
        self.show_qemu(1);
        self.run(1, "vgpu-admin list-vms");
    }

    fn change_from_a_third(&self) {
        self.stage.title("Changed on the third host, moved there while it runs, and rebooted by its guest");
        self.run(2, &format!("vgpu-admin update-vm --vm-uuid={VM} --pool=B --priority=high"));
        self.run(2, &format!("xe vm-migrate uuid={VM} host=xcp-ng-3"));
        Stage::say("A migration carries the running QEMU's argument along:");
        self.show_qemu(2);
        Stage::say("Its guest reboots:");
        self.pool.on(2).reboot_from_inside(VM);
        self.show_qemu(2);
    }

    fn lose_the_coordinator(&self) {
        self.stage.title("The coordinator is lost, and the guest reboots all the same");
        self.pool.lose_coordinator(Outage::emergency("HOST_STILL_BOOTING", &[]));
        self.pool.on(2).reboot_from_inside(VM);
        self.show_qemu(2);
        let log = self.pool.host(2).syslog_lines();
        let line = log.iter().rev().find(|line| line.contains("vgpu-hook")).cloned().unwrap_or_default();
        Stage::say(&format!("  {}\n", &line[line.find("vgpu-hook").unwrap_or_default()..]));
        self.pool.restore_coordinator();
    }

    fn look_after_all(&self) {
        self.stage.title("It is back: one host looks after all");
        self.run(0, "vgpu-admin scan-vms");
        self.run(0, &format!("vgpu-admin set-priority --vm-uuid={VM} --priority=low"));
        self.run(0, "vgpu-admin apply --pending --yes");
        self.show_qemu(2);
        self.run(0, "vgpu-admin status");
        self.run(0, "vgpu-admin --host=xcp-ng-3 history");
    }

    fn run(&self, host: usize, line: &str) {
        self.stage.run(self.pool.on(host).root, &format!("[xcp-ng-{}]", host + 1), line);
    }

    /// The vGPU of the VM's QEMU, on the host where it runs.
    fn show_qemu(&self, host: usize) {
        self.stage.qemu(&format!("{NAME} on xcp-ng-{}", host + 1), self.pool.host(host).qemu(VM).as_ref());
    }
}
