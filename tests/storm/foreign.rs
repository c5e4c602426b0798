//! What is not ours in the VMs' arguments: no program of ours loses a byte of it, cut off or not.

use std::collections::{BTreeMap, BTreeSet};

use vgpu_config::model::VmUuid;

use super::args;
use super::world::World;

/// Where a program of ours keeps a VM's arguments while it changes them.
const PUT_ASIDE: &str = "vgpu:device-model-args";

/// What is not ours in the VMs' arguments.
#[derive(Debug, Default)]
pub struct Foreign {
    /// Of each VM, as XAPI had it when somebody else last wrote it.
    wanted: BTreeMap<VmUuid, String>,
    /// What it ever was.
    was: BTreeMap<VmUuid, BTreeSet<String>>,
    /// How often it was found to be there, where there is any.
    pub compared: u64,
}

impl World<'_> {
    /// Notes what is not ours, after somebody else has written arguments, or XAPI has gone to another state.
    pub fn note_foreign(&mut self) {
        self.foreign.wanted = self.living().into_iter().map(|vm| (vm, self.foreign_in_xapi(&vm))).collect();
        for (vm, wanted) in &self.foreign.wanted {
            self.foreign.was.entry(*vm).or_default().insert(wanted.clone());
        }
    }

    /// After a program of ours: all of it is in the platform, or put aside where one was cut off.
    pub fn check_foreign(&mut self) -> Result<(), String> {
        for vm in self.living() {
            let found = self.foreign_in_xapi(&vm);
            self.compare_foreign(&vm, &found, "XAPI")?;
        }
        Ok(())
    }

    /// Once nothing is in the way: all of it is in the platform, and nothing is put aside any more.
    pub fn check_foreign_in_platform(&mut self, vm: &VmUuid) -> Result<(), String> {
        if let Some(aside) = self.put_aside(vm) {
            return Err(format!("{vm} still has {aside:?} put aside"));
        }
        let found = args::foreign(self.args_in_xapi(vm).as_deref());
        self.compare_foreign(vm, &found, "the platform")
    }

    /// All of it is in what QEMU got. A reboot is not made from XAPI's record: it may also get what xenopsd had, which is what
    /// it was before somebody has written it.
    pub fn check_foreign_of_boot(
        &mut self,
        vm: &VmUuid,
        got: Option<&str>,
        in_xenopsd: Option<&str>,
    ) -> Result<(), String> {
        let found = args::foreign(got);
        if in_xenopsd == Some(found.as_str()) && self.foreign.was[vm].contains(&found) {
            return Ok(());
        }
        self.compare_foreign(vm, &found, "QEMU")
    }

    fn compare_foreign(&mut self, vm: &VmUuid, found: &str, place: &str) -> Result<(), String> {
        let wanted = &self.foreign.wanted[vm];
        if found != wanted {
            let (platform, aside) = (self.args_in_xapi(vm), self.put_aside(vm));
            return Err(format!(
                "{vm} had {wanted:?} beside our argument, {place} has {found:?}; platform {platform:?}, put aside {aside:?}"
            ));
        }
        self.foreign.compared += u64::from(!wanted.is_empty());
        Ok(())
    }

    fn foreign_in_xapi(&self, vm: &VmUuid) -> String {
        args::foreign(self.args_in_xapi(vm).or_else(|| self.put_aside(vm)).as_deref())
    }

    fn put_aside(&self, vm: &VmUuid) -> Option<String> {
        self.pool.coordinator().other_config(&vm.to_string()).get(PUT_ASIDE).cloned()
    }
}
