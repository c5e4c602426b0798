//! The state of the resource pool on one screen.

use vgpu_config::model::PoolId;
use vgpu_config::reply::{Attention, CountOfRunning, HostState, PoolReply, ScannedGpu, StatusReply};
use vgpu_config::store::Verdict;

use super::{labelled, verdict};
use crate::screen::Shade;
use crate::table::Cell;

/// So many fit a screen with everything else.
const MOST_SHOWN: usize = 5;

pub fn status(reply: &StatusReply) -> String {
    let mut parts = vec![attention(&reply.attention)];
    if !reply.hosts.is_empty() {
        let heading = ["HOST", "VERSION", "STATE", "GPUS"].map(Cell::new).to_vec();
        let hosts = reply.hosts.iter().map(|host| host_row(host, &reply.gpus));
        parts.push(labelled(std::iter::once(heading).chain(hosts)));
    }
    let heading = ["POOL", "VMS", "HIGH", "MEDIUM", "LOW", "LIMIT", "FREE", "GPUS", "NAME"].map(Cell::new).to_vec();
    parts.push(labelled(std::iter::once(heading).chain(reply.pools.iter().map(pool_row))));
    parts.push(labelled(about(reply).map(|(label, value)| vec![label.to_owned(), value])));
    parts.join("\n\n")
}

fn attention(attention: &[Attention]) -> String {
    if attention.is_empty() {
        return "Nothing needs attention.".to_owned();
    }
    let row = |Attention { host_name, message, warning }: &Attention| {
        let shade = if *warning { Shade::Doubtful } else { Shade::Bad };
        let message = match host_name {
            Some(host) => format!("{host}: {message}"),
            None => message.clone(),
        };
        vec![Cell::new(if *warning { "warn" } else { "WRONG" }).shaded(shade), Cell::new(message)]
    };
    let mut rows: Vec<_> = attention.iter().take(MOST_SHOWN).map(row).collect();
    if let more @ 1.. = attention.len().saturating_sub(MOST_SHOWN) {
        rows.push(vec![Cell::new("…"), Cell::new(format!("{more} more: vgpu-admin check --all-hosts"))]);
    }
    format!("Needs attention:\n{}", labelled(rows))
}

fn host_row(host: &HostState, gpus: &[ScannedGpu]) -> Vec<Cell> {
    let state = match (host.ok, host.warnings.is_empty()) {
        (false, _) => Verdict::Failed,
        (true, false) => Verdict::Warning,
        (true, true) => Verdict::Ok,
    };
    let on_host = |gpu: &&ScannedGpu| gpu.host_uuid.to_string() == host.host_uuid && !gpu.vanished;
    let count = |pool: PoolId| gpus.iter().filter(on_host).filter(|gpu| gpu.pool == Some(pool)).count();
    let serving = PoolId::ALL.map(|pool| (pool, count(pool)));
    let serving = serving.iter().filter(|(_, count)| *count > 0).map(|(pool, count)| format!("{count} for {pool}"));
    let serving: Vec<_> = serving.collect();
    let total = gpus.iter().filter(on_host).count();
    let gpus = match (total, serving.as_slice()) {
        (0, []) => String::new(),
        (total, []) => total.to_string(),
        (total, serving) => format!("{total} ({})", serving.join(", ")),
    };
    vec![Cell::new(&host.host_name), Cell::or_nothing(host.version.as_ref()), verdict(state), Cell::new(gpus)]
}

fn pool_row(pool: &PoolReply) -> Vec<Cell> {
    let number = |number: u64| Cell::new(number.to_string());
    let is_over = pool.max_vms.is_some_and(|max_vms| max_vms.is_exceeded_by(pool.vms));
    let free = Cell::or_nothing(pool.free).shaded(if is_over { Shade::Doubtful } else { Shade::Plain });
    vec![
        Cell::new(pool.pool.as_str()),
        number(pool.vms),
        number(pool.high),
        number(pool.medium),
        number(pool.low),
        Cell::or_nothing(pool.max_vms),
        free,
        number(pool.gpus),
        Cell::or_nothing(pool.name.as_ref()),
    ]
}

fn about(reply: &StatusReply) -> [(&'static str, String); 4] {
    let running = match reply.running {
        None => "not known".to_owned(),
        Some(CountOfRunning { as_configured, pending: 0, not_known: 0 }) => {
            format!("{as_configured} with their settings")
        }
        Some(CountOfRunning { as_configured, pending, not_known }) => {
            format!("{as_configured} with their settings, {pending} without, {not_known} not known")
        }
    };
    let xapi = match (reply.xapi_answers, reply.not_in_xapi) {
        (false, _) => "does not answer",
        (true, 0) => "answers, and has all changes",
        (true, _) => "answers, but lacks changes",
    };
    let StatusReply { device, on_error, unregistered, deadline_seconds, .. } = reply;
    let settings = format!("{device}, on_error {on_error}, unregistered {unregistered}, deadline {deadline_seconds} s");
    [
        ("Running", running),
        ("XAPI", xapi.to_owned()),
        ("Database", format!("{} (schema {}), vgpu-config {}", reply.database, reply.schema, reply.version)),
        ("Settings", settings),
    ]
}
