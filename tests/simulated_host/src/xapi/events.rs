//! `event.from` (`ocaml/xapi/xapi_event.ml`): what has changed since a token, or else a wait for it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::call::Call;
use super::fields::record;
use crate::database::{Class, Database};
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// The classes that XAPI counts, in the order in which it lists them, as recorded. The simulated host has objects of six.
const COUNTED: [&str; 71] = [
    "vdi_nbd_server_info",
    "user",
    "tunnel",
    "task",
    "subject",
    "sr_stat",
    "session",
    "secret",
    "role",
    "probe_result",
    "pool_update",
    "pool_patch",
    "pool",
    "network_sriov",
    "network",
    "message",
    "host_patch",
    "host_metrics",
    "host_crashdump",
    "host_cpu",
    "host",
    "event",
    "data_source",
    "crashdump",
    "console",
    "blob",
    "auth",
    "vusb",
    "vtpm",
    "vm_metrics",
    "vm_guest_metrics",
    "vm_appliance",
    "vmss",
    "vmpp",
    "vm",
    "vlan",
    "vif_metrics",
    "vif",
    "vgpu_type",
    "vgpu",
    "vdi",
    "vbd_metrics",
    "vbd",
    "usb_group",
    "sr",
    "sm",
    "sdn_controller",
    "repository",
    "pvs_site",
    "pvs_server",
    "pvs_proxy",
    "pvs_cache_storage",
    "pusb",
    "pif_metrics",
    "pif",
    "pgpu",
    "pci",
    "pbd",
    "observer",
    "lvhd",
    "gpu_group",
    "feature",
    "diagnostics",
    "dr_task",
    "cluster_host",
    "cluster",
    "certificate",
    "bond",
    "driver_variant",
    "host_driver",
    "vm_group",
];

/// `event.from(classes, token, timeout)`.
pub fn from(call: &Call) -> ApiResult<Value> {
    let wanted: Vec<String> =
        call.params[0].items().iter().filter_map(Value::text).map(|it| subscription(&it)).collect();
    let token = call.text(1)?;
    let since = match token.split_once(',') {
        _ if token.is_empty() => 0,
        Some((number, _)) => number.parse().map_err(|_| bad_token(&token))?,
        None => return Err(bad_token(&token)),
    };
    let timeout = match &call.params[2] {
        Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).unwrap_or_default(),
        Value::Int(seconds) => Duration::from_secs(u64::try_from(*seconds).unwrap_or_default()),
        _ => Duration::ZERO,
    };
    let until = Instant::now() + timeout;
    let lives = [call.dom0.life(), call.asked.life()];
    let waits = || lives.iter().all(|life| life.load(Ordering::Relaxed));
    let mut after = since;
    loop {
        let database = call.dom0.pool.wait_for_change(after, until, &waits);
        let events = events(&database, &wanted, since);
        let last = database.events.last();
        if !events.is_empty() || Instant::now() >= until || last <= after {
            return Ok(Value::dict([
                ("events", Value::List(events)),
                ("valid_ref_counts", counts(&database)),
                ("token", format!("{last:020},{:020}", 0).into()),
            ]));
        }
        after = last;
    }
}

/// A class in lower case, with or without an object's reference (`Subscription.of_string`).
fn subscription(text: &str) -> String {
    match text.split_once('/') {
        Some((class, reference)) => format!("{}/{reference}", class.to_lowercase()),
        None => text.to_lowercase(),
    }
}

fn bad_token(token: &str) -> ApiError {
    ApiError::new("EVENT_FROM_TOKEN_PARSE_FAILURE", &[token])
}

fn events(database: &Database, wanted: &[String], since: u64) -> Vec<Value> {
    let is_wanted = |class: Class, reference: &str| {
        let class = class.name().to_lowercase();
        let object = format!("{class}/{reference}");
        wanted.iter().any(|wanted| wanted == "*" || *wanted == class || *wanted == object)
    };
    let changes = database.events.since(since).into_iter();
    let mut changes: Vec<_> = changes.filter(|(_, _, class, reference)| is_wanted(*class, reference)).collect();
    // New objects come before changed ones, those that are gone last (`from_inner`); their order otherwise is a guess.
    changes.sort_by_key(|(_, operation, _, _)| ["add", "mod", "del"].iter().position(|kind| kind == operation));
    changes
        .into_iter()
        .map(|(number, operation, class, reference)| {
            let mut event = vec![
                ("id", number.to_string().into()),
                ("timestamp", "0.0".into()),
                ("class", class.name().to_lowercase().into()),
                ("operation", operation.into()),
                ("ref", reference.into()),
            ];
            if let Ok(fields) = database.record(class, reference) {
                event.push(("snapshot", record(fields)));
            }
            Value::dict(event)
        })
        .collect()
}

fn counts(database: &Database) -> Value {
    Value::dict(COUNTED.map(|name| {
        let class = Class::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(name));
        let count =
            class.map_or(usize::from(name == "session") * database.sessions.len(), |class| database.table(class).len());
        (name, Value::Int32(i32::try_from(count).unwrap_or(i32::MAX)))
    }))
}
