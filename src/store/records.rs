//! What is read from the rows.

use std::cmp::Reverse;

use crate::entry::Entry;
use crate::model::{DeviceVmId, PoolId, Priority, VmSettings, VmUuid};

/// A registered VM as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVm {
    /// Its UUID.
    pub uuid: VmUuid,
    /// Its name when it was registered or last changed, for people.
    pub name: Option<String>,
    /// What its device is told.
    pub settings: VmSettings,
    /// Whether the device's number is only derived, not stored yet.
    pub number_is_provisional: bool,
    /// Counts the changes of the settings.
    pub revision: i64,
    /// The revision that XAPI was last told.
    pub pushed_revision: i64,
    /// Whether XAPI knew the VM then.
    pub is_known_to_xapi: bool,
    /// When it was registered, UTC.
    pub created_at: String,
    /// When it was last changed, UTC.
    pub updated_at: String,
    /// What its last start was given; `None` before the first.
    pub last_start: Option<LastStart>,
}

impl StoredVm {
    /// Whether XAPI was told what the database says.
    #[must_use]
    pub fn is_pushed(&self) -> bool {
        self.pushed_revision >= self.revision
    }

    /// Where it stands in a list: by GPU pool, most urgent first, then by name.
    pub(super) fn order(&self) -> impl Ord {
        let settings = &self.settings;
        (settings.pool, Reverse(settings.priority), self.name.as_deref(), self.uuid)
    }
}

/// What a VM's start was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastStart {
    /// When, UTC.
    pub started_at: String,
    /// The UUID of the host on which it started.
    pub host_uuid: String,
    /// The device's argument, empty where the VM got none.
    pub device_argument: String,
}

/// What the database knows of a VM's registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// It has settings.
    Registered(StoredVm),
    /// It had settings and was removed.
    Removed {
        /// The number that its device had, where it ever had one.
        vm_id: Option<DeviceVmId>,
        /// Whether XAPI was told of the removal.
        pushed: bool,
    },
    /// It was never registered.
    Unknown,
}

impl Registration {
    /// The same with what another host has written since, for where it cannot be taken over.
    #[must_use]
    pub fn overtaken_by(self, uuid: &VmUuid, entry: &Entry) -> Self {
        let Some(settings) = entry.settings else {
            return Self::Removed { vm_id: entry.vm_id, pushed: true };
        };
        let blank = StoredVm {
            uuid: *uuid,
            name: None,
            settings,
            number_is_provisional: false,
            revision: entry.revision,
            pushed_revision: entry.revision,
            is_known_to_xapi: true,
            created_at: String::new(),
            updated_at: String::new(),
            last_start: None,
        };
        match self {
            Self::Registered(vm) => Self::Registered(StoredVm { name: vm.name, last_start: vm.last_start, ..blank }),
            Self::Removed { .. } | Self::Unknown => Self::Registered(blank),
        }
    }
}

/// Which VMs to list: all, of one GPU pool, of one priority, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this GPU pool's.
    pub pool: Option<PoolId>,
    /// Only those of this priority.
    pub priority: Option<Priority>,
}

/// How many VMs there are of each GPU pool and priority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts(pub(super) [[u64; 3]; 2]);

impl Counts {
    /// How many of this GPU pool and priority.
    #[must_use]
    pub fn of(&self, pool: PoolId, priority: Priority) -> u64 {
        self.0[pool as usize][priority as usize]
    }

    /// How many of this GPU pool.
    #[must_use]
    pub fn of_pool(&self, pool: PoolId) -> u64 {
        self.0[pool as usize].iter().sum()
    }

    /// How many of this priority.
    #[must_use]
    pub fn of_priority(&self, priority: Priority) -> u64 {
        PoolId::ALL.iter().map(|&pool| self.of(pool, priority)).sum()
    }

    /// How many altogether.
    #[must_use]
    pub fn total(&self) -> u64 {
        PoolId::ALL.iter().map(|&pool| self.of_pool(pool)).sum()
    }
}
