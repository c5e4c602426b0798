//! Three hosts, what each of them and XAPI say of a VM, and whether they all say the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vgpu_config::entry::Entry;
use vgpu_tests::ResourcePool;
use vgpu_tests::tools::sql_ok;
pub use vgpu_tests::{shared_key as key, wait_until};

/// How many hosts the pools of these tests have.
pub const HOSTS: usize = 3;

/// Three hosts and a VM that none of them has heard of.
pub fn pool_with_vm() -> (ResourcePool, String) {
    let pool = ResourcePool::new(HOSTS);
    let vm = pool.host(0).create_vm("web01");
    (pool, vm)
}

/// Three hosts and a VM in GPU pool A at high priority, registered on the first and known to it alone.
pub fn pool_with_registered_vm() -> (ResourcePool, String) {
    let (pool, vm) = pool_with_vm();
    pool.on(0).register(&vm, "A", "high");
    (pool, vm)
}

/// The same, known to all three.
pub fn pool_with_known_vm() -> (ResourcePool, String) {
    let (pool, vm) = pool_with_registered_vm();
    sync_all(&pool);
    (pool, vm)
}

/// One more VM that all hosts know, in GPU pool A at high priority.
pub fn known_vm(pool: &ResourcePool) -> String {
    let vm = pool.host(0).create_vm("another");
    pool.on(0).register(&vm, "A", "high");
    sync_all(pool);
    vm
}

/// Lets every host take over what the others have written.
pub fn sync_all(pool: &ResourcePool) {
    for host in 0..HOSTS {
        pool.on(host).plugin("sync", &[]);
    }
}

/// What the pool-wide copy says of a VM.
pub fn entry(pool: &ResourcePool, vm: &str) -> Option<Entry> {
    let value = pool.host(0).pool_other_config().get(&key(vm))?.clone();
    Some(Entry::parse(&value).unwrap_or_else(|error| panic!("{error}")))
}

/// The same as text.
pub fn value(pool: &ResourcePool, vm: &str) -> Option<String> {
    pool.host(0).pool_other_config().get(&key(vm)).cloned()
}

/// Writes the pool-wide copy as somebody else would.
pub fn set_value(pool: &ResourcePool, vm: &str, value: Option<&str>) {
    pool.host(0).set_pool_other_config(&key(vm), value);
}

/// The VM's device-model-args in XAPI.
pub fn args(pool: &ResourcePool, vm: &str) -> Option<String> {
    pool.host(0).platform(vm).get("device-model-args").cloned()
}

pub fn set_args(pool: &ResourcePool, vm: &str, args: Option<&str>) {
    pool.host(0).set_platform_key(vm, "device-model-args", args).unwrap();
}

/// Edits a host's database by hand.
pub fn sql(pool: &ResourcePool, host: usize, text: &str) -> String {
    sql_ok(&pool.on(host).root.database(), text)
}

/// Changes a VM's GPU pool through the plugin of a host.
pub fn set_pool(pool: &ResourcePool, host: usize, vm: &str, to: &str) {
    pool.on(host).plugin("set_pool", &[("vm_uuid", vm), ("pool", to)]);
}

/// A host's rows: settings, number, revision and time of every VM that it ever heard of.
pub fn rows(pool: &ResourcePool, host: usize) -> String {
    sql(
        pool,
        host,
        "SELECT s.vm_uuid, pool_id, priority, CASE WHEN pool_id IS NULL THEN '-' ELSE device_vm_id END, revision,
             coalesce(updated_at, removed_at)
         FROM vm_state s LEFT JOIN vms ON vms.vm_uuid = s.vm_uuid ORDER BY s.vm_uuid",
    )
}

/// A host's row of one VM; empty where it never heard of it.
pub fn row(pool: &ResourcePool, host: usize, vm: &str) -> String {
    let rows = rows(pool, host);
    rows.lines().find(|row| row.starts_with(vm)).unwrap_or_default().to_owned()
}

/// Everything there is: each host's database, the pool's map, and the VMs' arguments.
#[derive(Debug, PartialEq)]
pub struct State {
    databases: Vec<String>,
    other_config: BTreeMap<String, String>,
    args: Vec<Option<String>>,
}

pub fn state(pool: &ResourcePool, vms: &[&str]) -> State {
    State {
        databases: (0..HOSTS).map(|host| sql(pool, host, ".dump")).collect(),
        other_config: pool.host(0).pool_other_config().into_iter().collect(),
        args: vms.iter().map(|vm| args(pool, vm)).collect(),
    }
}

/// Nothing has changed; shows what has, and not all there is.
pub fn assert_unchanged(before: &State, after: &State, why: &str) {
    for (host, (before, after)) in before.databases.iter().zip(&after.databases).enumerate() {
        let changed: Vec<_> = after.lines().filter(|line| !before.lines().any(|before| before == *line)).collect();
        assert!(before == after, "{why}: the database of host {host} has changed: {changed:?}");
    }
    assert_eq!((&after.other_config, &after.args), (&before.other_config, &before.args), "{why}");
}

/// Starts a VM on a host, ends it again, and gives what its QEMU got.
pub fn started(pool: &ResourcePool, host: usize, vm: &str) -> Option<String> {
    let got = pool.on(host).start(vm);
    pool.on(host).shutdown(vm).unwrap();
    got
}

/// Our argument for an entry's settings.
pub fn argument(entry: &Entry) -> Option<String> {
    let settings = entry.settings?;
    Some(format!("-device vgpu-stub,pool_id={},priority={},vm_id={}", settings.pool, settings.priority, settings.vm_id))
}

/// XAPI already says the newest of a VM, in both places; every host takes that over and has nothing to add.
pub fn assert_one_state(pool: &ResourcePool, vm: &str, why: &str) {
    let said = value(pool, vm);
    let entry = entry(pool, vm).unwrap_or_else(|| panic!("{why}: XAPI has no entry of {vm}"));
    assert_eq!(args(pool, vm), argument(&entry), "{why}: the VM's record and the pool's map");
    for host in 0..HOSTS {
        let synced = pool.on(host).plugin("sync", &[]);
        for list in ["pushed", "repaired", "left_alone"] {
            assert_eq!(synced[list], json!([]), "{why}: host {host}: {list}");
        }
    }
    assert_eq!(value(pool, vm), said, "{why}: the hosts had nothing to add");
    let first = row(pool, 0, vm);
    assert!(!first.is_empty(), "{why}: host 0 knows nothing of {vm}");
    for host in 1..HOSTS {
        assert_eq!(row(pool, host, vm), first, "{why}: host {host} and host 0");
    }
    assert_eq!(self::entry(pool, vm).map(|entry| entry.revision), revision(pool, 0, vm), "{why}");
}

/// The revision of a host's row.
pub fn revision(pool: &ResourcePool, host: usize, vm: &str) -> Option<i64> {
    sql(pool, host, &format!("SELECT revision FROM vm_state WHERE vm_uuid = '{vm}'")).trim().parse().ok()
}

/// The GPU pool that the plugin on a host shows for a VM.
pub fn shown(pool: &ResourcePool, host: usize, vm: &str) -> Value {
    pool.on(host).plugin("show_vm", &[("vm_uuid", vm)])["pool"].clone()
}

/// The lines that our hook has logged on a host.
pub fn hook_log(pool: &ResourcePool, host: usize) -> Vec<String> {
    pool.on(host).syslog_lines().into_iter().filter(|line| line.contains("vgpu-hook")).collect()
}

/// The last of them.
pub fn last_log(pool: &ResourcePool, host: usize) -> String {
    hook_log(pool, host).pop().unwrap_or_else(|| panic!("the hook on host {host} has logged nothing"))
}
