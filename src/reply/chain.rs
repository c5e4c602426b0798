//! The chain from a VM's settings to its QEMU.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::VmUuid;

/// The links of the chain, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// This host's database.
    Database,
    /// The copy in XAPI's database that all hosts share.
    SharedCopy,
    /// XAPI's record of the VM.
    Xapi,
    /// What xenopsd boots the VM with.
    Xenopsd,
    /// What this boot was given, and the program that passes it on.
    QemuWrapper,
    Qemu,
    /// One that a newer vgpu-config has.
    #[serde(other)]
    Other,
}

impl fmt::Display for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Database => "database",
            Self::SharedCopy => "shared copy",
            Self::Xapi => "XAPI",
            Self::Xenopsd => "xenopsd",
            Self::QemuWrapper => "qemu-wrapper",
            Self::Qemu => "QEMU",
            Self::Other => "another link",
        })
    }
}

/// One VM's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VmCheckReply {
    pub ok: bool,
    pub vm_uuid: VmUuid,
    pub vm_name: Option<String>,
    /// The host on which it runs; `null` if it does not run.
    pub host_name: Option<String>,
    /// As in XAPI; `null` if XAPI is away or does not know the VM.
    pub power_state: Option<String>,
    pub links: Vec<LinkReply>,
    /// The first link that is not right.
    pub broken_link: Option<Link>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkReply {
    pub link: Link,
    pub ok: bool,
    /// What it has.
    pub value: String,
    /// If it is not right: why, and what to do.
    pub problem: Option<String>,
}
