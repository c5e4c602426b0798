//! Many VMs: what may grow with their number, and what may not.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use proptest::prelude::*;
use vgpu_config::entry::News;
use vgpu_config::model::{DeviceVmId, PoolId, Priority, VmUuid};
use vgpu_config::shared_copy::SharedCopy;
use vgpu_config::store::{Registration, Store};
use vgpu_config::xenapi::Reference;
use vgpu_tests::tools::{sql_each, sql_ok};
use vgpu_tests::{ScratchRoot, VM, uuid};

/// A root whose database has so many VMs, inserted by hand, which nobody has looked at since.
fn with_rows(count: u32) -> ScratchRoot {
    let root = ScratchRoot::new();
    root.admin_ok(&["list-vms"]);
    let vms: Vec<_> = (1..count).map(uuid).chain([VM.to_owned()]).collect();
    root.write("vms", vms.join("\n") + "\n");
    // In one statement: the shell would compile every trigger for each row.
    let file = root.path("vms");
    let script = format!(
        "CREATE TEMP TABLE new (vm_uuid);\n.import {} new\n\
         INSERT INTO vms (vm_uuid, pool_id, priority) SELECT vm_uuid, 'A', 2 FROM new;",
        file.display()
    );
    sql_ok(&root.database(), &script);
    root
}

/// How many bytes this thread has read from files so far.
fn bytes_read() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

/// How many bytes are read for a piece of work.
fn read_by<T>(work: impl FnOnce() -> T) -> u64 {
    let before = bytes_read();
    work();
    bytes_read() - before
}

fn show(database: &Path) -> DeviceVmId {
    let store = Store::open(database).unwrap();
    store.read().vm(&VM.parse().unwrap()).unwrap().unwrap().settings.vm_id
}

#[test]
fn looking_up_one_vm_of_ten_thousand_reads_hardly_more_than_one_of_a_hundred() {
    let few_and_many = [100, 10_000].map(|count| {
        let root = with_rows(count);
        assert_eq!(show(&root.database()).get(), 1_170_751_909);
        let incomplete = "SELECT count(*) FROM vm_state WHERE device_vm_id IS NULL";
        assert_eq!(sql_ok(&root.database(), incomplete).trim_end(), "0", "the first program completes every row");
        read_by(|| show(&root.database()))
    });
    // A tree that is one level deeper has one more page on the way, of 4096 bytes: for each of the tables and indexes.
    let [few, many] = few_and_many;
    assert!(many <= few + 10 * 4096, "{few} and {many} bytes");
}

#[test]
fn noting_a_start_of_one_vm_of_ten_thousand_reads_hardly_more_than_one_of_a_hundred() {
    let few_and_many = [100, 10_000].map(|count| {
        let root = with_rows(count);
        show(&root.database());
        let vm: VmUuid = VM.parse().unwrap();
        read_by(|| {
            let store = Store::open(&root.database()).unwrap();
            let writing = store.write().unwrap();
            writing.note_start(&vm, "a host", "", 0).unwrap();
            writing.commit().unwrap();
        })
    });
    let [few, many] = few_and_many;
    assert!(many <= few + 20 * 4096, "{few} and {many} bytes");
}

#[test]
fn finding_what_other_hosts_have_written_reads_only_the_rows_of_the_vms_that_the_copy_carries() {
    let few_and_many = [100, 10_000].map(|count| {
        let root = with_rows(count);
        show(&root.database());
        let value = "1 B 2 1170751909 7 1790000000".to_owned();
        let copy = SharedCopy::new(Reference::new("OpaqueRef:pool"), [(format!("vgpu:{VM}"), value)].into());
        read_by(|| {
            let store = Store::open(&root.database()).unwrap();
            let News { entries, carried, .. } = copy.news(store.read()).unwrap();
            assert_eq!((entries[0].1.revision, entries.len(), carried.len()), (7, 1, 1));
        })
    });
    let [few, many] = few_and_many;
    assert!(many <= few + 10 * 4096, "{few} and {many} bytes");
}

#[test]
fn a_list_in_a_pager_holds_up_nobodys_change() {
    let root = with_rows(1_000);
    root.admin_ok(&["list-pools"]);
    let mut command = root.command("usr/bin/vgpu-admin");
    let mut list = command.args(["list-vms", "--format=json"]).stdout(Stdio::piped()).spawn().unwrap();
    // It waits in the middle of its list: more than a pipe holds.
    list.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let store = Store::open_existing(&root.database(), Duration::from_millis(100)).unwrap();
    let writing = store.write().unwrap();
    writing.set_name(&VM.parse().unwrap(), "renamed").unwrap();
    writing.commit().unwrap();
    assert!(list.wait_with_output().unwrap().status.success());
}

#[test]
fn an_import_of_five_thousand_vms_keeps_nobody_from_reading_until_it_is_committed() {
    let root = with_rows(1);
    let store = Store::open(&root.database()).unwrap();
    let writing = store.write().unwrap();
    for vm in (1..=5_000).map(uuid) {
        writing.insert(&vm.parse().unwrap(), Some("web"), PoolId::A, Priority::Low, None).unwrap();
    }
    let reader = Store::open_existing(&root.database(), Duration::from_millis(100)).unwrap();
    assert!(matches!(reader.read().registration(&VM.parse().unwrap()), Ok(Registration::Registered(_))));
    writing.commit().unwrap();
    assert_eq!(reader.read().counts().unwrap().total(), 5_001);
}

/// A statement as an administrator may type it: on few VMs, so that they get into each other's way.
fn any_statement() -> impl Strategy<Value = String> + Clone {
    let verb = prop_oneof!["INSERT", "REPLACE", "INSERT OR IGNORE"];
    let update = prop_oneof!["UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"];
    let vm = || {
        (1..4_u32, any::<bool>()).prop_map(|(number, upper)| {
            let vm = uuid(number + 0xa0);
            if upper { vm.to_uppercase() } else { vm }
        })
    };
    let number = || prop_oneof![Just("NULL".to_owned()), (1..4_u32).prop_map(|number| number.to_string())];
    let time = || prop_oneof![Just("NULL"), Just("CURRENT_TIMESTAMP")];
    prop_oneof![
        (verb.clone(), vm(), 1..4_u32).prop_map(|(verb, vm, id)| format!(
            "{verb} INTO vms (vm_id, vm_uuid, pool_id, priority) VALUES ({id}, '{vm}', 'A', 0);"
        )),
        (verb.clone(), vm())
            .prop_map(|(verb, vm)| format!("{verb} INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm}', 'B', 1);")),
        (update.clone(), vm(), 1..4_u32)
            .prop_map(|(update, vm, id)| format!("{update} vms SET vm_uuid = '{vm}' WHERE vm_id = {id};")),
        (update.clone(), 1..4_u32, 1..4_u32, prop_oneof!["vm_id", "rowid"])
            .prop_map(|(update, to, id, column)| format!("{update} vms SET {column} = {to} WHERE vm_id = {id};")),
        (1..4_u32).prop_map(|id| format!("DELETE FROM vms WHERE vm_id = {id};")),
        (verb, vm(), number(), time()).prop_map(|(verb, vm, number, time)| format!(
            "{verb} INTO vm_state (vm_uuid, device_vm_id, removed_at) VALUES (lower('{vm}'), {number}, {time});"
        )),
        (update.clone(), number(), time(), vm()).prop_map(|(update, number, time, vm)| format!(
            "{update} vm_state SET device_vm_id = {number}, removed_at = {time} WHERE vm_uuid = lower('{vm}');"
        )),
        (update, vm(), vm()).prop_map(|(update, to, vm)| format!(
            "{update} vm_state SET vm_uuid = lower('{to}') WHERE vm_uuid = lower('{vm}');"
        )),
        vm().prop_map(|vm| format!("DELETE FROM vm_state WHERE vm_uuid = lower('{vm}');")),
        Just("DELETE FROM vm_state;".to_owned()),
    ]
}

/// The VMs that lack something, found by looking at every row.
const LACKING: &str = "
    SELECT 'lacks', vms.vm_uuid FROM vms LEFT JOIN vm_state USING (vm_uuid) WHERE device_vm_id IS NULL
    UNION SELECT 'vanished', vm_uuid FROM vm_state
    WHERE removed_at IS NULL AND NOT EXISTS (SELECT 1 FROM vms WHERE vms.vm_uuid = vm_state.vm_uuid)";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_is_done_by_hand_the_next_program_finds_what_lacks_something(
        before in proptest::collection::vec(any_statement(), 0..8),
        after in proptest::collection::vec(any_statement(), 1..4),
    ) {
        let root = ScratchRoot::new();
        root.admin_ok(&["list-vms"]);
        let _ = sql_each(&root.database(), &before.concat());
        drop(Store::open(&root.database()).unwrap());
        let _ = sql_each(&root.database(), &after.concat());
        let missed = format!("SELECT * FROM ({LACKING}) WHERE vm_uuid NOT IN (SELECT vm_uuid FROM vms_to_complete)");
        prop_assert_eq!(sql_ok(&root.database(), &missed), "");
        drop(Store::open(&root.database()).unwrap());
        prop_assert_eq!(sql_ok(&root.database(), &format!("{LACKING}; SELECT * FROM vms_to_complete")), "");
    }
}
