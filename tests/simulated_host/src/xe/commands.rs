//! `xe`'s commands.

use super::arguments::Arguments;
use super::client::Client;
use super::records::{escaped, field_of, list, missing, printed, selected_vm};
use super::{Failure, Outcome};
use crate::wire::Value;

/// Runs a command and gives what it prints.
pub fn run(client: &mut Client, arguments: &Arguments) -> Outcome {
    let is_true = |name: &str| arguments.text(name).as_deref() == Some("true");
    let force = arguments.has_flag("--force") || is_true("force");
    let way = |clean: &'static str, hard: &'static str| if force { hard } else { clean };
    match arguments.command.as_str() {
        "host-call-plugin" => call_plugin(client, arguments),
        "vm-list" => list(client, arguments, "VM", &["uuid", "name-label", "power-state"]),
        "host-list" => list(client, arguments, "host", &["uuid", "name-label", "name-description"]),
        "pci-list" => list(client, arguments, "PCI", &["uuid", "vendor-name", "device-name", "pci-id"]),
        "pool-list" => {
            let default = ["uuid", "name-label", "name-description", "master", "default-SR"];
            list(client, arguments, "pool", &default)
        }
        "vm-start" => start(client, arguments, is_true("paused"), force),
        "vm-reboot" => on_vm(client, arguments, way("VM.clean_reboot", "VM.hard_reboot")),
        "vm-shutdown" => on_vm(client, arguments, way("VM.clean_shutdown", "VM.hard_shutdown")),
        "vm-migrate" => migrate(client, arguments, force),
        "vm-suspend" => on_vm(client, arguments, "VM.suspend"),
        "vm-destroy" => {
            let uuid = arguments.get("uuid").ok_or_else(|| missing("uuid"))?;
            let vm = client.call("VM.get_by_uuid", [Value::Text(uuid.to_vec())])?;
            done(client.call("VM.destroy", [vm]))
        }
        "vm-pause" => on_vm(client, arguments, "VM.pause"),
        "vm-unpause" => on_vm(client, arguments, "VM.unpause"),
        "vm-resume" => {
            let vm = selected_vm(client, arguments, false)?;
            done(client.call("VM.resume", [vm, false.into(), force.into()]))
        }
        "vm-clone" => copy(client, arguments, "VM.clone"),
        "vm-snapshot" => copy(client, arguments, "VM.snapshot"),
        "snapshot-revert" => revert(client, arguments),
        command => match command.split_once("-param-") {
            Some(("vm", what)) => param(client, arguments, "VM", what),
            Some((class @ ("host" | "pool"), what)) => param(client, arguments, class, what),
            _ => Err(unknown(command)),
        },
    }
}

fn start(client: &mut Client, arguments: &Arguments, paused: bool, force: bool) -> Outcome {
    let vm = selected_vm(client, arguments, false)?;
    match arguments.get("on") {
        Some(name) => {
            let host = host_named(client, name)?;
            done(client.call("VM.start_on", [vm, host, paused.into(), force.into()]))
        }
        None => done(client.call("VM.start", [vm, paused.into(), force.into()])),
    }
}

fn migrate(client: &mut Client, arguments: &Arguments, force: bool) -> Outcome {
    let vm = selected_vm(client, arguments, false)?;
    let host = host_named(client, arguments.get("host").ok_or_else(|| missing("host"))?)?;
    let options = [("force", force.to_string()), ("live", false.to_string()), ("copy", false.to_string())];
    let options = Value::dict(options.map(|(name, value)| (name, value.into())));
    done(client.call("VM.pool_migrate", [vm, host, options]))
}

fn revert(client: &mut Client, arguments: &Arguments) -> Outcome {
    let uuid = arguments.get("snapshot-uuid").or_else(|| arguments.get("uuid"));
    let uuid =
        uuid.ok_or_else(|| Failure::Plain("Error: Required parameter not found: snapshot-uuid or uuid.".to_owned()))?;
    let snapshot = client.call("VM.get_by_uuid", [Value::Text(uuid.to_vec())])?;
    if client.call("VM.get_is_a_snapshot", [snapshot.clone()])? == Value::Bool(false) {
        let uuid = String::from_utf8_lossy(uuid);
        return Err(Failure::Plain(format!(
            "Error: This operation can only be performed on a VM snapshot. {uuid} is not a VM snapshot."
        )));
    }
    done(client.call("VM.revert", [snapshot]))
}

fn unknown(command: &str) -> Failure {
    Failure::Plain(format!("Unknown command: {command}\nFor usage run: 'xe help'"))
}

fn done(outcome: Result<Value, Failure>) -> Outcome {
    outcome.map(|_| Vec::new())
}

fn line(text: &[u8]) -> Vec<u8> {
    [text, b"\n"].concat()
}

/// The first host of that name or UUID (`get_host_by_name_or_id` in `cli_operations.ml`).
fn host_named(client: &mut Client, name: &[u8]) -> Result<Value, Failure> {
    let named = client.call("host.get_by_name_label", [Value::Text(name.to_vec())])?;
    if let Some(host) = named.items().first() {
        return Ok(host.clone());
    }
    client
        .call("host.get_by_uuid", [Value::Text(name.to_vec())])
        .map_err(|_| Failure::Plain(format!("Error: Host {} not found", String::from_utf8_lossy(name))))
}

fn on_vm(client: &mut Client, arguments: &Arguments, method: &str) -> Outcome {
    let vm = selected_vm(client, arguments, false)?;
    done(client.call(method, [vm]))
}

fn copy(client: &mut Client, arguments: &Arguments, method: &str) -> Outcome {
    let name = arguments.get("new-name-label").ok_or_else(|| missing("new-name-label"))?;
    let vm = selected_vm(client, arguments, method == "VM.clone")?;
    let copy = client.call(method, [vm, Value::Text(name.to_vec())])?;
    let uuid = client.call("VM.get_uuid", [copy])?;
    Ok(line(uuid.bytes().unwrap_or_default()))
}

fn call_plugin(client: &mut Client, arguments: &Arguments) -> Outcome {
    let needed = |name: &str| arguments.get(name).map(|value| Value::Text(value.to_vec())).ok_or_else(|| missing(name));
    let host = client.call("host.get_by_uuid", [needed("host-uuid")?])?;
    let args = arguments.below("args:").map(|(key, value)| (key.as_bytes().to_vec(), Value::Text(value.to_vec())));
    let args = Value::Dict(args.collect());
    let result = client.call("host.call_plugin", [host, needed("plugin")?, needed("fn")?, args])?;
    let result = result.bytes().unwrap_or_default().to_vec();
    Ok(line(&if arguments.has_flag("--minimal") { escaped(&result) } else { result }))
}

/// `xe CLASS-param-get`, `-set` and `-remove`.
fn param(client: &mut Client, arguments: &Arguments, class: &str, what: &str) -> Outcome {
    let uuid = arguments.get("uuid").ok_or_else(|| missing("uuid"))?;
    let object = client.call(&format!("{class}.get_by_uuid"), [Value::Text(uuid.to_vec())])?;
    match what {
        "get" => get(client, arguments, class, object),
        "set" => set(client, arguments, class, &object),
        "remove" => {
            let name = arguments.text("param-name").ok_or_else(|| missing("param-name"))?;
            let key = arguments.get("param-key").ok_or_else(|| missing("param-key"))?;
            let method = format!("{class}.remove_from_{}", field_of(&name));
            done(client.call(&method, [object, Value::Text(key.to_vec())]))
        }
        _ => Err(unknown(&arguments.command)),
    }
}

fn get(client: &mut Client, arguments: &Arguments, class: &str, object: Value) -> Outcome {
    let name = arguments.text("param-name").ok_or_else(|| missing("param-name"))?;
    let value = client.call(&format!("{class}.get_{}", field_of(&name)), [object])?;
    let Some(key) = arguments.text("param-key") else { return Ok(line(&printed(&name, &value))) };
    match value.get(&key) {
        Some(value) => Ok(line(&printed("", value))),
        None => Err(Failure::Plain(format!("Error: Key {key} not found in map"))),
    }
}

/// A key of a map is removed, then added. The real one looks first whether it is there.
fn set(client: &mut Client, arguments: &Arguments, class: &str, object: &Value) -> Outcome {
    for (name, value) in arguments.values.iter().filter(|(name, _)| name != "uuid") {
        let value = Value::Text(value.clone());
        if let Some((field, key)) = name.split_once(':') {
            let field = field_of(field);
            client.call(&format!("{class}.remove_from_{field}"), [object.clone(), key.into()])?;
            client.call(&format!("{class}.add_to_{field}"), [object.clone(), key.into(), value])?;
        } else {
            client.call(&format!("{class}.set_{}", field_of(name)), [object.clone(), value])?;
        }
    }
    Ok(Vec::new())
}
