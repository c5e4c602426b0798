#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::store::Rebuilt;

/// A database with several VMs, some of them removed, and pages of a size.
fn database(page_size: u32) -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "page_size", page_size).unwrap();
    let reference = schema::reference(schema::LATEST_SCHEMA).unwrap();
    let mut statement =
        reference.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'").unwrap();
    let parts: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let transaction = connection.transaction().unwrap();
    for part in parts {
        transaction.execute_batch(&part).unwrap();
    }
    for number in 0..80 {
        let uuid = format!("{number:08x}-0000-4000-8000-000000000000");
        let name = "n".repeat(number * number / 4);
        transaction
            .execute(
                "INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES (?1, ?2, 'B', ?3)",
                (&uuid, name, number % 3),
            )
            .unwrap();
        let sql = "INSERT INTO last_starts (vm_uuid, host_uuid, device_argument) VALUES (?1, 'h', '')";
        transaction.execute(sql, [&uuid]).unwrap();
        if number % 4 == 0 {
            transaction.execute("DELETE FROM vms WHERE vm_uuid = ?1", [&uuid]).unwrap();
        }
    }
    add_gpu_pools(&transaction);
    transaction.execute("UPDATE vm_state SET device_vm_id = rowid", []).unwrap();
    transaction.commit().unwrap();
    connection
}

/// GPU pools with names and limits, and GPUs, some of them removed.
fn add_gpu_pools(transaction: &Connection) {
    transaction
        .execute_batch(
            "INSERT INTO gpu_pools (pool_id) VALUES ('A'), ('B'); UPDATE gpu_pools SET name = 'n', max_vms = 4",
        )
        .unwrap();
    for number in 0..40 {
        let sql =
            "INSERT INTO gpus (host_uuid, pci_address, pool_id, device_name) VALUES (?1, '0000:81:00.0', 'B', 'GPU')";
        let host = format!("{number:08x}-0000-4000-8000-00000000000a");
        transaction.execute(sql, [&host]).unwrap();
        if number % 4 == 0 {
            transaction.execute("DELETE FROM gpus WHERE host_uuid = ?1", [&host]).unwrap();
        }
    }
}

/// What SQLite reads: the registered VMs with their settings, the removed ones, the GPU pools, and the GPUs.
fn registrations(connection: &Connection) -> HashSet<String> {
    let sql = "SELECT vm_state.vm_uuid || coalesce(pool_id || priority || vm_name, '-') || device_vm_id || revision
               FROM vm_state LEFT JOIN vms USING (vm_uuid)
               UNION ALL SELECT pool_id || coalesce(name, '-') || coalesce(max_vms, '-') || updated_at FROM gpu_pools
               UNION ALL SELECT subject || revision || pushed_revision || coalesce(removed_at, '-')
                   || coalesce(pool_id || device_name || updated_at, '-')
               FROM gpu_state LEFT JOIN gpus ON subject = 'gpu:' || host_uuid || ':' || pci_address";
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn pages_of_every_size_are_read_as_sqlite_reads_them() {
    for power in 9..=16 {
        let intact = database(1 << power);
        let salvage = Salvage::of(&intact.serialize("main").unwrap()).unwrap();
        assert_eq!((salvage.vms.len(), salvage.states.len(), salvage.starts.len()), (60, 80, 80), "{}", 1 << power);
        let rebuilt = Rebuilt::of(salvage, 0).unwrap();
        assert_eq!(registrations(rebuilt.store().read().connection()), registrations(&intact), "{}", 1 << power);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_is_damaged_a_whole_database_comes_of_it(
        power in 9..=13_u32,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), 1..3000_usize, any::<u8>(), any::<bool>()), 1..6),
    ) {
        let mut bytes = database(1 << power).serialize("main").unwrap().to_vec();
        for (place, length, filling, is_noise) in damage {
            let start = place.index(bytes.len());
            for (number, byte) in bytes.iter_mut().skip(start).take(length).enumerate() {
                *byte = if is_noise { byte.wrapping_mul(31).wrapping_add(u8::try_from(number % 251).unwrap()) } else { filling };
            }
        }
        let rebuilt = Rebuilt::of(Salvage::of(&bytes).unwrap(), 100).unwrap();
        let check: String = rebuilt.store().read().connection().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        prop_assert_eq!(check, "ok");
        prop_assert!(rebuilt.store().read().entries().unwrap().len() <= 2 * 80);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20_000), with_magic in any::<bool>()) {
        let header: &[u8] = if with_magic { b"SQLite format 3\0" } else { b"" };
        prop_assert!(Salvage::of(&[header, &bytes].concat()).is_ok());
    }
}
