//! Carries out the steps.

use serde_json::Value;
use simulated_host::{Fault, Service};
use vgpu_config::config_file::{ConfigFile, ConfigVm};
use vgpu_config::entry::Entry;
use vgpu_config::model::VmUuid;
use vgpu_config::operations::{self, Importing};

use super::args;
use super::boots::BootKind;
use super::ledger::Told;
use super::programs::{Answer, answer};
use super::step::{Change, Cut, Event, MOST_VMS, Number, Phrase, Program, RowEdit, Settings, Step};
use super::world::{ARGS, World};

/// What became of a step: whether it was carried out. An error is a failure of what is on trial.
pub type Outcome = Result<bool, String>;

impl World<'_> {
    /// Carries out a step, and sees what became of the arguments that are not ours.
    pub fn act(&mut self, step: &Step) -> Outcome {
        let done = self.carry_out(step)?;
        if step.event.is_ours() {
            self.check_foreign()?;
        } else {
            self.note_foreign();
        }
        Ok(done)
    }

    fn carry_out(&mut self, step: &Step) -> Outcome {
        let host = self.host_for(step);
        let vm = self.vm_for(step);
        if matches!(step.event, Event::Change { .. } | Event::EditRow(_) | Event::EditArgs(_)) {
            self.last_changed = Some(vm);
        }
        match &step.event {
            Event::Change { .. } | Event::Sync { .. } | Event::Import { .. } | Event::Adopt { .. } | Event::Prune
                if self.crashed[host] =>
            {
                Ok(false)
            }
            Event::Change { change, by, cut } => self.make_change(host, vm, *change, *by, cut.as_ref()),
            Event::Sync { by, cut } => self.do_sync(host, *by, cut.as_ref()),
            Event::Import { settings, number, prune, cut } => {
                let next = self.vms[(step.vm + 1) % self.vms.len()];
                self.import(host, [vm, next], *settings, *number, *prune, cut.as_ref())
            }
            Event::Adopt { cut } => self.adopt(host, cut.as_ref()),
            Event::Prune => self.prune(host),
            Event::Start { cut } => self.boot_with_cut(host, vm, BootKind::Start, cut.as_ref()),
            Event::Reboot { by, cut } | Event::RebootAtOnce { by, cut } => match self.pool.runs_on(&vm.to_string()) {
                Some(host) => self.boot_with_cut(host, vm, BootKind::Reboot(*by), cut.as_ref()),
                None => Ok(false),
            },
            Event::PassOn => {
                self.host(host).pass_on_events();
                Ok(true)
            }
            Event::EditRow(edit) => self.edit_row(host, vm, *edit),
            Event::EditArgs(phrases) => Ok(self.edit_args(host, vm, phrases.as_deref())),
            Event::LoseLine => {
                self.host(host).set_pool_other_config(&Entry::key(&vm), None);
                self.observe(host, &Told::default()).map(|()| true)
            }
            Event::Trouble(trouble) => Ok(self.trouble(host, trouble)),
            event => Ok(self.do_to_vm(host, vm, event)),
        }
    }

    fn edit_args(&self, host: usize, vm: VmUuid, phrases: Option<&[Phrase]>) -> bool {
        let text = phrases.map(args::text);
        self.host(host).set_platform_key(&vm.to_string(), ARGS, text.as_deref()).is_ok()
    }

    fn do_sync(&mut self, host: usize, by: Program, cut: Option<&Cut>) -> Outcome {
        let reply = self.with_cut(host, cut, |world| Ok(world.sync(host, by)))?;
        self.note(host, &reply, |_| Told { met_xapi: true, ..Told::default() })
    }

    fn adopt(&mut self, host: usize, cut: Option<&Cut>) -> Outcome {
        let adopt = |world: &mut Self| Ok(world.library(host).and_then(|host| answer(operations::adopt(&host, false))));
        let reply = self.with_cut(host, cut, adopt)?;
        let told = |reply: &Value| Told { met_xapi: true, acknowledged: listed(&reply["adopted"]), ..Told::default() };
        self.note(host, &reply, told)
    }

    fn prune(&mut self, host: usize) -> Outcome {
        let gone: Vec<_> = self.vms.iter().copied().filter(|vm| !self.is_alive(vm)).collect();
        self.ledger.forgot(gone);
        let reply = self.library(host).and_then(|host| answer(operations::prune(&host, None, None, false)));
        self.note(host, &reply, |_| Told::default())
    }

    /// Lets XAPI go away on the way through an operation, where that is wanted and nothing is wrong with it yet.
    fn with_cut<T>(
        &mut self,
        host: usize,
        cut: Option<&Cut>,
        operation: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        let cut = cut.filter(|_| self.broken[host].is_none() && !self.crashed[host]);
        match cut {
            Some(Cut::After(after, fault)) => {
                self.host(host).set_fault_after_any(Service::Xapi, *after, fault.clone());
            }
            Some(Cut::Refuses) => {
                let refusal = Fault::error("INTERNAL_ERROR", &["on purpose"]);
                let set = self.host(host).set_fault_in(Service::Xapi, "VM.remove_from_platform", refusal);
                set.expect("no socket is closed for that");
            }
            None => {}
        }
        if cut.is_some_and(Cut::hangs) {
            self.hurry(host, true);
        }
        let outcome = operation(self);
        if cut.is_some() {
            self.host(host).clear_faults().expect("sockets can be opened");
            self.host(host).wait_for_late_calls();
            self.hurry(host, false);
        }
        outcome
    }

    /// The same for an operation that does all or nothing: refused, it leaves what the hosts share as it was.
    fn undoing(
        &mut self,
        host: usize,
        cut: Option<&Cut>,
        operation: impl FnOnce(&mut Self) -> Answer,
    ) -> Result<Answer, String> {
        let before = self.replica();
        let answer = self.with_cut(host, cut, |world| Ok(operation(world)))?;
        let may_change = answer.is_ok() || matches!(cut, Some(Cut::After(..))) || self.broken[host].is_some();
        if !may_change && self.replica() != before {
            return Err(format!("{answer:?}, but XAPI went from {before:?} to {:?}", self.replica()));
        }
        Ok(answer)
    }

    /// Notes what an operation has done, or may have done where it failed.
    fn note(&mut self, host: usize, reply: &Answer, told: impl FnOnce(&Value) -> Told) -> Outcome {
        let told = reply.as_ref().map(told);
        self.observe(host, told.as_ref().unwrap_or(&Told::default()))?;
        Ok(reply.is_ok())
    }

    fn make_change(&mut self, host: usize, vm: VmUuid, change: Change, by: Program, cut: Option<&Cut>) -> Outcome {
        let before = self.ledger.newest(host, &vm).and_then(|said| said.settings);
        let is_certain = self.ledger.is_certain(host, &vm);
        let reply = self.undoing(host, cut, |world| world.change(host, vm, change, by))?;
        let Ok(reply) = reply else { return self.note(host, &reply, |_| Told::default()) };
        let met_xapi = reply["xapi"] != "away";
        let said = settings_in(&reply["vm"]);
        let wanted = match change {
            Change::Register(settings, _) | Change::Update(settings) => Some(settings),
            Change::SetPool(pool) => before.map(|(_, priority)| (pool, priority)),
            Change::SetPriority(priority) => before.map(|(pool, _)| (pool, priority)),
            Change::Renumber(_) | Change::Remove => before,
        };
        if met_xapi && is_certain && said != wanted {
            return Err(format!("{change:?} of {vm} on host {host} made {said:?} of {before:?}"));
        }
        let settings = said.filter(|_| !matches!(change, Change::Remove));
        self.note(host, &Ok(reply), |_| Told { met_xapi, acknowledged: vec![(vm, settings)], ..Told::default() })
    }

    fn import(
        &mut self,
        host: usize,
        vms: [VmUuid; 2],
        settings: [Settings; 2],
        number: Option<Number>,
        prune: bool,
        cut: Option<&Cut>,
    ) -> Outcome {
        let numbers = [number.map(Number::get), None];
        let listed = vms.into_iter().zip(settings).zip(numbers);
        let file = ConfigFile::new(
            listed
                .map(|((vm_uuid, (pool, priority)), vm_id)| ConfigVm { vm_uuid, vm_name: None, pool, priority, vm_id })
                .collect(),
        );
        let import = |world: &mut Self| {
            world
                .library(host)
                .and_then(|host| answer(operations::import(&host, &file, Importing { prune, ..Importing::default() })))
        };
        let reply = self.undoing(host, cut, import)?;
        self.note(host, &reply, |reply| {
            let notes = reply["notes"].as_array().into_iter().flatten();
            let is_away = notes.filter_map(Value::as_str).any(|note| note.contains("Only the database"));
            let removed = reply["changes"].as_array().into_iter().flatten().filter(|change| change["to"].is_null());
            let removed = removed.filter_map(|change| Some((change["vm_uuid"].as_str()?.parse().ok()?, None)));
            let named = vms.into_iter().zip(settings.map(Some));
            Told { met_xapi: !is_away, acknowledged: named.chain(removed).collect(), ..Told::default() }
        })
    }

    fn boot_with_cut(&mut self, host: usize, vm: VmUuid, kind: BootKind, cut: Option<&Cut>) -> Outcome {
        let booted = self.with_cut(host, cut, |world| world.boot(host, &vm, kind, cut.is_some()))?;
        Ok(booted.is_ok())
    }

    fn edit_row(&mut self, host: usize, vm: VmUuid, edit: RowEdit) -> Outcome {
        let (sql, settings) = match edit {
            RowEdit::Insert((pool, priority)) => {
                let values = format!("'{vm}', '{pool}', {}", priority.as_number());
                (format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ({values})"), Some((pool, priority)))
            }
            RowEdit::Update((pool, priority)) => {
                let values = format!("pool_id = '{pool}', priority = {}", priority.as_number());
                (format!("UPDATE vms SET {values} WHERE vm_uuid = '{vm}'"), Some((pool, priority)))
            }
            RowEdit::Delete => (format!("DELETE FROM vms WHERE vm_uuid = '{vm}'"), None),
        };
        let told = self.told_revision(host, &vm);
        if self.sql(host, &sql).unwrap_or_default() == 0 {
            return Ok(false);
        }
        self.ledger.edits(host, vm, told);
        self.observe(host, &Told { by_hand: true, acknowledged: vec![(vm, settings)], ..Told::default() })?;
        Ok(true)
    }

    fn do_to_vm(&mut self, host: usize, vm: VmUuid, event: &Event) -> bool {
        let uuid = vm.to_string();
        match event {
            Event::Create(args) if !self.is_alive(&vm) => {
                self.create(vm, args.as_ref());
                true
            }
            Event::Create(_) | Event::Clone if self.vms.len() == MOST_VMS => false,
            Event::Create(args) => {
                self.create(self.next_vm(), args.as_ref());
                true
            }
            Event::Clone => {
                let copy = self.next_vm();
                let cloned = self.host(host).clone_vm_with_uuid(&uuid, "copy", &copy.to_string()).is_ok();
                self.vms.extend(cloned.then_some(copy));
                cloned
            }
            Event::Snapshot => {
                let taken = self.host(host).snapshot(&uuid, "snapshot").ok();
                self.snapshots.extend(taken.iter().map(|snapshot| (vm, snapshot.clone())));
                taken.is_some()
            }
            Event::Revert => {
                let last = self.snapshots.iter().rev().find(|(of, _)| *of == vm);
                last.is_some_and(|(_, snapshot)| self.host(host).revert(snapshot).is_ok())
            }
            Event::Destroy => self.host(host).destroy(&uuid).is_ok(),
            Event::Shutdown => self.host(host).shutdown(&uuid).is_ok(),
            Event::Migrate => {
                let from = self.pool.runs_on(&uuid);
                from.is_some_and(|from| from != host && self.pool.migrate(&uuid, from, host).is_ok())
            }
            _ => false,
        }
    }
}

fn settings_in(vm: &Value) -> Option<Settings> {
    Some((vm["pool"].as_str()?.parse().ok()?, vm["priority"].as_str()?.parse().ok()?))
}

/// The VMs of a list in a reply, with their settings.
fn listed(vms: &Value) -> Vec<(VmUuid, Option<Settings>)> {
    let vm = |vm: &Value| Some((vm["vm_uuid"].as_str()?.parse().ok()?, settings_in(vm)));
    vms.as_array().into_iter().flatten().filter_map(vm).collect()
}
