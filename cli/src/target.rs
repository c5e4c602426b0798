//! Where an operation is carried out: here, or on another host of the resource pool through its plugin. Both answer the
//! same, and are printed the same.

use std::cell::OnceCell;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use vgpu_admin::arguments::Format;
use vgpu_config::Error;
use vgpu_config::operations::{Caller, Host, OtherHost, VmSelector};
use vgpu_config::paths::Root;

use crate::output;

/// How long another host may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long it may take to change many VMs there, or to reboot them one after the other.
const LONG_PATIENCE: Duration = Duration::from_hours(24);

/// Where an operation is carried out, and how its answer is printed.
pub struct Target {
    place: Place,
    pub format: Format,
}

enum Place {
    Here(Box<Here>),
    There { root: Root, host: String },
}

/// This host. Its database is opened when it is first asked for: `check` works without.
pub struct Here {
    pub root: Root,
    host: OnceCell<Host>,
}

impl Here {
    /// This host, opened.
    pub fn host(&self) -> Result<&Host, Error> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let host = Host::open(self.root.clone(), Caller::Root)?.on_behalf_of(Some(user()));
        Ok(self.host.get_or_init(|| host))
    }
}

/// Who is at the keyboard. In dom0 that is root; sudo says who became root.
fn user() -> String {
    std::env::var("SUDO_USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "root".to_owned())
}

/// A call of the plugin's function that does what an operation here does.
pub struct Call {
    function: &'static str,
    arguments: Vec<(&'static str, String)>,
    patience: Duration,
}

impl Call {
    pub fn of(function: &'static str) -> Self {
        Self { function, arguments: Vec::new(), patience: PATIENCE }
    }

    pub fn with(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.arguments.push((name, value.to_string()));
        self
    }

    pub fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, &value),
            None => self,
        }
    }

    pub fn vm(self, vm: &VmSelector) -> Self {
        match vm {
            VmSelector::Uuid(uuid) => self.with("vm_uuid", uuid),
            VmSelector::Name(name) => self.with("vm_name", name),
        }
    }

    /// One that may take long: a change of many VMs, or their reboots.
    pub fn patiently(self) -> Self {
        Self { patience: LONG_PATIENCE, ..self }
    }
}

impl Target {
    pub fn new(root: Root, host: Option<String>, format: Format) -> Self {
        let place = match host {
            Some(host) => Place::There { root, host },
            None => Place::Here(Box::new(Here { root, host: OnceCell::new() })),
        };
        Self { place, format }
    }

    /// This host, where that is meant.
    pub fn here(&self) -> Option<&Here> {
        match &self.place {
            Place::Here(here) => Some(here),
            Place::There { .. } => None,
        }
    }

    /// Carries out an operation.
    pub fn ask<T: DeserializeOwned>(
        &self,
        call: &Call,
        operation: impl FnOnce(&Here) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.place {
            Place::Here(here) => operation(here),
            Place::There { root, host } => parse(host, &there(root, host, call)?),
        }
    }

    /// Carries out an operation and prints its answer. What another host answers in JSON is printed as it came.
    pub fn show<T: Serialize + DeserializeOwned>(
        &self,
        call: &Call,
        operation: impl FnOnce(&Here) -> Result<T, Error>,
        render: impl Fn(&T) -> String,
    ) -> Result<T, Error> {
        match &self.place {
            Place::There { root, host } if self.format == Format::Json => {
                let answer = there(root, host, call)?;
                let reply = parse(host, &answer)?;
                output::say(&answer)?;
                Ok(reply)
            }
            _ => {
                let reply = self.ask(call, operation)?;
                output::print(self.format, &reply, render)?;
                Ok(reply)
            }
        }
    }
}

fn there(root: &Root, host: &str, call: &Call) -> Result<String, Error> {
    OtherHost::find(root, host, call.patience)?.call(call.function, &call.arguments)
}

fn parse<T: DeserializeOwned>(host: &str, answer: &str) -> Result<T, Error> {
    serde_json::from_str(answer)
        .map_err(|error| Error::OtherAnswer { host: host.to_owned(), reason: error.to_string() })
}
