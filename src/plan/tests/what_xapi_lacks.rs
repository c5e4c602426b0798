//! The changes that a goal needs.

use indexmap::IndexMap;

use super::*;
use crate::settings::Settings;

const HERE: &str = "1 A 2 7 3 100";
const FOREIGN: &str = "-vga std";

/// What is known of a VM, and the goal to plan for.
#[derive(Debug, Clone, Copy)]
struct Case {
    /// This host's row, as the shared copy writes it.
    here: Option<&'static str>,
    /// The VM's entry in the shared copy.
    shared: Option<&'static str>,
    vm: InXapi,
    /// Arguments that were put aside.
    aside: Option<&'static str>,
    is_asked_for: bool,
    was_told: bool,
    goal: Goal,
}

/// The VM as XAPI has it.
#[derive(Debug, Clone, Copy)]
enum InXapi {
    Unknown,
    /// Without arguments in its platform.
    Without,
    With(&'static str),
}

/// A registered VM that this host, the shared copy and XAPI agree about.
fn agreed() -> Case {
    Case {
        here: Some(HERE),
        shared: Some(HERE),
        vm: InXapi::With(OURS),
        aside: None,
        is_asked_for: false,
        was_told: true,
        goal: Goal::Have(ours()),
    }
}

fn record(args: Option<&str>, aside: Option<&str>) -> XapiVm {
    let map = |key: &str, value: Option<&str>| -> IndexMap<String, String> {
        value.map(|value| (key.to_owned(), value.to_owned())).into_iter().collect()
    };
    let record = VmRecord {
        uuid: VM.to_owned(),
        name_label: "web01".to_owned(),
        power_state: "Halted".to_owned(),
        is_a_template: false,
        is_a_snapshot: false,
        is_control_domain: false,
        domain_type: "hvm".to_owned(),
        resident_on: Reference::new("OpaqueRef:NULL"),
        affinity: Reference::new("OpaqueRef:NULL"),
        attached_pcis: Vec::new(),
        domid: -1,
        platform: map(device_args::PLATFORM_KEY, args),
        other_config: map(PUT_ASIDE_KEY, aside),
    };
    XapiVm::Known { vm: Reference::new("OpaqueRef:vm"), record: Box::new(record) }
}

fn planned(case: Case) -> Result<Plan, Error> {
    let line = |text: &str| (Entry::key(&vm()), text.to_owned());
    let other_config = case.shared.map(line).into_iter().collect();
    let shared = SharedCopy::new(Reference::new("OpaqueRef:pool"), other_config);
    let here = case.here.map(|text| Entry::parse(text).unwrap());
    let xapi_vm = match case.vm {
        InXapi::Unknown => XapiVm::Unknown,
        InXapi::Without => record(None, case.aside),
        InXapi::With(args) => record(Some(args), case.aside),
    };
    let known = Known {
        uuid: &vm(),
        here: here.as_ref(),
        shared: Some(&shared),
        vm: &xapi_vm,
        is_asked_for: case.is_asked_for,
        was_told: case.was_told,
    };
    plan(&Settings::default().device, &known, &case.goal)
}

/// The plan in words: for each change the map, the old and the new value.
fn words(case: Case) -> (Vec<String>, XapiOutcome) {
    let Plan { changes, outcome } = planned(case).unwrap();
    let word = |change: &MapChange| {
        let map = match change.map {
            MapField::PoolOtherConfig => "shared",
            MapField::VmOtherConfig => "aside",
            MapField::VmPlatform => "platform",
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        format!("{map}: {} -> {}", text(&change.old), text(&change.new))
    };
    (changes.iter().map(word).collect(), outcome)
}

#[track_caller]
fn assert_plan(case: Case, changes: &[&str], outcome: XapiOutcome) {
    let (planned, planned_outcome) = words(case);
    assert_eq!(planned, changes, "{case:?}");
    assert_eq!(planned_outcome, outcome, "{case:?}");
}

#[test]
fn nothing_where_all_agree() {
    assert_plan(agreed(), &[], XapiOutcome::AlreadyRight);
    assert_plan(Case { is_asked_for: true, ..agreed() }, &[], XapiOutcome::AlreadyRight);
}

#[test]
fn nothing_can_be_told_where_xapi_is_away() {
    let (uuid, here) = (vm(), Entry::parse(HERE).unwrap());
    let known =
        Known { uuid: &uuid, here: Some(&here), shared: None, vm: &XapiVm::Away, is_asked_for: true, was_told: false };
    let plan = plan(&Settings::default().device, &known, &Goal::Have(ours())).unwrap();
    assert_eq!((plan.changes, plan.outcome), (Vec::new(), XapiOutcome::Away));
}

#[test]
fn the_shared_copy_gets_what_is_newer_here_and_keeps_what_is_newer_there() {
    let newer = |here, shared, changes: &[&str]| {
        let case = Case { here: Some(here), shared: Some(shared), ..agreed() };
        assert_plan(case, changes, XapiOutcome::AlreadyRight);
    };
    newer("1 A 2 7 4 100", HERE, &["shared: 1 A 2 7 3 100 -> 1 A 2 7 4 100"]);
    // The higher revision wins regardless of the clocks, then the later change, then the content.
    newer("1 A 2 7 4 0", HERE, &["shared: 1 A 2 7 3 100 -> 1 A 2 7 4 0"]);
    newer("1 A 2 7 3 101", HERE, &["shared: 1 A 2 7 3 100 -> 1 A 2 7 3 101"]);
    newer("1 B 2 7 3 100", HERE, &["shared: 1 A 2 7 3 100 -> 1 B 2 7 3 100"]);
    newer("1 A 2 7 2 999", HERE, &[]);
    newer("1 A 2 7 3 99", HERE, &[]);
    newer("1 A 1 7 3 100", HERE, &[]);
}

#[test]
fn a_line_that_is_not_there_or_not_ours_is_written_and_never_taken_for_a_removal() {
    assert_plan(Case { shared: None, ..agreed() }, &["shared: nothing -> 1 A 2 7 3 100"], XapiOutcome::AlreadyRight);
    let damaged = Case { shared: Some("whatever"), ..agreed() };
    assert_plan(damaged, &["shared: whatever -> 1 A 2 7 3 100"], XapiOutcome::AlreadyRight);
}

#[test]
fn fields_that_a_newer_program_has_added_are_kept() {
    let case = Case { here: Some("1 A 2 7 4 100"), shared: Some("1 A 2 7 3 100 x=1"), ..agreed() };
    assert_plan(case, &["shared: 1 A 2 7 3 100 x=1 -> 1 A 2 7 4 100 x=1"], XapiOutcome::AlreadyRight);
}

#[test]
fn a_line_of_a_newer_format_is_left_alone_and_so_is_the_vm() {
    for is_asked_for in [false, true] {
        let case = Case { shared: Some("2 whatever"), vm: InXapi::With(OLD), is_asked_for, ..agreed() };
        assert!(matches!(planned(case), Err(Error::NewerFormat { .. })));
    }
}

#[test]
fn what_was_pruned_does_not_come_back_unless_somebody_asks_for_it() {
    let pruned = Case { shared: None, vm: InXapi::Unknown, ..agreed() };
    assert_plan(pruned, &[], XapiOutcome::UnknownVm);
    let line = "shared: nothing -> 1 A 2 7 3 100";
    assert_plan(Case { is_asked_for: true, ..pruned }, &[line], XapiOutcome::UnknownVm);
    assert_plan(Case { was_told: false, ..pruned }, &[line], XapiOutcome::UnknownVm);
    assert_plan(Case { vm: InXapi::With(OURS), ..pruned }, &[line], XapiOutcome::AlreadyRight);
}

#[test]
fn a_record_with_anything_else_gets_the_argument_and_keeps_what_is_not_ours() {
    let record = |args, changes: &[&str]| {
        assert_plan(Case { vm: args, ..agreed() }, changes, XapiOutcome::Written);
    };
    record(InXapi::Without, &[&format!("platform: nothing -> {OURS}")]);
    for wrong in [OLD, ANOTHERS, BY_HAND] {
        record(InXapi::With(wrong), &[&format!("platform: {wrong} -> {OURS}")]);
    }
    // An administrator's own arguments are put aside while the key is gone.
    record(
        InXapi::With("-vga std"),
        &[
            &format!("aside: nothing -> {FOREIGN}"),
            &format!("platform: {FOREIGN} -> {FOREIGN} {OURS}"),
            &format!("aside: {FOREIGN} -> nothing"),
        ],
    );
}

#[test]
fn arguments_that_a_killed_program_had_put_aside_come_back() {
    let both = "-vga std -device vgpu-stub,pool_id=A,priority=high,vm_id=7";
    let case = Case { vm: InXapi::Without, aside: Some(FOREIGN), ..agreed() };
    let back = [&*format!("platform: nothing -> {both}"), &*format!("aside: {FOREIGN} -> nothing")];
    assert_plan(case, &back, XapiOutcome::Written);
    // If the platform has arguments, they are newer than those that were put aside.
    let old = Case { vm: InXapi::With(OURS), aside: Some(FOREIGN), ..agreed() };
    assert_plan(old, &[&format!("aside: {FOREIGN} -> nothing")], XapiOutcome::Written);
    // Also for a VM that is not ours.
    let foreign = Case { goal: Goal::LeaveAlone, here: None, shared: None, ..case };
    let back = [&*format!("platform: nothing -> {FOREIGN}"), &*format!("aside: {FOREIGN} -> nothing")];
    assert_plan(foreign, &back, XapiOutcome::Written);
}

#[test]
fn a_removal_takes_the_argument_out_and_nothing_else() {
    let removed = Case { here: Some("1 - - 7 4 101"), goal: Goal::HaveNot(Unwanted::Removed), ..agreed() };
    let line = "shared: 1 A 2 7 3 100 -> 1 - - 7 4 101";
    assert_plan(removed, &[line, &format!("platform: {OURS} -> nothing")], XapiOutcome::Written);
    assert_plan(Case { vm: InXapi::Without, ..removed }, &[line], XapiOutcome::AlreadyRight);
    assert_plan(Case { vm: InXapi::Unknown, ..removed }, &[line], XapiOutcome::UnknownVm);
    let both = "-vga std -device vgpu-stub,pool_id=A,priority=high,vm_id=7";
    let with_more = Case { vm: InXapi::With(both), ..removed };
    let (changes, _) = words(with_more);
    assert_eq!(changes[2], format!("platform: {both} -> {FOREIGN}"), "{changes:?}");
}

#[test]
fn a_vm_that_is_left_alone_keeps_its_arguments_and_is_told_of_all_the_same() {
    let case = Case { goal: Goal::LeaveAlone, here: Some("1 - - 7 4 101"), vm: InXapi::With(BY_HAND), ..agreed() };
    assert_plan(case, &["shared: 1 A 2 7 3 100 -> 1 - - 7 4 101"], XapiOutcome::AlreadyRight);
    let unknown = Case { here: None, shared: None, ..case };
    assert_plan(unknown, &[], XapiOutcome::AlreadyRight);
}

#[test]
fn arguments_that_cannot_be_what_they_are_to_be_are_refused() {
    let open = Case { vm: InXapi::With("-append 'open"), ..agreed() };
    assert!(planned(open).is_err());
    let long: &'static str = "x".repeat(2040).leak();
    let full = Case { vm: InXapi::With(long), ..agreed() };
    assert!(planned(full).is_err());
}
