//! Types read from the rows.

use std::cmp::Reverse;

use crate::entry::Entry;
use crate::model::{DeviceVmId, PoolId, Priority, VmSettings, VmUuid};

/// A registered VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVm {
    pub uuid: VmUuid,
    /// Its name in XAPI when a program last read its record.
    pub name: Option<String>,
    pub settings: VmSettings,
    /// The number is derived and not stored yet.
    pub number_is_provisional: bool,
    /// Counts the changes of the settings.
    pub revision: i64,
    /// The revision last written to XAPI.
    pub pushed_revision: i64,
    /// Whether XAPI knew the VM at that time.
    pub is_known_to_xapi: bool,
    /// UTC.
    pub created_at: String,
    /// UTC.
    pub updated_at: String,
    /// `None` before the first start.
    pub last_start: Option<LastStart>,
}

impl StoredVm {
    /// Whether the last change was written to XAPI.
    #[must_use]
    pub fn is_pushed(&self) -> bool {
        self.pushed_revision >= self.revision
    }

    /// Its place in a list: by GPU pool, then by priority, highest first, then by name.
    pub(super) fn order(&self) -> impl Ord {
        let settings = &self.settings;
        (settings.pool, Reverse(settings.priority), self.name.as_deref(), self.uuid)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastStart {
    pub started_at: String,
    pub host_uuid: String,
    /// Empty if the VM got none.
    pub device_argument: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    Registered(StoredVm),
    Removed {
        /// The number that its device had, if any.
        vm_id: Option<DeviceVmId>,
        /// Whether the removal was written to XAPI.
        pushed: bool,
    },
    /// Never registered.
    Unknown,
}

impl Registration {
    /// The same with a newer entry of another host, for when it cannot be taken over.
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

/// Which VMs to list; `None` means any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    pub pool: Option<PoolId>,
    pub priority: Option<Priority>,
}

/// How many VMs there are of each GPU pool and priority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts(pub(super) [[u64; 3]; 2]);

impl Counts {
    #[must_use]
    pub fn of(&self, pool: PoolId, priority: Priority) -> u64 {
        self.0[pool as usize][priority as usize]
    }

    #[must_use]
    pub fn of_pool(&self, pool: PoolId) -> u64 {
        self.0[pool as usize].iter().sum()
    }

    #[must_use]
    pub fn of_priority(&self, priority: Priority) -> u64 {
        PoolId::ALL.iter().map(|&pool| self.of(pool, priority)).sum()
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        PoolId::ALL.iter().map(|&pool| self.of_pool(pool)).sum()
    }
}
