//! What can happen: the steps of a case.

use simulated_host::{Fault, Service};
use vgpu_config::model::{DeviceVmId, PoolId, Priority, VmUuid};

/// How many hosts the resource pool has.
pub const HOSTS: usize = 3;
/// How many VMs there are at first.
pub const FIRST_VMS: usize = 3;
/// How many VMs there may become.
pub const MOST_VMS: usize = 7;

/// A VM's GPU pool and priority.
pub type Settings = (PoolId, Priority);

/// A whole case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The device-model-args with which the first VMs are created.
    pub first_args: [Option<WrittenArgs>; FIRST_VMS],
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
    /// The VM is created anew where it was destroyed or lost, else another one is; with these device-model-args.
    Create(Option<WrittenArgs>),
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
    EditArgs(Option<WrittenArgs>),
    /// Somebody removes the VM's line from the pool's `other_config`.
    LoseLine,
    /// Something goes wrong between the hosts, or is over.
    Trouble(Trouble),
}

impl Event {
    /// Whether nobody but our programs may write the VMs' arguments.
    pub fn is_ours(&self) -> bool {
        !matches!(
            self,
            Self::Create(_)
                | Self::Clone
                | Self::Snapshot
                | Self::Revert
                | Self::Destroy
                | Self::EditArgs(_)
                | Self::Trouble(_)
        )
    }
}

/// The device-model-args as somebody writes them, one word or phrase after the other.
pub type WrittenArgs = Vec<Phrase>;

/// A part of the device-model-args.
#[derive(Debug, Clone, Copy)]
pub enum Phrase {
    /// An argument of ours.
    Ours(Settings, Number),
    /// What is the administrator's.
    Foreign(&'static str),
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
