//! Which VM or VMs a command is about: plain arguments, `-` for standard input, or options.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::engine::ArgValueCompleter;
use vgpu_config::model::VmUuid;
use vgpu_config::request::{NewVm, VmSelector};

use crate::{candidates, words};

/// The plain argument for the VMs that standard input names.
const STANDARD_INPUT: &str = "-";

/// VMs as they were given.
#[derive(Debug)]
pub enum GivenVms {
    One(VmSelector),
    /// Some of them may be on standard input.
    Several(Vec<GivenVm>),
}

#[derive(Debug)]
pub enum GivenVm {
    Vm(VmSelector),
    /// Those on standard input, one on each line.
    OnStandardInput,
}

impl GivenVms {
    pub(super) fn new(words: Vec<VmSelector>, option: VmOptions) -> Option<Self> {
        option.selector().map(Self::One).or_else(|| Self::from_words(words))
    }

    fn from_words(words: Vec<VmSelector>) -> Option<Self> {
        let given = words.into_iter().map(|word| match word {
            VmSelector::Name(name) if name == STANDARD_INPUT => GivenVm::OnStandardInput,
            vm => GivenVm::Vm(vm),
        });
        let mut given: Vec<_> = given.collect();
        match (given.pop(), given.is_empty()) {
            (None, _) => None,
            (Some(GivenVm::Vm(vm)), true) => Some(Self::One(vm)),
            (Some(last), _) => {
                given.push(last);
                Some(Self::Several(given))
            }
        }
    }
}

/// One VM by an option.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct VmOptions {
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID", value_parser = words::parsed::<VmUuid>(), add = ArgValueCompleter::new(candidates::uuids))]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI, also if that looks like a UUID
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), add = ArgValueCompleter::new(candidates::names))]
    vm_name: Option<String>,
}

impl VmOptions {
    pub(super) fn is_given(&self) -> bool {
        self.vm_uuid.is_some() || self.vm_name.is_some()
    }

    fn selector(self) -> Option<VmSelector> {
        self.vm_uuid.map(VmSelector::Uuid).or(self.vm_name.map(VmSelector::Name))
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true, args = ["vms", "vm_uuid", "vm_name"])]
pub struct Vms {
    /// The VMs, by name or UUID, all of them or none; - reads them from standard input, one on each line
    #[arg(value_name = "VM", value_parser = words::vm(), add = ArgValueCompleter::new(candidates::vms), conflicts_with_all = ["vm_uuid", "vm_name"])]
    vms: Vec<VmSelector>,
    #[command(flatten)]
    option: VmOptions,
}

impl Vms {
    /// Clap ensures that there is one.
    #[must_use]
    pub fn given(self) -> GivenVms {
        GivenVms::new(self.vms, self.option).unwrap_or(GivenVms::Several(Vec::new()))
    }
}

#[derive(Debug, Args)]
pub struct OneVm {
    /// The VM, by its name or UUID
    #[arg(value_name = "VM", value_parser = words::vm(), add = ArgValueCompleter::new(candidates::vms), conflicts_with_all = ["vm_uuid", "vm_name"])]
    vm: Option<VmSelector>,
    #[command(flatten)]
    option: VmOptions,
}

impl OneVm {
    #[must_use]
    pub fn selector(self) -> Option<VmSelector> {
        self.vm.or_else(|| self.option.selector())
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true, args = ["vms", "vm_uuid", "vm_name", "pending"])]
pub struct ApplyTo {
    /// The VMs, by name or UUID; - reads them from standard input, one on each line
    #[arg(value_name = "VM", value_parser = words::vm(), add = ArgValueCompleter::new(candidates::vms), conflicts_with_all = ["vm_uuid", "vm_name"])]
    vms: Vec<VmSelector>,
    #[command(flatten)]
    option: VmOptions,
    /// All running VMs that do not have their settings yet
    #[arg(long, conflicts_with_all = ["vms", "vm_uuid", "vm_name"])]
    pending: bool,
}

impl ApplyTo {
    /// `None` for all that do not have their settings: clap ensures that one or the other is given.
    #[must_use]
    pub fn given(self) -> Option<GivenVms> {
        GivenVms::new(self.vms, self.option).filter(|_| !self.pending)
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct NewVms {
    /// The VMs, by name or UUID, all of them or none; - reads them from standard input, one on each line
    #[arg(value_name = "VM", value_parser = words::vm(), conflicts_with_all = ["vm_uuid", "vm_name"])]
    vms: Vec<VmSelector>,
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID", value_parser = words::parsed::<VmUuid>())]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI; with --vm-uuid, the name of a VM that XAPI does not know (yet)
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vm_name: Option<String>,
}

/// VMs to register as they were given.
#[derive(Debug)]
pub enum GivenNewVms {
    /// By options.
    One(NewVm),
    /// By plain arguments.
    These(GivenVms),
}

impl NewVms {
    /// Clap ensures that there is one.
    #[must_use]
    pub fn given(self) -> GivenNewVms {
        match (GivenVms::from_words(self.vms), self.vm_uuid) {
            (Some(vms), _) => GivenNewVms::These(vms),
            (None, Some(uuid)) => GivenNewVms::One(NewVm::Uuid { uuid, name: self.vm_name }),
            (None, None) => GivenNewVms::One(NewVm::Name(self.vm_name.unwrap_or_default())),
        }
    }
}
