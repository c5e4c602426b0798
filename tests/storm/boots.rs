//! Starts and reboots, and whether QEMU got what it should.

use simulated_host::{ApiError, Boot, Exit, Service};
use vgpu_config::model::VmUuid;

use super::args;
use super::ledger::{Said, Told};
use super::step::Rebooter;
use super::world::{ARGS, World};

/// How a VM comes to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootKind {
    /// XAPI starts it.
    Start,
    /// It reboots.
    Reboot(Rebooter),
}

/// What a VM's last boot got, and what there was then.
#[derive(Debug, Clone, PartialEq)]
pub struct LastBoot {
    host: usize,
    args: Option<String>,
    /// What the host's database said after it.
    said: Option<Said>,
}

impl World<'_> {
    /// Starts or reboots a VM; what comes of it has to be right where the hook says so, and where it can know what is.
    /// `cut` says that XAPI goes away on the way. The answer is an error of XAPI's, which is none of ours, or of the VM's arguments.
    pub fn boot(
        &mut self,
        host: usize,
        vm: &VmUuid,
        kind: BootKind,
        cut: bool,
    ) -> Result<Result<(), ApiError>, String> {
        let uuid = vm.to_string();
        let has_xapi = !cut && self.has_xapi(host);
        let (expected, is_certain) = (self.ledger.newest(host, vm), self.ledger.is_certain(host, vm));
        let can_know = !cut && self.can_know_without_xapi(host, vm);
        let in_xenopsd = args::foreign(self.host(host).xenopsd_metadata(&uuid)["platformdata"][ARGS].as_str());
        let booted = match kind {
            BootKind::Start => self.host(host).vm_start(&uuid),
            BootKind::Reboot(Rebooter::Guest) => self.host(host).guest_reboot(&uuid),
            BootKind::Reboot(Rebooter::Xapi) if !has_xapi => return Ok(Err(ApiError::new("HOST_OFFLINE", &[]))),
            BootKind::Reboot(Rebooter::Xapi) => self.host(host).clean_reboot(&uuid),
        };
        let met_xapi = has_xapi && booted.as_ref().is_ok_and(hook_is_content);
        self.observe(host, &Told { met_xapi, acknowledged: Vec::new(), ..Told::default() })?;
        let boot = match booted {
            Ok(boot) => boot,
            Err(error) => return Ok(Err(error)),
        };
        let args = boot.device_model_args;
        let said = self.ledger.hosts[host].says.get(vm).copied();
        self.last_boots.insert(*vm, LastBoot { host, args: args.clone(), said });
        let now = said.and_then(|said| said.settings);
        if met_xapi && is_certain && now != expected.and_then(|expected| expected.settings) {
            return Err(format!("{vm} started on host {host}, which says {now:?}, but the newest was {expected:?}"));
        }
        if met_xapi || can_know {
            self.check_boot(host, vm, args.as_deref())?;
        }
        if met_xapi {
            let in_xenopsd = (kind != BootKind::Start).then_some(in_xenopsd.as_str());
            self.check_foreign_of_boot(vm, args.as_deref(), in_xenopsd)?;
        }
        Ok(Ok(()))
    }

    /// Whether a boot has to get what the host's database says although XAPI cannot be asked: XAPI was not told of it, or it
    /// was changed since the VM's last boot on this host and xapi has passed nothing on since.
    fn can_know_without_xapi(&self, host: usize, vm: &VmUuid) -> bool {
        if matches!(self.broken[host], Some(Service::MessageSwitch | Service::Xenopsd)) {
            return false;
        }
        let metadata = self.host(host).xenopsd_metadata(&vm.to_string());
        let args = metadata["platformdata"][ARGS].as_str();
        let said = self.ledger.hosts[host].says.get(vm).copied();
        let nothing_was_passed_on = |boot: &LastBoot| {
            boot.host == host
                && boot.args.as_deref() == args
                && said > boot.said
                && said >= self.ledger.newest(host, vm)
        };
        self.has_untold_change(host, vm) || self.last_boots.get(vm).is_some_and(nothing_was_passed_on)
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
