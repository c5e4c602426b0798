//! The links of one VM's chain.

use super::one_vm::Seen;
use crate::deadline::Deadline;
use crate::device_args::{self, PLATFORM_KEY};
use crate::entry::Entry;
use crate::model::{VmSettings, VmUuid};
use crate::operations::boot;
use crate::operations::device_model::{qemu_knows_device, wrapper_passes_arguments};
use crate::operations::guests::kind_without_qemu;
use crate::paths::Root;
use crate::qemu::{Qemus, RunsWith};
use crate::reply::{Link, LinkReply};
use crate::settings::Settings;
use crate::shared_copy::Comparison;
use crate::store::StoreError;
use crate::xenapi::VmRecord;
use crate::xenopsd::Xenopsd;

const NOT_KNOWN: &str = "not known";

/// A VM, with the settings that it is to have.
pub(super) struct Chain<'a> {
    pub root: &'a Root,
    pub settings: &'a Settings,
    pub vm_uuid: VmUuid,
    pub wanted: Option<VmSettings>,
    /// `None` if XAPI does not know the VM, or is away.
    pub record: Option<&'a VmRecord>,
    /// Set if it runs on another host: why that could not be asked.
    pub elsewhere: Option<&'a str>,
}

impl Chain<'_> {
    pub fn database(&self, stored: &Result<Option<Entry>, StoreError>, seen: Option<&Seen>) -> LinkReply {
        let entry = match stored {
            Ok(entry) => entry.as_ref(),
            Err(error) => return broken(Link::Database, NOT_KNOWN, error.to_string()),
        };
        let value = entry_in_words(entry);
        match seen.map(|seen| seen.shared.compare(&self.vm_uuid, entry)) {
            Some(Comparison::CopyIsNewer(_)) => {
                let note = "another host has a newer change, which is taken over at the VM's next start or by 'vgpu-admin sync'";
                right(Link::Database, format!("{value}; {note}"))
            }
            _ => right(Link::Database, value),
        }
    }

    pub fn shared_copy(&self, entry: Option<&Entry>, seen: Option<&Seen>, away: Option<&str>) -> LinkReply {
        let Some(seen) = seen else { return broken(Link::SharedCopy, NOT_KNOWN, away.unwrap_or_default().to_owned()) };
        let value = entry_in_words(seen.shared.entry(&self.vm_uuid).as_ref());
        match seen.shared.compare(&self.vm_uuid, entry) {
            Comparison::NotForUs(error) => broken(Link::SharedCopy, NOT_KNOWN, format!("its entry {error}")),
            Comparison::HostIsNewer => {
                let why = "the last change was made on this host, and no other host has it: run 'vgpu-admin sync'";
                broken(Link::SharedCopy, value, why.to_owned())
            }
            Comparison::Same | Comparison::CopyIsNewer(_) => right(Link::SharedCopy, value),
        }
    }

    pub fn xapi(&self, away: Option<&str>) -> LinkReply {
        let Some(record) = self.record else {
            let unknown =
                "XAPI does not know the VM: see 'xe vm-list', or remove its settings with 'vgpu-admin remove-vm'";
            return broken(Link::Xapi, NOT_KNOWN, away.unwrap_or(unknown).to_owned());
        };
        let remedy = "it is corrected at the VM's next start, or by 'vgpu-admin sync'";
        self.arguments(Link::Xapi, record.args(), &format!("platform:{PLATFORM_KEY} is different: {remedy}"))
    }

    pub fn xenopsd(&self) -> LinkReply {
        if let Some(why) = self.elsewhere {
            return broken(Link::Xenopsd, NOT_KNOWN, why.to_owned());
        }
        let until = Deadline::after(super::XENOPSD_TIMEOUT);
        let asked = Xenopsd::connect(&self.root.message_switch_socket(), until)
            .and_then(|mut xenopsd| xenopsd.stat(&self.vm_uuid));
        match asked {
            Err(error) => broken(
                Link::Xenopsd,
                NOT_KNOWN,
                format!("{error}: run xe-toolstack-restart (running VMs keep running)"),
            ),
            Ok(None) => right(Link::Xenopsd, "nothing, because the VM is not running here"),
            Ok(Some(metadata)) => {
                let why = "xenopsd would boot it with this: the hook corrects it at the VM's next start or reboot";
                self.arguments(Link::Xenopsd, metadata.platform(PLATFORM_KEY), why)
            }
        }
    }

    /// The program, and what this boot was given.
    pub fn qemu_wrapper(&self) -> LinkReply {
        if let Some(kind) = self.kind_without_qemu() {
            return right(Link::QemuWrapper, format!("not used: a {kind} guest has no QEMU"));
        }
        if let Some(why) = self.elsewhere {
            return broken(Link::QemuWrapper, NOT_KNOWN, why.to_owned());
        }
        let given = self.domid().and_then(|domid| boot::arguments(self.root, domid));
        let passes = wrapper_passes_arguments(self.root);
        match (passes, given) {
            (Err(why), Some(Ok(given))) => broken(Link::QemuWrapper, self.ours(given.as_deref()), why),
            (Err(why), _) => broken(Link::QemuWrapper, "passes nothing", why),
            (Ok(how), None) => right(Link::QemuWrapper, how),
            (Ok(_), Some(Err(why))) => broken(Link::QemuWrapper, NOT_KNOWN, why),
            (Ok(_), Some(Ok(given))) => {
                let why = format!(
                    "this boot was given something else: 'vgpu-admin apply --vm-uuid={}' reboots the VM",
                    self.vm_uuid
                );
                self.arguments(Link::QemuWrapper, given.as_deref(), &why)
            }
        }
    }

    pub fn qemu(&self) -> LinkReply {
        let device = &self.settings.device;
        if let Some(kind) = self.kind_without_qemu() {
            let why = format!(
                "make it an HVM guest, or remove its settings with 'vgpu-admin remove-vm --vm-uuid={}'",
                self.vm_uuid
            );
            let value = format!("none: it is a {kind} guest");
            return if self.wanted.is_some() { broken(Link::Qemu, value, why) } else { right(Link::Qemu, value) };
        }
        if let Some(why) = self.elsewhere {
            return broken(Link::Qemu, NOT_KNOWN, why.to_owned());
        }
        let Some(domid) = self.domid() else {
            return match qemu_knows_device(self.root, device) {
                Ok(how) => right(Link::Qemu, format!("none, because the VM is not running; {how}")),
                Err(why) => broken(Link::Qemu, "none, because the VM is not running", why),
            };
        };
        self.running_qemu(domid)
    }

    fn running_qemu(&self, domid: i64) -> LinkReply {
        let runs_with = Qemus::read(self.root).runs_with(domid, &self.settings.device);
        let reboot = format!("'vgpu-admin apply --vm-uuid={}' reboots the VM", self.vm_uuid);
        match runs_with {
            RunsWith::NotReadable { why } => broken(Link::Qemu, NOT_KNOWN, why),
            RunsWith::NoQemu => broken(
                Link::Qemu,
                "none",
                format!("there is no qemu-dm-{domid}: the VM starts or ends right now, or see /var/log/daemon.log"),
            ),
            runs_with if runs_with.settings() == self.wanted && !matches!(runs_with, RunsWith::Unclear { .. }) => {
                right(Link::Qemu, in_words(runs_with.device_argument()))
            }
            RunsWith::NoVgpu => broken(
                Link::Qemu,
                in_words(None),
                format!(
                    "it was started before the qemu-wrapper was in effect, or the lines of vgpu-wrapper in /var/log/vgpu-vm-startup.log say why it was not passed: {reboot}"
                ),
            ),
            runs_with => {
                broken(Link::Qemu, in_words(runs_with.device_argument()), format!("it was started with this: {reboot}"))
            }
        }
    }

    fn kind_without_qemu(&self) -> Option<&'static str> {
        self.record.and_then(|record| kind_without_qemu(&record.domain_type))
    }

    fn domid(&self) -> Option<i64> {
        self.record.filter(|record| record.has_domain()).map(|record| record.domid)
    }

    /// A link with a device-model-args string.
    fn arguments(&self, link: Link, args: Option<&str>, why: &str) -> LinkReply {
        let value = self.ours(args);
        match device_args::desired(&self.settings.device, args, self.wanted.as_ref()) {
            Ok(desired) if desired.as_deref() == args => right(link, value),
            Ok(_) => broken(link, value, why.to_owned()),
            Err(error) => broken(link, value, error.to_string()),
        }
    }

    /// Our part of a device-model-args string.
    fn ours(&self, args: Option<&str>) -> String {
        let found = device_args::find_all(&self.settings.device, args.unwrap_or_default());
        let texts: Vec<_> = found.iter().map(|found| found.text.as_str()).collect();
        in_words(Some(&texts.join(" ")))
    }
}

fn right(link: Link, value: impl Into<String>) -> LinkReply {
    LinkReply { link, ok: true, value: value.into(), problem: None }
}

fn broken(link: Link, value: impl Into<String>, problem: String) -> LinkReply {
    LinkReply { link, ok: false, value: value.into(), problem: Some(problem) }
}

fn in_words(argument: Option<&str>) -> String {
    argument.filter(|argument| !argument.is_empty()).unwrap_or("no vGPU").to_owned()
}

fn entry_in_words(entry: Option<&Entry>) -> String {
    match entry.map(|entry| entry.settings) {
        None => "nothing".to_owned(),
        Some(None) => "removed".to_owned(),
        Some(Some(VmSettings { pool, priority, vm_id })) => {
            format!("GPU pool {pool}, priority {priority}, vm_id {vm_id}")
        }
    }
}
