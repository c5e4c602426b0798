//! Replies about what VMs run with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SettingsReply;
use crate::model::{VmSettings, VmUuid};
use crate::qemu::RunsWith;
use crate::store::CheckItem;

/// What the VMs on a host run with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunningReply {
    /// Whether a VM that starts on this host now gets its vGPU.
    pub qemu_wrapper: CheckItem,
    pub vms: Vec<RunningVm>,
}

impl RunningReply {
    /// A VM with the domain that XAPI's record has: another one is from before it was moved or rebooted.
    #[must_use]
    pub fn vm(&self, vm_uuid: VmUuid, domid: i64) -> Option<&RunningVm> {
        self.vms.iter().find(|running| running.vm_uuid == vm_uuid && running.domid == domid)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunningVm {
    pub vm_uuid: VmUuid,
    pub vm_name: String,
    pub domid: i64,
    pub state: RunningState,
    /// Of a vGPU: its values.
    #[serde(flatten)]
    pub settings: Option<SettingsReply>,
    /// QEMU's argument; empty for no vGPU, `null` if it is not known.
    pub device_argument: Option<String>,
    /// Why it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunningState {
    Vgpu,
    NoVgpu,
    /// A vGPU whose values cannot be read, or several.
    Unclear,
    /// A PV or PVH guest, or one that starts or ends right now.
    NoQemu,
    /// The processes of the host cannot be read, or a newer vgpu-config says something else.
    #[serde(other)]
    NotReadable,
}

impl RunningVm {
    #[must_use]
    pub fn new(vm_uuid: VmUuid, vm_name: String, domid: i64, runs_with: RunsWith) -> Self {
        let settings = runs_with.settings().map(SettingsReply::from);
        let device_argument = runs_with.device_argument().map(str::to_owned);
        let (state, why) = match runs_with {
            RunsWith::Vgpu { .. } => (RunningState::Vgpu, None),
            RunsWith::NoVgpu => (RunningState::NoVgpu, None),
            RunsWith::Unclear { .. } => (RunningState::Unclear, None),
            RunsWith::NoQemu => (RunningState::NoQemu, None),
            RunsWith::NotReadable { why } => (RunningState::NotReadable, Some(why)),
        };
        Self { vm_uuid, vm_name, domid, state, settings, device_argument, why }
    }

    /// Whether it runs with exactly these settings, or without a vGPU if there are none. `None` if that is not known.
    #[must_use]
    pub fn is_as_configured(&self, wanted: Option<VmSettings>) -> Option<bool> {
        match self.state {
            RunningState::Vgpu => Some(self.settings == wanted.map(SettingsReply::from)),
            RunningState::NoVgpu => Some(wanted.is_none()),
            RunningState::Unclear => Some(false),
            RunningState::NoQemu | RunningState::NotReadable => None,
        }
    }
}

/// What a VM runs with, compared with its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunsWithReply {
    pub state: RunsWithState,
    /// The host on which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Of a vGPU: its values.
    #[serde(flatten)]
    pub settings: Option<SettingsReply>,
    /// QEMU's argument; empty for no vGPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_argument: Option<String>,
    /// Why it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunsWithState {
    AsConfigured,
    /// Another GPU pool, priority or number.
    Differs,
    NoVgpu,
    /// A vGPU whose values cannot be read, or several.
    Unclear,
    /// A PV or PVH guest, or one that starts or ends right now.
    NoQemu,
    Halted,
    Suspended,
    /// On another host, which was not asked.
    Elsewhere,
    /// XAPI does not know the VM.
    UnknownVm,
    /// XAPI, the host or its processes could not be asked, or a newer vgpu-config says something else.
    #[serde(other)]
    NotKnown,
}

impl RunsWithReply {
    /// Without anything that is known of a QEMU.
    #[must_use]
    pub fn only(state: RunsWithState) -> Self {
        Self { state, host_name: None, settings: None, device_argument: None, why: None }
    }

    /// Without settings to compare with, a vGPU differs.
    #[must_use]
    pub fn on(host_name: Option<String>, running: RunningVm, wanted: Option<VmSettings>) -> Self {
        let state = match running.state {
            _ if wanted.is_some() && running.is_as_configured(wanted) == Some(true) => RunsWithState::AsConfigured,
            RunningState::Vgpu => RunsWithState::Differs,
            RunningState::NoVgpu => RunsWithState::NoVgpu,
            RunningState::Unclear => RunsWithState::Unclear,
            RunningState::NoQemu => RunsWithState::NoQemu,
            RunningState::NotReadable => RunsWithState::NotKnown,
        };
        let RunningVm { settings, device_argument, why, .. } = running;
        Self { state, host_name, settings, device_argument, why }
    }
}
