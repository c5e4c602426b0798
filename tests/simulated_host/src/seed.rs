//! Putting VMs into a pool's database.

use crate::database::{self, Class};
use crate::pool::PoolState;
use crate::random;
use crate::wire::Value;

/// The platform map of an ordinary HVM guest.
const PLATFORM: [(&str, &str); 6] = [
    ("nx", "true"),
    ("acpi", "1"),
    ("apic", "true"),
    ("pae", "true"),
    ("viridian", "true"),
    ("device-model", "qemu-upstream-compat"),
];

/// Creates an HVM guest.
pub fn create_vm(pool: &PoolState, uuid: &str, name: &str) {
    let reference = random::reference();
    let mut record = database::vm();
    record.insert("uuid".to_owned(), uuid.into());
    record.insert("name_label".to_owned(), name.into());
    record.insert("metrics".to_owned(), random::reference().into());
    record.insert("platform".to_owned(), Value::dict(PLATFORM.map(|(key, value)| (key, value.into()))));
    record.insert("other_config".to_owned(), Value::dict([("mac_seed", random::uuid().into())]));
    pool.write(|database| database.insert(Class::Vm, &reference, record));
}
