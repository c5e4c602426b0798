//! To whom a step happens.

use vgpu_config::model::VmUuid;

use super::step::{Change, Event, HOSTS, RowEdit, Step, Trouble};
use super::world::World;

impl World<'_> {
    /// The host of a step: the next one to which it can happen, for most steps would be of no use otherwise.
    pub fn host_for(&self, step: &Step) -> usize {
        let wanted = |host: &usize| match step.event {
            Event::Trouble(Trouble::Restart | Trouble::DeclareDead) => self.crashed[*host],
            Event::Trouble(Trouble::Mend) => self.broken[*host].is_some(),
            Event::Trouble(Trouble::FailOver) => *host != self.pool.coordinator_index(),
            _ => true,
        };
        (step.host..step.host + HOSTS).map(|host| host % HOSTS).find(wanted).unwrap_or(step.host)
    }

    /// The VM of a step: likewise.
    pub fn vm_for(&self, step: &Step) -> VmUuid {
        if let (Event::RebootAtOnce { .. }, Some(vm)) = (&step.event, self.last_changed) {
            return vm;
        }
        let newest = |vm: &VmUuid| self.ledger.newest(step.host, vm);
        let is_registered = |vm: &VmUuid| newest(vm).is_some_and(|said| said.settings.is_some());
        let has_row =
            |vm: &VmUuid| self.ledger.hosts[step.host].says.get(vm).is_some_and(|said| said.settings.is_some());
        let wanted = |vm: &VmUuid| match &step.event {
            Event::Change { change: Change::Register(..), .. } => !is_registered(vm),
            Event::Change { .. } => is_registered(vm),
            Event::EditRow(RowEdit::Update(_) | RowEdit::Delete) => has_row(vm),
            Event::EditRow(RowEdit::Insert(_)) => !has_row(vm),
            Event::Reboot { .. } | Event::RebootAtOnce { .. } | Event::Shutdown | Event::Migrate => {
                self.pool.runs_on(&vm.to_string()).is_some()
            }
            Event::Start { .. } => self.pool.runs_on(&vm.to_string()).is_none() && self.is_alive(vm),
            Event::Revert => self.snapshots.iter().any(|(of, _)| of == vm),
            _ => true,
        };
        let count = self.vms.len();
        let mut vms = (step.vm..step.vm + count).map(|number| self.vms[number % count]);
        vms.find(wanted).unwrap_or(self.vms[step.vm % count])
    }
}
