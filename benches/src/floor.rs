//! The least that a plugin can do: a static program that opens the database, reads a VM's rows and prints the document that xapi
//! wants. `floor DATABASE CALL`; it believes whatever it is given.

use rusqlite::Connection;

fn main() -> rusqlite::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, database, call] = arguments.as_slice() else { return Ok(()) };
    let uuid = call.split("<name>vm_uuid</name><value>").nth(1).and_then(|rest| rest.split('<').next());
    let connection = Connection::open(database)?;
    let text = connection.query_row(
        "SELECT '{\"vm_uuid\":\"' || vm_uuid || '\",\"vm_name\":\"' || vm_name || '\",\"pool\":\"' || pool_id ||
            '\",\"priority\":' || priority || ',\"vm_id\":' || device_vm_id || ',\"created_at\":\"' || created_at ||
            '\",\"updated_at\":\"' || updated_at || '\",\"started_at\":\"' || started_at || '\",\"host_uuid\":\"' ||
            host_uuid || '\",\"device_argument\":\"' || device_argument || '\"}'
         FROM vms JOIN vm_state USING (vm_uuid) JOIN last_starts USING (vm_uuid) WHERE vm_uuid = ?1",
        [uuid],
        |row| row.get::<_, String>(0),
    )?;
    println!(
        "<methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value></member><member>\
         <name>Value</name><value>{}</value></member></struct></value></param></params></methodResponse>",
        text.replace('"', "&quot;")
    );
    Ok(())
}
