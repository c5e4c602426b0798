//! The VMs that a command line gives, as a request has them.

use std::io;
use std::path::PathBuf;

use vgpu_admin::arguments::{GivenNewVms, GivenVm, GivenVms};
use vgpu_config::Error;
use vgpu_config::request::{NewVm, NewVms, VmSelector, VmSelectors};

/// # Errors
/// Standard input cannot be read, or has no VM.
pub fn selectors(given: GivenVms) -> Result<VmSelectors, Error> {
    Ok(match given {
        GivenVms::One(vm) => VmSelectors::One(vm),
        GivenVms::Several(given) => {
            let vms = given.into_iter().map(|given| match given {
                GivenVm::Vm(vm) => Ok(vec![vm]),
                GivenVm::OnStandardInput => on_standard_input(),
            });
            VmSelectors::Several(vms.collect::<Result<Vec<_>, Error>>()?.concat())
        }
    })
}

/// # Errors
/// As [`selectors`].
pub fn to_register(given: GivenNewVms) -> Result<NewVms, Error> {
    Ok(match given {
        GivenNewVms::One(vm) => NewVms::One(vm),
        GivenNewVms::These(vms) => match selectors(vms)? {
            VmSelectors::One(VmSelector::Uuid(uuid)) => NewVms::One(NewVm::Uuid { uuid, name: None }),
            VmSelectors::One(VmSelector::Name(name)) => NewVms::One(NewVm::Name(name)),
            VmSelectors::Several(vms) => NewVms::Several(vms),
        },
    })
}

fn on_standard_input() -> Result<Vec<VmSelector>, Error> {
    let text = io::read_to_string(io::stdin());
    let text = text.map_err(|source| Error::File { path: PathBuf::from("-"), source })?;
    VmSelector::from_lines(&text).map_err(|invalid| Error::invalid("standard input", invalid))
}
