//! Whatever happens on the hosts of a resource pool, they come to one state: a property of the rows and the pool-wide copy.
//!
//! Three databases and one map stand for three hosts and XAPI's database. Every test run has the same 500 cases,
//! `VGPU_CASES` runs so many new ones; a failure prints the steps that lead to it, as few as possible.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use indexmap::IndexMap;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;
use vgpu_config::entry::Entry;
use vgpu_config::model::{DeviceVmId, PoolId, Priority, VmSettings, VmUuid};
use vgpu_config::shared_copy::{Comparison, SharedCopy};
use vgpu_config::store::{Store, Writing};
use vgpu_config::xenapi::Reference;

const HOSTS: usize = 3;
const VMS: u32 = 4;

/// What can happen on a host.
#[derive(Debug, Clone)]
enum Event {
    /// A change through the plugin or the CLI: XAPI first, then the commit.
    Change { settings: (usize, usize), number: Option<u32> },
    /// The same, and the program is killed after it has written XAPI.
    ChangeKilledBeforeCommit { settings: (usize, usize) },
    /// The same with XAPI away: the database alone.
    ChangeWithoutXapi { settings: (usize, usize) },
    /// A removal.
    Remove,
    /// A removal by hand, in the database alone.
    RemoveByHand,
    /// An edit by hand, in the database alone.
    EditByHand { settings: (usize, usize) },
    /// A start or a sync.
    Sync,
    /// The first half of a change to the copy, and the program is killed.
    EntryLost,
    /// The coordinator fails, and another comes up with the copy as it was some steps ago.
    Failover,
}

#[derive(Debug, Clone)]
struct Step {
    host: usize,
    vm: u32,
    event: Event,
}

fn any_step() -> impl Strategy<Value = Step> {
    let settings = || (0..2_usize, 0..3_usize);
    let event = prop_oneof![
        4 => (settings(), proptest::option::weighted(0.3, 1..4_u32)).prop_map(|(settings, number)| Event::Change { settings, number }),
        1 => settings().prop_map(|settings| Event::ChangeKilledBeforeCommit { settings }),
        2 => settings().prop_map(|settings| Event::ChangeWithoutXapi { settings }),
        1 => Just(Event::Remove),
        1 => Just(Event::RemoveByHand),
        1 => settings().prop_map(|settings| Event::EditByHand { settings }),
        2 => Just(Event::Sync),
        1 => Just(Event::EntryLost),
        1 => Just(Event::Failover),
    ];
    (0..HOSTS, 0..VMS, event).prop_map(|(host, vm, event)| Step { host, vm, event })
}

/// XAPI's database and the hosts' own.
struct PoolModel {
    copy: IndexMap<String, String>,
    older_copy: IndexMap<String, String>,
    stores: Vec<Store>,
    /// The VMs of which only one host at a time has spoken, with XAPI there: what was acknowledged last has to last.
    acknowledged: BTreeMap<VmUuid, Option<(PoolId, Priority)>>,
    disputed: HashSet<VmUuid>,
}

impl PoolModel {
    fn new(folder: &TempDir, template: &PathBuf) -> Self {
        let store = |host: usize| {
            let path = folder.path().join(format!("{host}.db"));
            std::fs::copy(template, &path).unwrap();
            Store::open(&path).unwrap()
        };
        Self {
            copy: IndexMap::new(),
            older_copy: IndexMap::new(),
            stores: (0..HOSTS).map(store).collect(),
            acknowledged: BTreeMap::new(),
            disputed: HashSet::new(),
        }
    }

    fn shared(&self) -> SharedCopy {
        SharedCopy::new(Reference::new("OpaqueRef:pool"), self.copy.clone())
    }

    fn happen(&mut self, step: &Step) {
        let vm: VmUuid = vgpu_tests::uuid(step.vm).parse().unwrap();
        match &step.event {
            Event::Change { settings, number } => {
                self.change(step.host, vm, Some(*settings), *number, true);
            }
            Event::Remove => self.change(step.host, vm, None, None, true),
            Event::ChangeKilledBeforeCommit { settings } => {
                self.disputed.insert(vm);
                self.change(step.host, vm, Some(*settings), None, false);
            }
            Event::ChangeWithoutXapi { settings } | Event::EditByHand { settings } => {
                self.disputed.insert(vm);
                let writing = self.stores[step.host].write().unwrap();
                put(&writing, &vm, Some(*settings), None);
                writing.commit().unwrap();
            }
            Event::RemoveByHand => {
                self.disputed.insert(vm);
                let writing = self.stores[step.host].write().unwrap();
                writing.remove(&vm).unwrap();
                writing.commit().unwrap();
            }
            Event::Sync => self.sync(step.host),
            Event::EntryLost => {
                self.disputed.insert(vm);
                self.copy.shift_remove(&Entry::key(&vm));
            }
            Event::Failover => {
                self.disputed.extend((0..VMS).map(|vm| vgpu_tests::uuid(vm).parse::<VmUuid>().unwrap()));
                std::mem::swap(&mut self.copy, &mut self.older_copy);
            }
        }
        if step.vm == 0 {
            self.older_copy = self.copy.clone();
        }
    }

    /// A change as the operations make it: the newest settings taken over, the change made, XAPI written, committed.
    fn change(&mut self, host: usize, vm: VmUuid, settings: Option<(usize, usize)>, number: Option<u32>, commit: bool) {
        let shared = self.shared();
        let writing = self.stores[host].write().unwrap();
        writing.take_over(&shared.news(writing.read()).unwrap()).unwrap();
        if settings.is_none() && writing.read().vm(&vm).unwrap().is_none() {
            return; // Who is not registered cannot be removed.
        }
        put(&writing, &vm, settings, number);
        if let Some(entry) = writing.read().entry(&vm).unwrap()
            && let Some(change) = shared.change(&vm, &entry)
        {
            self.copy.insert(change.key, change.new.unwrap());
        }
        if commit {
            if let Some(entry) = writing.read().entry(&vm).unwrap() {
                writing.mark_pushed(&vm, entry.revision, true).unwrap();
            }
            writing.commit().unwrap();
            self.acknowledged.insert(vm, settings.map(settings_of));
        }
    }

    fn sync(&mut self, host: usize) {
        let shared = self.shared();
        let writing = self.stores[host].write().unwrap();
        writing.take_over(&shared.news(writing.read()).unwrap()).unwrap();
        for (vm, entry) in writing.read().entries().unwrap() {
            if shared.compare(&vm, Some(&entry)) == Comparison::HostIsNewer
                && let Some(change) = shared.change(&vm, &entry)
            {
                self.copy.insert(change.key, change.new.unwrap());
            }
            writing.mark_pushed(&vm, entry.revision, true).unwrap();
        }
        writing.commit().unwrap();
    }

    fn says(&self, host: usize) -> BTreeMap<VmUuid, (Option<VmSettings>, i64, i64)> {
        let entries = self.stores[host].read().entries().unwrap();
        entries.into_iter().map(|(vm, entry)| (vm, (entry.settings, entry.revision, entry.changed_at))).collect()
    }
}

fn settings_of((pool, priority): (usize, usize)) -> (PoolId, Priority) {
    (PoolId::ALL[pool], Priority::ALL[priority])
}

fn put(writing: &Writing<'_>, vm: &VmUuid, settings: Option<(usize, usize)>, number: Option<u32>) {
    let Some((pool, priority)) = settings.map(settings_of) else {
        return writing.remove(vm).unwrap();
    };
    if writing.read().vm(vm).unwrap().is_some() {
        writing.set_pool_and_priority(vm, pool, priority).unwrap();
    } else {
        writing.insert(vm, None, pool, priority, None).unwrap();
    }
    writing.complete(vm).unwrap();
    let number = number.map(|number| DeviceVmId::try_from(i64::from(number)).unwrap());
    // A number that another VM has here is refused by the operation.
    if let Some(number) = number.filter(|number| writing.read().owner_of(*number).unwrap().is_none()) {
        writing.set_number(vm, number).unwrap();
    }
}

#[test]
fn all_hosts_come_to_one_state_and_no_two_vms_to_one_number() {
    // A database in memory is quick; its folder goes away with the test.
    let shm = std::path::Path::new("/dev/shm");
    let folder =
        TempDir::with_prefix_in("vgpu-", if shm.is_dir() { shm } else { std::path::Path::new("/tmp") }).unwrap();
    let template = folder.path().join("template.db");
    drop(Store::open(&template).unwrap());
    let new_cases = std::env::var("VGPU_CASES").ok().and_then(|text| text.parse().ok());
    let config = Config { cases: new_cases.unwrap_or(500), failure_persistence: None, ..Config::default() };
    let mut runner = match new_cases {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let outcome = runner.run(&proptest::collection::vec(any_step(), 1..25), |steps| {
        let mut pool = PoolModel::new(&folder, &template);
        for step in &steps {
            pool.happen(step);
        }
        // The faults have ended; each host syncs, and once more for those that came first.
        for host in (0..HOSTS).chain(0..HOSTS) {
            pool.sync(host);
        }
        let first = pool.says(0);
        for host in 1..HOSTS {
            prop_assert_eq!(&pool.says(host), &first, "host {} and host 0", host);
        }
        for (vm, entry) in pool.stores[0].read().entries().unwrap() {
            prop_assert_eq!(pool.shared().compare(&vm, Some(&entry)), Comparison::Same, "the copy of {}", vm);
        }
        let numbers: Vec<_> =
            first.values().filter_map(|(settings, ..)| settings.map(|settings| settings.vm_id)).collect();
        prop_assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len(), "a number is shared: {:?}", first);
        for (vm, acknowledged) in pool.acknowledged.iter().filter(|(vm, _)| !pool.disputed.contains(vm)) {
            let settled = first[vm].0.map(|settings| (settings.pool, settings.priority));
            prop_assert_eq!(&settled, acknowledged, "what was acknowledged last for {} is lost", vm);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{}", format!("{error:?}").replace("Step {", "\nStep {"));
    }
}
