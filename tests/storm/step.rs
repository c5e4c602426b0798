//! What can happen: the steps of a case, and how they are drawn.

use proptest::prelude::*;
use simulated_host::{Fault, Service};
use vgpu_config::model::{DeviceVmId, PoolId, Priority, VmUuid};

/// How many hosts the resource pool has.
pub const HOSTS: usize = 3;
/// How many VMs there are at first.
pub const FIRST_VMS: u32 = 3;
/// How many VMs there may become.
pub const MOST_VMS: usize = 7;

/// A VM's GPU pool and priority.
pub type Settings = (PoolId, Priority);

/// A whole case.
#[derive(Debug, Clone)]
pub struct Case {
    /// What happens, one after the other.
    pub steps: Vec<Step>,
    /// In which order the hosts sync once all faults have ended.
    pub order: [usize; HOSTS],
    /// Where the first of the halted VMs is started then; the next one on the next host.
    pub first_start: usize,
}

/// Something that happens on a host, to a VM or to the host itself.
#[derive(Debug, Clone)]
pub struct Step {
    /// The host, or the next one where it would be of no use to this one.
    pub host: usize,
    /// The VM, counted around where there are fewer; the next one where it would be of no use to this one.
    pub vm: usize,
    /// What happens.
    pub event: Event,
}

/// What can happen.
#[derive(Debug, Clone)]
pub enum Event {
    /// A change by an administrator.
    Change { change: Change, by: Program, cut: Option<Cut> },
    /// `vgpu-admin sync`.
    Sync { by: Program, cut: Option<Cut> },
    /// `vgpu-admin import` of this VM and the next.
    Import { settings: [Settings; 2], number: Option<Number>, prune: bool, cut: Option<Cut> },
    /// `vgpu-admin adopt`.
    Adopt { cut: Option<Cut> },
    /// `vgpu-admin prune`.
    Prune,
    /// XAPI starts the VM on this host.
    Start { cut: Option<Cut> },
    /// The VM reboots, wherever it runs.
    Reboot { by: Rebooter, cut: Option<Cut> },
    /// The VM that was changed last reboots, before xapi has passed that on.
    RebootAtOnce { by: Rebooter, cut: Option<Cut> },
    /// xapi passes what has changed on to this host's xenopsd; otherwise that waits for a start or reboot through XAPI.
    PassOn,
    /// The VM is shut down.
    Shutdown,
    /// The VM moves to this host while it runs.
    Migrate,
    /// The VM is created anew where it was destroyed or lost, else another one is.
    Create,
    /// The VM is copied.
    Clone,
    /// A snapshot of the VM is taken.
    Snapshot,
    /// The VM goes back to its last snapshot.
    Revert,
    /// The VM is destroyed, if it is halted.
    Destroy,
    /// Somebody edits the row with the sqlite3 shell.
    EditRow(RowEdit),
    /// Somebody writes the VM's device-model-args by hand.
    EditArgs(Option<(Settings, Number)>),
    /// Somebody removes the VM's line from the pool's `other_config`.
    LoseLine,
    /// Something goes wrong between the hosts, or is over.
    Trouble(Trouble),
}

/// Who reboots a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebooter {
    /// Its guest.
    Guest,
    /// XAPI.
    Xapi,
}

/// A change by an administrator.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// `register-vm`.
    Register(Settings, Option<Number>),
    /// `update-vm` with both.
    Update(Settings),
    /// `set-pool`.
    SetPool(PoolId),
    /// `set-priority`.
    SetPriority(Priority),
    /// `update-vm --vm-id`.
    Renumber(Number),
    /// `remove-vm`.
    Remove,
}

/// A number that is asked for: one of a few, so that hosts choose the same, or the one that another VM would get.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// This one.
    Small(u32),
    /// The one that is derived from the UUID of the VM created as this one.
    Of(u32),
}

impl Number {
    /// The number itself.
    pub fn get(self) -> DeviceVmId {
        match self {
            Self::Small(number) => DeviceVmId::try_from(i64::from(number)).unwrap(),
            Self::Of(vm) => DeviceVmId::derived_from(&vgpu_tests::uuid(vm).parse::<VmUuid>().unwrap()),
        }
    }
}

/// Who carries out an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The library, within the test: the quickest.
    Library,
    /// `vgpu-admin`.
    Admin,
    /// The plugin, called through XAPI.
    Plugin,
}

/// What XAPI does to an operation on its way.
#[derive(Debug, Clone)]
pub enum Cut {
    /// It goes away after so many calls, so that nothing can be undone: as if the program were killed there.
    After(usize, Fault),
    /// It refuses to take a VM's argument away, and does all else: what was written before has to be undone.
    Refuses,
}

impl Cut {
    /// Whether whoever calls XAPI waits for it.
    pub fn hangs(&self) -> bool {
        matches!(self, Self::After(_, Fault::Hangs))
    }
}

/// An edit with the sqlite3 shell.
#[derive(Debug, Clone, Copy)]
pub enum RowEdit {
    /// `INSERT`.
    Insert(Settings),
    /// `UPDATE`.
    Update(Settings),
    /// `DELETE`.
    Delete,
}

/// What goes wrong between the hosts, and its end.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// The host is cut off from all others.
    Partition,
    /// It is not any more.
    Heal,
    /// The coordinator's xapi is gone.
    LoseCoordinator,
    /// It is back.
    RestoreCoordinator,
    /// The host loses its power.
    Crash,
    /// It comes back.
    Restart,
    /// A host that has crashed is given up.
    DeclareDead,
    /// The host copies XAPI's database.
    CopyDatabase,
    /// The host becomes the coordinator, with the database that it copied last.
    FailOver,
    /// A service of the host fails.
    Break(Service, Fault),
    /// All services of the host work.
    Mend,
}

/// A case, at random.
pub fn any_case() -> impl Strategy<Value = Case> {
    // Where no VM is registered, little can happen to one.
    let first = proptest::collection::vec(any_registration(), 0..4);
    let starts = proptest::collection::vec((0..HOSTS, 0..MOST_VMS), 0..4);
    let rest = proptest::collection::vec(any_step(), 0..26);
    let order = Just([0, 1, 2]).prop_shuffle();
    (first, starts, rest, order, 0..HOSTS).prop_map(|(first, starts, rest, order, first_start)| {
        let starts = starts.into_iter().map(|(host, vm)| Step { host, vm, event: Event::Start { cut: None } });
        let steps = first.into_iter().chain(starts).chain(rest).collect();
        Case { steps, order, first_start }
    })
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
        2 => proptest::option::weighted(0.8, (any_settings(), any_number())).prop_map(Event::EditArgs),
        2 => Just(Event::LoseLine),
        22 => any_trouble().prop_map(Event::Trouble),
    ];
    (0..HOSTS, 0..MOST_VMS, event).prop_map(|(host, vm, event)| Step { host, vm, event })
}

fn any_rebooter() -> impl Strategy<Value = Rebooter> {
    prop_oneof![3 => Just(Rebooter::Guest), 1 => Just(Rebooter::Xapi)]
}

fn any_settings() -> impl Strategy<Value = Settings> + Clone {
    (0..2_usize, 0..3_usize).prop_map(|(pool, priority)| (PoolId::ALL[pool], Priority::ALL[priority]))
}

fn any_number() -> impl Strategy<Value = Number> + Clone {
    prop_oneof![2 => (1..4_u32).prop_map(Number::Small), 1 => (0..FIRST_VMS).prop_map(Number::Of)]
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
        1 => Just(Event::Create),
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
