//! The end of a case: the faults are over, every host syncs once, and all has to be one.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use vgpu_config::model::VmUuid;

use super::args;
use super::boots::BootKind;
use super::ledger::{Says, Told};
use super::step::{HOSTS, Program, Rebooter};
use super::world::World;

/// What XAPI has of the living VMs: their lines, and their arguments.
type InXapi = (Says, BTreeMap<VmUuid, Option<String>>);

impl World<'_> {
    /// Ends all faults, lets every host sync once, and checks that all is one then.
    pub fn end(&mut self, order: [usize; HOSTS], first_start: usize) -> Result<(), String> {
        self.pool.end_all_faults().expect("sockets can be opened");
        (self.crashed, self.broken) = Default::default();
        for (host, by) in order.into_iter().zip([Program::Library, Program::Library, Program::Admin]) {
            self.sync_at_the_end(host, by)?;
        }
        // Who synced first could not know what the others had. What XAPI has is final all the same.
        let in_xapi = self.in_xapi();
        for host in order {
            let reply = self.sync_at_the_end(host, Program::Library)?;
            let is_alive = |vm: &Value| vm.as_str().is_some_and(|vm| self.is_alive(&vm.parse().expect("a UUID")));
            let lists = ["pushed", "repaired"].into_iter().filter_map(|list| reply[list].as_array());
            if lists.flatten().any(is_alive) {
                return Err(format!("the second sync of host {host} still has something to do: {reply}"));
            }
        }
        if self.in_xapi() != in_xapi {
            return Err(format!("the second syncs have changed XAPI from {in_xapi:?} to {:?}", self.in_xapi()));
        }
        self.all_are_one()?;
        for vm in self.living() {
            self.ledger.judge(&vm, self.ledger.replica.says.get(&vm).copied())?;
        }
        self.all_start(first_start)
    }

    fn sync_at_the_end(&mut self, host: usize, by: Program) -> Result<Value, String> {
        let reply = self.sync(host, by).map_err(|error| format!("host {host} does not sync: {error}"))?;
        if reply["left_alone"] != Value::Array(Vec::new()) {
            return Err(format!("the sync of host {host} has left something alone: {reply}"));
        }
        self.observe(host, &Told { met_xapi: true, acknowledged: Vec::new(), ..Told::default() })?;
        self.check_foreign()?;
        Ok(reply)
    }

    fn in_xapi(&self) -> InXapi {
        let living = self.living();
        let lines = self.replica().into_iter().filter(|(vm, _)| living.contains(vm)).collect();
        (lines, living.iter().map(|vm| (*vm, self.args_in_xapi(vm))).collect())
    }

    /// All databases and XAPI's say the same of the living VMs, and no two of those have one number.
    fn all_are_one(&self) -> Result<(), String> {
        let (lines, arguments) = self.in_xapi();
        let mut owners: HashMap<u32, VmUuid> = HashMap::new();
        let first = self.rows(0);
        for host in 0..HOSTS {
            let mut rows = self.rows(host);
            rows.retain(|vm, _| arguments.contains_key(vm));
            let says: Says = rows.iter().map(|(vm, (said, _))| (*vm, *said)).collect();
            if says != lines {
                return Err(format!("host {host} says {says:?}, XAPI {lines:?}"));
            }
            for (vm, (said, number)) in rows.into_iter().filter(|(_, (said, _))| said.settings.is_some()) {
                let Some(number) = number else { return Err(format!("{vm} has no number on host {host}")) };
                if *owners.entry(number).or_insert(vm) != vm {
                    return Err(format!("{vm} and {} have the number {number}", owners[&number]));
                }
                if first.get(&vm).is_none_or(|(_, first)| *first != Some(number)) {
                    return Err(format!("{vm} has the number {number} on host {host}, not on host 0: {first:?}"));
                }
                match args::all(arguments[&vm].as_deref()).as_slice() {
                    [one] if one.settings == said.settings && one.number == Some(number) => {}
                    _ => return Err(format!("XAPI has {:?} for {vm}: {said:?} {number}", arguments[&vm])),
                }
            }
        }
        Ok(())
    }

    /// Every VM starts, or reboots where it runs, with what its settings say; and so has XAPI for the time after.
    fn all_start(&mut self, first_start: usize) -> Result<(), String> {
        for (number, vm) in self.living().into_iter().enumerate() {
            let before = self.args_in_xapi(&vm);
            let runs_on = self.pool.runs_on(&vm.to_string());
            let host = runs_on.unwrap_or((first_start + number) % HOSTS);
            let kind = if runs_on.is_some() { BootKind::Reboot(Rebooter::Guest) } else { BootKind::Start };
            self.boot(host, &vm, kind, false)?.map_err(|error| format!("{vm} does not start: {error}"))?;
            let boots = self.host(host).boots(&vm.to_string());
            let args = boots.last().and_then(|boot| boot.device_model_args.clone());
            self.check_boot(host, &vm, args.as_deref())?;
            self.check_foreign_in_platform(&vm)?;
            if runs_on.is_some() {
                // A reboot is not made from XAPI's record; the next start is, and corrects it where there is need.
                continue;
            }
            self.check_boot(host, &vm, self.args_in_xapi(&vm).as_deref())?;
            let is_nobodys = |args: &Option<String>| self.check_boot(host, &vm, args.as_deref()).is_ok();
            if is_nobodys(&before) && args != before {
                return Err(format!("{vm} had {before:?}, which was right, and started with {args:?}"));
            }
        }
        Ok(())
    }
}
