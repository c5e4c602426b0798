//! Sessions and the roles they have.

/// A role, from the least to the most powerful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May look at everything.
    ReadOnly,
    /// May start and stop VMs.
    VmOperator,
    /// May change VMs.
    VmAdmin,
    /// May take snapshots too.
    VmPowerAdmin,
    /// May change the pool.
    PoolOperator,
    /// May do everything.
    PoolAdmin,
}

impl Role {
    const ALL: [Self; 6] =
        [Self::PoolAdmin, Self::PoolOperator, Self::VmPowerAdmin, Self::VmAdmin, Self::VmOperator, Self::ReadOnly];

    /// As XAPI spells it: `pool-admin`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::VmOperator => "vm-operator",
            Self::VmAdmin => "vm-admin",
            Self::VmPowerAdmin => "vm-power-admin",
            Self::PoolOperator => "pool-operator",
            Self::PoolAdmin => "pool-admin",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The names of this role and of those above it, the most powerful first, as XAPI lists them in a refusal.
    pub(crate) fn and_above(self) -> String {
        let names: Vec<&str> = Self::ALL.into_iter().filter(|role| *role >= self).map(Self::name).collect();
        names.join(", ")
    }
}

/// A session that is open.
#[derive(Debug, Clone)]
pub struct Session {
    pub role: Role,
    pub originator: String,
    pub local_superuser: bool,
    /// The host that the caller logged in on.
    pub host: String,
}

/// What a test may know of an open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its reference, which is what a caller passes.
    pub reference: String,
    /// Who opened it: the last argument of `session.login_with_password`.
    pub originator: String,
    /// What it may do.
    pub role: Role,
}
