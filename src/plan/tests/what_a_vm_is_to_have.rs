//! The goal of a start.

use super::*;
use crate::settings::{Settings, Unregistered};
use crate::store::{Registration, StoredVm};

fn registered() -> Registration {
    Registration::Registered(StoredVm {
        uuid: vm(),
        name: None,
        settings: ours(),
        number_is_provisional: false,
        revision: 1,
        pushed_revision: 1,
        is_known_to_xapi: true,
        created_at: String::new(),
        updated_at: String::new(),
        last_start: None,
    })
}

fn removed() -> Registration {
    Registration::Removed { vm_id: Some(7.try_into().unwrap()), pushed: true }
}

/// The origin of an argument that belongs to another VM: one that is registered, or was removed.
fn origin(settings: Option<VmSettings>) -> Origin {
    Origin { uuid: OTHER.parse().unwrap(), settings }
}

fn goal_with(unregistered: Unregistered, registration: &Registration, args: &str, origin: Option<Origin>) -> Goal {
    let settings = Settings { unregistered, ..Settings::default() };
    goal(&settings, registration, &device_args::find_all(&settings.device, args), origin)
}

#[test]
fn a_registered_vm_is_to_have_its_settings_whatever_it_is_about_to_boot_with() {
    for args in ["", OURS, OLD, ANOTHERS, BY_HAND, "-vga std"] {
        for unregistered in [Unregistered::Ignore, Unregistered::Default, Unregistered::Inherit] {
            assert_eq!(goal_with(unregistered, &registered(), args, None), Goal::Have(ours()), "{args}");
        }
    }
}

#[test]
fn each_row_of_the_table_for_a_vm_that_is_not_registered() {
    use Unregistered::{Default, Ignore, Inherit};
    let theirs = settings(PoolId::B, Priority::Low, 8);
    let uuid = OTHER.parse().unwrap();
    let clone = Goal::HaveNot(Unwanted::Inherited { origin: uuid });
    let defaults = Settings::default().defaults;
    let by_default = |origin| Goal::Register { pool: defaults.pool, priority: defaults.priority, origin };
    let inherited = Goal::Register { pool: PoolId::B, priority: Priority::Low, origin: Some(uuid) };
    let (unknown, of_registered, of_removed) = (Registration::Unknown, Some(origin(Some(theirs))), Some(origin(None)));
    for (unregistered, registration, args, origin, expected) in [
        // Nothing of ours, or an argument that was written by hand.
        (Ignore, &unknown, "", None, Goal::LeaveAlone),
        (Ignore, &unknown, "-vga std", None, Goal::LeaveAlone),
        (Ignore, &unknown, BY_HAND, None, Goal::LeaveAlone),
        (Inherit, &unknown, "", None, Goal::LeaveAlone),
        (Inherit, &unknown, BY_HAND, None, Goal::LeaveAlone),
        (Default, &unknown, "", None, by_default(None)),
        (Default, &unknown, "-vga std", None, by_default(None)),
        (Default, &unknown, BY_HAND, None, Goal::LeaveAlone),
        // The argument of another VM.
        (Ignore, &unknown, ANOTHERS, of_registered, clone),
        (Ignore, &unknown, ANOTHERS, of_removed, clone),
        (Inherit, &unknown, ANOTHERS, of_registered, inherited),
        (Inherit, &unknown, ANOTHERS, of_removed, clone),
        (Default, &unknown, ANOTHERS, of_registered, by_default(Some(uuid))),
        (Default, &unknown, ANOTHERS, of_removed, by_default(Some(uuid))),
        // Removed: never registered again automatically.
        (Ignore, &removed(), "", None, Goal::LeaveAlone),
        (Default, &removed(), "", None, Goal::LeaveAlone),
        (Inherit, &removed(), "", None, Goal::LeaveAlone),
        (Ignore, &removed(), OURS, None, Goal::HaveNot(Unwanted::Removed)),
        (Default, &removed(), OLD, None, Goal::HaveNot(Unwanted::Removed)),
        (Ignore, &removed(), BY_HAND, None, Goal::LeaveAlone),
        (Default, &removed(), BY_HAND, None, Goal::LeaveAlone),
        (Ignore, &removed(), ANOTHERS, of_registered, clone),
        (Default, &removed(), ANOTHERS, of_registered, clone),
        (Inherit, &removed(), ANOTHERS, of_registered, clone),
    ] {
        let case = format!("{unregistered:?}, {registration:?}, {args:?}, {origin:?}");
        assert_eq!(goal_with(unregistered, registration, args, origin), expected, "{case}");
    }
}
