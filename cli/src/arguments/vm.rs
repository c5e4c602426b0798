//! Which VM or VMs a command is about.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use vgpu_config::model::VmUuid;
use vgpu_config::request::{self, VmSelector};

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Vm {
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID")]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vm_name: Option<String>,
}

impl Vm {
    /// Clap ensures that one of the two is given.
    #[must_use]
    pub fn selector(self) -> VmSelector {
        match self.vm_uuid {
            Some(uuid) => VmSelector::Uuid(uuid),
            None => VmSelector::Name(self.vm_name.unwrap_or_default()),
        }
    }
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct OneVm {
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID")]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vm_name: Option<String>,
}

impl OneVm {
    #[must_use]
    pub fn selector(self) -> Option<VmSelector> {
        self.vm_uuid.map(VmSelector::Uuid).or(self.vm_name.map(VmSelector::Name))
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ApplyTo {
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID")]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vm_name: Option<String>,
    /// All running VMs that do not have their settings yet
    #[arg(long)]
    pending: bool,
}

impl ApplyTo {
    /// Clap ensures that one of the three is given.
    #[must_use]
    pub fn vms(self) -> request::ApplyTo {
        let vm = self.vm_uuid.map(VmSelector::Uuid).or(self.vm_name.map(VmSelector::Name));
        vm.map_or(request::ApplyTo::Pending, request::ApplyTo::Vm)
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct NewVm {
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID")]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI; with --vm-uuid, the name of a VM that XAPI does not know (yet)
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vm_name: Option<String>,
}

impl NewVm {
    /// Clap ensures that one of the two is given.
    #[must_use]
    pub fn vm(self) -> request::NewVm {
        match self.vm_uuid {
            Some(uuid) => request::NewVm::Uuid { uuid, name: self.vm_name },
            None => request::NewVm::Name(self.vm_name.unwrap_or_default()),
        }
    }
}
