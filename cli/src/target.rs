//! Runs requests on this host or on another one. The replies are the same.

use std::sync::Arc;

use vgpu_admin::arguments::{Format, ListStyle};
use vgpu_config::Error;
use vgpu_config::operations::{Caller, OtherHost, ThisHost};
use vgpu_config::paths::Root;
use vgpu_config::progress::Progress;
use vgpu_config::request::{Reply, Request};
use vgpu_config::store::Filter;

use crate::commands::{Outcome, status};
use crate::render::Sheet;
use crate::{output, progress, render};

pub struct Target {
    root: Root,
    place: Place,
    pub format: Format,
    list: ListStyle,
}

enum Place {
    Here(Box<ThisHost>),
    There { host: String },
}

/// The user, for the history. In dom0 that is root, or the user who called sudo.
fn user() -> String {
    std::env::var("SUDO_USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "root".to_owned())
}

impl Target {
    pub fn new(root: Root, host: Option<String>, format: Format, list: ListStyle) -> Self {
        let place = match host {
            Some(host) => Place::There { host },
            None => Place::Here(Box::new(ThisHost::new(root.clone(), Caller::Root).on_behalf_of(user()))),
        };
        Self { root, place, format, list }
    }

    /// `None` with `--host`.
    pub fn root_of_this_host(&self) -> Option<&Root> {
        match &self.place {
            Place::Here(_) => Some(&self.root),
            Place::There { .. } => None,
        }
    }

    /// Shows the progress if it takes long.
    pub fn ask(&self, request: Request) -> Result<Reply, Error> {
        match progress::of(&request) {
            Some(what) => self.ask_showing(&what, request),
            None => self.ask_quietly(request),
        }
    }

    /// The same with a progress of the caller's.
    pub fn ask_showing(&self, what: &str, request: Request) -> Result<Reply, Error> {
        // The reboots of several VMs are counted by the caller.
        let progress = self.progress().filter(|_| !matches!(request, Request::Apply { dry_run: false, .. }));
        progress::during(what, progress.as_deref(), || self.ask_quietly(request))
    }

    /// Another host's is not known.
    fn progress(&self) -> Option<Arc<Progress>> {
        match &self.place {
            Place::Here(here) => Some(here.progress()),
            Place::There { .. } => None,
        }
    }

    fn ask_quietly(&self, request: Request) -> Result<Reply, Error> {
        match &self.place {
            Place::Here(here) => here.execute(request),
            Place::There { host } => OtherHost::find(&self.root, host)?.execute(&request),
        }
    }

    /// Runs a request and prints the reply. Returns the exit status.
    pub fn show(&self, request: Request) -> Outcome {
        match (&self.place, self.format, &request) {
            (Place::Here(here), Format::Json, &Request::ListVms { pool, priority }) => {
                let (json, as_of) = here.list_to_json(Filter { pool, priority })?;
                output::note_age(as_of.as_deref());
                output::say_json(json)?;
                Ok(std::process::ExitCode::SUCCESS)
            }
            // A newer host may reply with more fields, so its reply is printed unchanged.
            (Place::There { host }, Format::Json, _) => {
                let mut there = OtherHost::find(&self.root, host)?;
                let json = match progress::of(&request) {
                    Some(what) => progress::during(&what, None, || there.execute_to_json(&request))?,
                    None => there.execute_to_json(&request)?,
                };
                let reply = there.read_reply(&request, &json)?;
                output::note_age(reply.as_of());
                output::say_json(json)?;
                Ok(status(&reply))
            }
            _ => self.print(&self.ask(request)?),
        }
    }

    /// Prints a reply. Returns the exit status.
    pub fn print(&self, reply: &Reply) -> Outcome {
        // Before the reply: both may go to the same terminal or file, and what comes last is read.
        output::note_age(reply.as_of());
        match (self.format, Sheet::of(reply)) {
            (Format::Json, _) => output::say_json(reply.to_json()?)?,
            (Format::Csv, Some(sheet)) => output::say_csv(&sheet.styled(&self.list)?.to_csv(self.list.no_header)?)?,
            (Format::Table, Some(sheet)) if !self.list.is_default() => {
                output::say(&sheet.styled(&self.list)?.to_table(self.list.no_header))?;
                if let (Reply::Check(reply), false) = (reply, self.list.no_header) {
                    output::say(&render::summary_of_check(reply))?;
                }
            }
            (Format::Table | Format::Csv, _) => match render::why_empty(reply) {
                Some(why) => output::tell(&format!("vgpu-admin: {why}")),
                None => output::say(&render::reply(reply)?)?,
            },
        }
        Ok(status(reply))
    }
}
