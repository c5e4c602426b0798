//! A pool with scripts for programs, and a client of its sockets.

use std::fs;
use std::io::{Read, Write};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use simulated_host::{SimulatedHost, SimulatedPool};
use tempfile::TempDir;

/// How long a test waits to see that something hangs.
const PATIENCE: Duration = Duration::from_millis(300);

/// A plugin that says which of its copies it is, and in whose session it was called.
const WHO: &str = r#"#!/bin/sh
session=$(printf '%s' "$1" | grep -o 'OpaqueRef:[0-9a-f-]*')
printf '<methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value></member>'
printf '<member><name>Value</name><value>%s %s</value></member></struct></value></param></params></methodResponse>' \
    "$0" "$session"
"#;

/// A pool of hosts that have scripts for plugins and hooks.
pub struct Lab {
    // Dropped first: it stops what runs in the folder.
    pool: SimulatedPool,
    folder: TempDir,
}

impl Deref for Lab {
    type Target = SimulatedPool;

    fn deref(&self) -> &SimulatedPool {
        &self.pool
    }
}

impl Lab {
    pub fn new(hosts: usize) -> Self {
        let folder = TempDir::with_prefix_in("pool-", "/tmp").unwrap();
        let pool = SimulatedPool::start(folder.path(), hosts).unwrap();
        let lab = Self { pool, folder };
        for host in 0..hosts {
            lab.install(host, "etc/xapi.d/plugins/who", WHO);
        }
        lab
    }

    /// A pool with one VM.
    pub fn with_vm(hosts: usize) -> (Self, String) {
        let lab = Self::new(hosts);
        let vm = lab.host(0).create_vm("web01");
        (lab, vm)
    }

    pub fn root(&self, host: usize) -> PathBuf {
        self.folder.path().join(format!("h{}", host + 1))
    }

    /// Installs a program below a host's root.
    pub fn install(&self, host: usize, to: &str, text: &str) {
        let path = self.root(host).join(to);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Installs a vm-pre-start hook that does nothing, but shows in the list of those that ran.
    pub fn install_hook(&self, host: usize) {
        self.install(host, "etc/xapi.d/vm-pre-start/10hook", "#!/bin/sh\nexit 0\n");
    }

    /// Calls the plugin in a session, on the host of that number, by the socket of another.
    pub fn who(&self, asked: usize, session: &str, on: usize) -> Value {
        let reference = self.host(on).host_ref().to_owned();
        self.ask(asked, "host.call_plugin", &json!([session, reference, "who", "status", {}]))
    }

    /// The reply to a XenAPI call on a host's socket.
    pub fn ask(&self, host: usize, method: &str, params: &Value) -> Value {
        self.try_ask(host, method, params).unwrap_or_else(|| panic!("host {host} does not answer {method}"))
    }

    /// The same, or nothing where there is no socket, or no reply in time.
    pub fn try_ask(&self, host: usize, method: &str, params: &Value) -> Option<Value> {
        self.try_ask_for(host, method, params, Duration::from_secs(20))
    }

    /// Whether a call on a host's socket is left without a reply.
    pub fn hangs(&self, host: usize, method: &str, params: &Value) -> bool {
        self.try_ask_for(host, method, params, PATIENCE).is_none()
    }

    fn try_ask_for(&self, host: usize, method: &str, params: &Value, patience: Duration) -> Option<Value> {
        let mut stream = UnixStream::connect(self.root(host).join("var/lib/xcp/xapi")).ok()?;
        stream.set_read_timeout(Some(patience)).unwrap();
        let body = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 7}).to_string();
        let head = format!("POST /jsonrpc HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (_, body) = reply.split_once("\r\n\r\n")?;
        Some(serde_json::from_str(body).unwrap())
    }

    /// Opens a session on a host's socket.
    pub fn log_in(&self, host: usize) -> String {
        let reply = self.ask(host, "session.login_with_password", &json!(["root", "", "1.0", "test"]));
        reply["result"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }
}

/// The host of a VM's record: its reference.
pub fn resident_on(host: &SimulatedHost, vm: &str) -> String {
    host.vm_record(vm).unwrap()["resident_on"].as_str().unwrap().to_owned()
}

pub fn set_args(host: &SimulatedHost, vm: &str, args: &str) {
    host.set_platform_key(vm, "device-model-args", Some(args)).unwrap();
}

/// What the QEMU of a VM that runs on a host was started with.
pub fn running_args(host: &SimulatedHost, vm: &str) -> Option<String> {
    host.running_platformdata(vm)?.get("device-model-args").cloned()
}
