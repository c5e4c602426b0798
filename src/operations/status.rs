//! The state of the resource pool on one screen.

use std::thread;

use super::Host;
use super::catch_up::Current;
use super::check::states_of_all_hosts;
use super::pending::AllHosts;
use super::read::{by_pool, by_priority, pools};
use super::serving::Serving;
use crate::error::Error;
use crate::reply::{Attention, CountOfRunning, HostState, StatusReply};
use crate::store;
use crate::xenapi::{self, XapiError, XapiGpu};

/// The state of vgpu-config on this host, of the resource pool, and in short of every other host.
///
/// # Errors
/// The database cannot be read.
pub fn status(host: &Host) -> Result<StatusReply, Error> {
    let Asked { hosts, seen, gpus } = Asked::everybody(host);
    let current = Current::of(host)?;
    let read = current.read();
    let (counts, serving) = (read.counts()?, Serving::read(read)?);
    let pools = pools(read, &counts, &serving)?;
    let running = seen.as_ref().map(AllHosts::count);
    let gpus = seen.zip(gpus).map(|(all_hosts, gpus)| serving.scan(gpus, all_hosts.hosts())).unwrap_or_default();
    let not_in_xapi = host.store.read().count_unpushed()?;
    let xapi_problem = hosts.as_ref().err().map(ToString::to_string);
    let hosts = hosts.unwrap_or_default();
    let by_pool = by_pool(&counts);
    Ok(StatusReply {
        version: crate::VERSION.to_owned(),
        database: host.root.database().display().to_string(),
        schema: store::LATEST_SCHEMA,
        vms: by_pool.a + by_pool.b,
        by_pool,
        by_priority: by_priority(&counts),
        not_in_xapi,
        xapi_answers: xapi_problem.is_none(),
        attention: attention(xapi_problem.as_deref(), &hosts, running, not_in_xapi),
        xapi_problem,
        device: host.settings.device.as_str().to_owned(),
        on_error: host.settings.on_error,
        unregistered: host.settings.unregistered,
        deadline_seconds: host.settings.deadline.as_duration().as_secs_f64(),
        hosts,
        running,
        pools,
        gpus,
        as_of: current.as_of,
    })
}

struct Asked<'a> {
    /// What each host's check said, or why XAPI does not answer.
    hosts: Result<Vec<HostState>, XapiError>,
    /// `None` if XAPI is away.
    seen: Option<AllHosts<'a>>,
    gpus: Option<Vec<XapiGpu>>,
}

impl<'a> Asked<'a> {
    fn everybody(host: &'a Host) -> Self {
        // Both ask every host, and one that hangs is waited for.
        let (root, caller) = (&host.root, &host.caller);
        thread::scope(|scope| {
            let states = scope.spawn(|| {
                let mut session = caller.connect(root, xenapi::XAPI_TIMEOUT)?;
                states_of_all_hosts(root, &mut session)
            });
            let seen = host.connect().map_err(Error::from).and_then(|mut session| {
                let all_hosts = AllHosts::look(host, &mut session)?;
                let gpus = all_hosts.gpus(&mut session).inspect_err(|error| log::debug!("GPUs are not known: {error}"));
                Ok((all_hosts, gpus.ok()))
            });
            let (seen, gpus) = seen.map_or((None, None), |(all_hosts, gpus)| (Some(all_hosts), gpus));
            let internal =
                |_| Err(XapiError::Nonsense { call: "check".to_owned(), reason: "a panic, see the log".to_owned() });
            Self { hosts: states.join().unwrap_or_else(internal), seen, gpus }
        })
    }
}

/// What needs attention: what other problems may follow from comes first, and warnings come last.
fn attention(
    xapi_problem: Option<&str>,
    hosts: &[HostState],
    running: Option<CountOfRunning>,
    not_in_xapi: u64,
) -> Vec<Attention> {
    let of_all = |message: String| Attention { host_name: None, message, warning: false };
    let of_host = |host: &HostState, message: &String, warning: bool| Attention {
        host_name: Some(host.host_name.clone()),
        message: message.clone(),
        warning,
    };
    let mut attention: Vec<_> = xapi_problem.map(|problem| of_all(problem.to_owned())).into_iter().collect();
    attention.extend(hosts.iter().flat_map(|host| host.problems.iter().map(|problem| of_host(host, problem, false))));
    let CountOfRunning { pending, not_known, .. } = running.unwrap_or_default();
    let of_some = |count: u64, one: &str, several: &str| match count {
        0 => None,
        1 => Some(of_all(format!("1 {one}"))),
        count => Some(of_all(format!("{count} {several}"))),
    };
    attention.extend(of_some(
        pending,
        "VM runs without its settings: 'vgpu-admin apply --pending' reboots it",
        "VMs run without their settings: 'vgpu-admin apply --pending' reboots them",
    ));
    attention.extend(of_some(
        not_known,
        "VM runs with what is not known: 'vgpu-admin scan-vms' says why",
        "VMs run with what is not known: 'vgpu-admin scan-vms' says why",
    ));
    // Otherwise this host's check says it.
    let unsaid = if hosts.is_empty() { not_in_xapi } else { 0 };
    attention.extend(of_some(
        unsaid,
        "change is not in XAPI yet: 'vgpu-admin sync' writes it",
        "changes are not in XAPI yet: 'vgpu-admin sync' writes them",
    ));
    attention.extend(hosts.iter().flat_map(|host| host.warnings.iter().map(|warning| of_host(host, warning, true))));
    attention
}
