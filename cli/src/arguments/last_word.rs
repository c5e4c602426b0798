//! Commands whose last plain argument is a value: `set-pool VM... POOL`, `set-priority VM... PRIORITY`.

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use clap_complete::engine::ArgValueCompleter;
use vgpu_config::model::{PoolId, Priority};

use super::vm::{GivenVms, VmOptions};
use crate::candidates;
use crate::words::{self, Value};

/// VMs, and the value that all of them get.
#[derive(Debug)]
pub struct Assignment<T> {
    pub vms: GivenVms,
    pub value: T,
    /// Beyond the limit of the GPU pool.
    pub force: bool,
    /// Only show what would be done.
    pub dry_run: bool,
}

#[derive(Debug, Args)]
struct PoolWords {
    /// The VMs, by name or UUID (all are moved, or none), then the GPU pool: A or B; - for the VMs that standard input names,
    /// one on each line
    #[arg(value_name = "VM", add = ArgValueCompleter::new(candidates::vms_or_value::<PoolId>))]
    words: Vec<String>,
    #[command(flatten)]
    option: VmOptions,
    /// The new GPU pool: A or B
    #[arg(long, value_parser = words::value::<PoolId>(), hide_possible_values = true)]
    pool: Option<PoolId>,
    /// Move them even if the GPU pool then has more VMs than it may have
    #[arg(long)]
    force: bool,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct PriorityWords {
    /// The VMs, by name or UUID (all are changed, or none), then the priority: low, medium or high (or 0, 1, 2); - for the VMs
    /// that standard input names, one on each line
    #[arg(value_name = "VM", add = ArgValueCompleter::new(candidates::vms_or_value::<Priority>))]
    words: Vec<String>,
    #[command(flatten)]
    option: VmOptions,
    /// The new priority: low, medium or high (or 0, 1, 2)
    #[arg(long, value_parser = words::value::<Priority>(), hide_possible_values = true)]
    priority: Option<Priority>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Tells the value from the VMs. The usage is added to an error where the command is known.
fn assign<T: Value>(
    mut words: Vec<String>,
    option: VmOptions,
    value: Option<T>,
    dry_run: bool,
) -> Result<Assignment<T>, Error> {
    let value = match value {
        Some(value) => value,
        None => match words.pop() {
            Some(last) => words::read(&format!("<{}>", T::NAME), &last).map_err(invalid)?,
            None => return Err(missing(&format!("<{}>", T::NAME))),
        },
    };
    if option.is_given() && !words.is_empty() {
        let message = "the argument '<VM>...' cannot be used with '--vm-uuid <UUID>' or '--vm-name <NAME>'";
        return Err(Error::raw(ErrorKind::ArgumentConflict, message));
    }
    let vms = words.iter().map(|word| words::read("<VM>...", word)).collect::<Result<_, _>>().map_err(invalid)?;
    let vms = GivenVms::new(vms, option).ok_or_else(|| missing("<VM>..."))?;
    Ok(Assignment { vms, value, force: false, dry_run })
}

fn invalid(message: String) -> Error {
    Error::raw(ErrorKind::InvalidValue, message)
}

fn missing(what: &str) -> Error {
    Error::raw(
        ErrorKind::MissingRequiredArgument,
        format!("the following required arguments were not provided:\n  {what}"),
    )
}

macro_rules! assignments {
    ($($words:ident { $option:ident: $type:ty $(, $force:ident)? }),*) => {$(
        impl FromArgMatches for Assignment<$type> {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                let $words { words, option, $option, $($force,)? dry_run } = $words::from_arg_matches(matches)?;
                let assignment = assign(words, option, $option, dry_run)?;
                Ok(Self { $($force,)? ..assignment })
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }

        impl Args for Assignment<$type> {
            fn augment_args(command: Command) -> Command {
                $words::augment_args(command)
            }

            fn augment_args_for_update(command: Command) -> Command {
                $words::augment_args(command)
            }
        }
    )*};
}
assignments!(PoolWords { pool: PoolId, force }, PriorityWords { priority: Priority });
