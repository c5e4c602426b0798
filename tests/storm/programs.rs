//! Operations by the library, by `vgpu-admin` and by the plugin: one and the same to this test.

use serde_json::Value;
use vgpu_config::model::VmUuid;
use vgpu_config::operations::{self, Host, RegisterVm, UpdateVm};

use super::step::{Change, Program};
use super::world::World;

/// What an operation answers, or why it failed.
pub type Answer = Result<Value, String>;

impl World<'_> {
    /// A change of a VM's settings.
    pub fn change(&self, host: usize, vm: VmUuid, change: Change, by: Program) -> Answer {
        match by {
            Program::Library => change_in_library(&self.library(host)?, vm, change),
            Program::Admin | Program::Plugin => {
                let (function, mut options) = as_call(change);
                options.insert(0, ("vm_uuid", vm.to_string()));
                self.call(host, by, function, &options)
            }
        }
    }

    /// Brings all to one state, from this host.
    pub fn sync(&self, host: usize, by: Program) -> Answer {
        match by {
            Program::Library => answer(operations::sync(&self.library(host)?, false)),
            Program::Admin | Program::Plugin => self.call(host, by, "sync", &[]),
        }
    }

    fn call(&self, host: usize, by: Program, function: &str, options: &[(&str, String)]) -> Answer {
        let text = if by == Program::Plugin {
            let options: Vec<_> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
            self.host(host).call_plugin("vgpu", function, &options).map_err(|error| error.to_string())?
        } else {
            let options = options.iter().map(|(name, value)| format!("--{}={value}", name.replace('_', "-")));
            let yes = (function == "remove_vm").then(|| "--yes".to_owned());
            let command = [function.replace('_', "-"), "--format=json".to_owned()];
            let words: Vec<String> = command.into_iter().chain(options).chain(yes).collect();
            let ran = self.root(host).admin(&words.iter().map(String::as_str).collect::<Vec<_>>());
            if ran.code != Some(0) {
                return Err(ran.stderr);
            }
            ran.stdout
        };
        Ok(serde_json::from_str(&text).expect("programs answer JSON"))
    }
}

/// What the library answers, as the programs print it.
pub fn answer<T: serde::Serialize>(reply: Result<T, vgpu_config::Error>) -> Answer {
    reply.map(|reply| serde_json::to_value(reply).unwrap()).map_err(|error| error.to_string())
}

fn change_in_library(host: &Host, vm_uuid: VmUuid, change: Change) -> Answer {
    let update = |change: UpdateVm| operations::update_vms(host, &[vm_uuid], &change, false);
    let replies = match change {
        Change::Register((pool, priority), number) => {
            let vm_id = number.map(super::step::Number::get);
            let request = RegisterVm { vm_uuid, vm_name: None, pool, priority, vm_id, force: false };
            operations::register_vms(host, &[request], false)
        }
        Change::Update((pool, priority)) => {
            update(UpdateVm { pool: Some(pool), priority: Some(priority), ..UpdateVm::default() })
        }
        Change::SetPool(pool) => update(UpdateVm { pool: Some(pool), ..UpdateVm::default() }),
        Change::SetPriority(priority) => update(UpdateVm { priority: Some(priority), ..UpdateVm::default() }),
        Change::Renumber(number) => update(UpdateVm { vm_id: Some(number.get()), ..UpdateVm::default() }),
        Change::Remove => operations::remove_vms(host, &[vm_uuid], false),
    };
    answer(replies.map(|mut replies| replies.remove(0)))
}

/// A change as a function with options.
fn as_call(change: Change) -> (&'static str, Vec<(&'static str, String)>) {
    let pool = |pool: &dyn ToString| ("pool", pool.to_string());
    let priority = |priority: &dyn ToString| ("priority", priority.to_string());
    let vm_id = |number: super::step::Number| ("vm_id", number.get().to_string());
    match change {
        Change::Register(settings, number) => {
            let options = [pool(&settings.0), priority(&settings.1)].into_iter().chain(number.map(vm_id));
            ("register_vm", options.collect())
        }
        Change::Update(settings) => ("update_vm", vec![pool(&settings.0), priority(&settings.1)]),
        Change::SetPool(to) => ("set_pool", vec![pool(&to)]),
        Change::SetPriority(to) => ("set_priority", vec![priority(&to)]),
        Change::Renumber(number) => ("update_vm", vec![vm_id(number)]),
        Change::Remove => ("remove_vm", Vec::new()),
    }
}
