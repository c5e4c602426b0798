//! Starts and reboots, and whether QEMU got what it should.

use simulated_host::{ApiError, Boot, Exit};
use vgpu_config::model::VmUuid;

use super::args;
use super::ledger::Told;
use super::world::World;

impl World<'_> {
    /// Starts a VM, or lets one that runs reboot from inside; what comes of it has to be right where the hook says so.
    /// `cut` says that XAPI goes away on the way. The answer is an error of XAPI's, which is none of ours, or of the VM's arguments.
    pub fn boot(&mut self, host: usize, vm: &VmUuid, reboot: bool, cut: bool) -> Result<Result<(), ApiError>, String> {
        let uuid = vm.to_string();
        let has_xapi = !cut && self.has_xapi(host);
        let expected = self.ledger.newest(host, vm);
        let booted = if reboot { self.host(host).guest_reboot(&uuid) } else { self.host(host).vm_start(&uuid) };
        let met_xapi = has_xapi && booted.as_ref().is_ok_and(hook_is_content);
        self.observe(host, &Told { met_xapi, acknowledged: Vec::new() })?;
        let boot = match booted {
            Ok(boot) if met_xapi => boot,
            other => return Ok(other.map(drop)),
        };
        let now = self.ledger.hosts[host].says.get(vm).and_then(|said| said.settings);
        if now != expected.and_then(|expected| expected.settings) {
            return Err(format!("{vm} started on host {host}, which says {now:?}, but the newest was {expected:?}"));
        }
        self.check_boot(host, vm, boot.device_model_args.as_deref())?;
        Ok(Ok(()))
    }

    /// Whether a VM's arguments are what a host's database wants: one argument with its settings, or none of another's.
    pub fn check_boot(&self, host: usize, vm: &VmUuid, args: Option<&str>) -> Result<(), String> {
        let rows = self.rows(host);
        let found = args::all(args);
        let fail = |what: &str| Err(format!("{vm} has {what} on host {host}: {args:?}; its rows: {rows:?}"));
        match rows.get(vm) {
            Some((said, number)) if said.settings.is_some() => match found.as_slice() {
                [one] if one.settings == said.settings && one.number == *number => Ok(()),
                _ => fail("not its argument"),
            },
            // A number belongs to the VM that had it last, also after its removal: this one's own, too.
            _ => {
                let is_somebodys = |number| rows.values().any(|(_, other)| number == *other);
                if found.iter().any(|one| one.number.is_some() && is_somebodys(one.number)) {
                    return fail("somebody's argument");
                }
                Ok(())
            }
        }
    }
}

/// Whether the hook found nothing to complain of: it was in time, then, and has asked whoever there was.
fn hook_is_content(boot: &Boot) -> bool {
    boot.hook_runs.iter().any(|run| run.script == "50vgpu" && run.exit == Exit::Code(0))
}
