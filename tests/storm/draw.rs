//! How the steps of a case are drawn.

use proptest::prelude::*;
use simulated_host::{Fault, Service};
use vgpu_config::model::{PoolId, Priority};

use super::step::{
    Case, Change, Cut, Event, FIRST_VMS, HOSTS, MOST_VMS, Number, Phrase, Program, Rebooter, RowEdit, Settings, Step,
    Trouble, WrittenArgs,
};

/// What an administrator writes beside our argument.
const FOREIGN: &[&str] = &[
    "-vga std",
    "-name 'two  words'",
    "-append \"say \\\"hello\\\"\"",
    "-device foo,id=mine,admin=1",
    "-device 'bar,name=with a space,vm_id=1'",
    "-set device.mine.pool_id=A",
    " -k\tde ",
];

/// A case, at random.
pub fn any_case() -> impl Strategy<Value = Case> {
    // Where no VM is registered, little can happen to one.
    let first = proptest::collection::vec(any_registration(), 0..4);
    let starts = proptest::collection::vec((0..HOSTS, 0..MOST_VMS), 0..4);
    let rest = proptest::collection::vec(any_step(), 0..26);
    let order = Just([0, 1, 2]).prop_shuffle();
    let first_args = std::array::from_fn(|_| any_args());
    (first_args, first, starts, rest, order, 0..HOSTS).prop_map(
        |(first_args, first, starts, rest, order, first_start)| {
            let starts = starts.into_iter().map(|(host, vm)| Step { host, vm, event: Event::Start { cut: None } });
            let steps = first.into_iter().chain(starts).chain(rest).collect();
            Case { first_args, steps, order, first_start }
        },
    )
}

fn any_registration() -> impl Strategy<Value = Step> {
    let number = proptest::option::weighted(0.3, any_number());
    (0..HOSTS, 0..MOST_VMS, any_settings(), number, any_program()).prop_map(|(host, vm, settings, number, by)| {
        let change = Change::Register(settings, number);
        Step { host, vm, event: Event::Change { change, by, cut: None } }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let event = prop_oneof![
        30 => (any_change(), any_program(), any_cut()).prop_map(|(change, by, cut)| Event::Change { change, by, cut }),
        5 => (any_program(), any_cut()).prop_map(|(by, cut)| Event::Sync { by, cut }),
        4 => any_import(),
        2 => any_cut().prop_map(|cut| Event::Adopt { cut }),
        1 => Just(Event::Prune),
        12 => any_vm_event(),
        5 => any_cut_of_a_start().prop_map(|cut| Event::Start { cut }),
        10 => (any_rebooter(), any_cut_of_a_start()).prop_map(|(by, cut)| Event::Reboot { by, cut }),
        16 => (any_rebooter(), any_cut_of_a_start()).prop_map(|(by, cut)| Event::RebootAtOnce { by, cut }),
        4 => Just(Event::PassOn),
        7 => any_edit().prop_map(Event::EditRow),
        5 => any_args().prop_map(Event::EditArgs),
        2 => Just(Event::LoseLine),
        22 => any_trouble().prop_map(Event::Trouble),
    ];
    (0..HOSTS, 0..MOST_VMS, event).prop_map(|(host, vm, event)| Step { host, vm, event })
}

/// In half of what somebody writes there is no argument of ours.
fn any_args() -> impl Strategy<Value = Option<WrittenArgs>> {
    let ours = (any_settings(), any_number()).prop_map(|(settings, number)| vec![Phrase::Ours(settings, number)]);
    let foreign = || proptest::collection::vec(proptest::sample::select(FOREIGN).prop_map(Phrase::Foreign), 0..3);
    let all = (foreign(), proptest::option::of(ours), foreign())
        .prop_map(|(before, ours, after)| before.into_iter().chain(ours.into_iter().flatten()).chain(after).collect());
    proptest::option::weighted(0.8, all)
}

fn any_rebooter() -> impl Strategy<Value = Rebooter> {
    prop_oneof![3 => Just(Rebooter::Guest), 1 => Just(Rebooter::Xapi)]
}

fn any_settings() -> impl Strategy<Value = Settings> + Clone {
    (0..2_usize, 0..3_usize).prop_map(|(pool, priority)| (PoolId::ALL[pool], Priority::ALL[priority]))
}

fn any_number() -> impl Strategy<Value = Number> + Clone {
    prop_oneof![2 => (1..4_u32).prop_map(Number::Small), 1 => (0..u32::try_from(FIRST_VMS).unwrap()).prop_map(Number::Of)]
}

fn any_change() -> impl Strategy<Value = Change> {
    let number = proptest::option::weighted(0.4, any_number());
    prop_oneof![
        6 => (any_settings(), number).prop_map(|(settings, number)| Change::Register(settings, number)),
        2 => any_settings().prop_map(Change::Update),
        2 => any_settings().prop_map(|(pool, _)| Change::SetPool(pool)),
        2 => any_settings().prop_map(|(_, priority)| Change::SetPriority(priority)),
        2 => any_number().prop_map(Change::Renumber),
        2 => Just(Change::Remove),
    ]
}

fn any_program() -> impl Strategy<Value = Program> {
    prop_oneof![8 => Just(Program::Library), 1 => Just(Program::Admin), 1 => Just(Program::Plugin)]
}

fn any_cut() -> impl Strategy<Value = Option<Cut>> {
    let fault = prop_oneof![3 => Just(Fault::Absent), 1 => Just(Fault::DropsReply)];
    let after = (0..12_usize, fault).prop_map(|(after, fault)| Cut::After(after, fault));
    proptest::option::weighted(0.2, prop_oneof![3 => after, 1 => Just(Cut::Refuses)])
}

/// Only a start gives up soon where XAPI hangs.
fn any_cut_of_a_start() -> impl Strategy<Value = Option<Cut>> {
    prop_oneof![
        39 => any_cut(),
        1 => (0..9_usize).prop_map(|after| Some(Cut::After(after, Fault::Hangs))),
    ]
}

fn any_import() -> impl Strategy<Value = Event> {
    let settings = [any_settings(), any_settings()];
    let number = proptest::option::weighted(0.4, any_number());
    (settings, number, proptest::bool::weighted(0.1), any_cut())
        .prop_map(|(settings, number, prune, cut)| Event::Import { settings, number, prune, cut })
}

fn any_vm_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Shutdown),
        1 => Just(Event::Migrate),
        1 => any_args().prop_map(Event::Create),
        2 => Just(Event::Clone),
        2 => Just(Event::Snapshot),
        2 => Just(Event::Revert),
        1 => Just(Event::Destroy),
    ]
}

fn any_edit() -> impl Strategy<Value = RowEdit> {
    prop_oneof![
        2 => any_settings().prop_map(RowEdit::Insert),
        2 => any_settings().prop_map(RowEdit::Update),
        1 => Just(RowEdit::Delete),
    ]
}

fn any_trouble() -> impl Strategy<Value = Trouble> {
    let fault = prop_oneof![
        2 => Just(Fault::Absent),
        1 => Just(Fault::Refuses),
        1 => Just(Fault::DropsReply),
        1 => Just(Fault::Garbage),
        1 => Just(Fault::error("INTERNAL_ERROR", &["on purpose"])),
    ];
    let service = prop_oneof![2 => Just(Service::Xapi), 1 => Just(Service::MessageSwitch), 1 => Just(Service::Xenopsd)];
    prop_oneof![
        4 => Just(Trouble::Partition),
        4 => Just(Trouble::Heal),
        2 => Just(Trouble::LoseCoordinator),
        3 => Just(Trouble::RestoreCoordinator),
        2 => Just(Trouble::Crash),
        3 => Just(Trouble::Restart),
        1 => Just(Trouble::DeclareDead),
        4 => Just(Trouble::CopyDatabase),
        4 => Just(Trouble::FailOver),
        2 => (service, fault).prop_map(|(service, fault)| Trouble::Break(service, fault)),
        2 => Just(Trouble::Mend),
    ]
}
