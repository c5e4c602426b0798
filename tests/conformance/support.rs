//! A simulated host that is the one of the recordings, and the means to talk to it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use simulated_host::{Identity, Role, SimulatedHost};
use tempfile::TempDir;

pub const HOST_UUID: &str = "11111111-2222-4333-8444-555555555555";
pub const VM: &str = "cda8bcd3-f410-bd1f-3688-8c308ff28e90";
pub const VM_REF: &str = "OpaqueRef:556452a2-1e07-e9cb-96a2-88ed4c256b04";
pub const CLASSIC: &str = "org.xen.xapi.xenops.classic";

/// The sessions that recorded requests use.
const SESSIONS: [&str; 4] = [
    "OpaqueRef:5723a710-44a8-332d-b9fd-bcbe22741065",
    "OpaqueRef:812b2a10-55fd-405c-fcbf-979c5f7d89be",
    "OpaqueRef:c3391bb6-bf47-8945-82c2-f0b444c20e0e",
    "OpaqueRef:bfbc619a-22a3-419f-38e0-4f6fb158bbe8",
];

/// The session for requests that a test makes up.
pub const SESSION: &str = SESSIONS[2];

/// The recorded host, in a root of its own.
pub struct Lab {
    pub host: SimulatedHost,
    // Dropped after the host, which still has files in it.
    pub root: TempDir,
}

impl Lab {
    /// The host without a VM.
    pub fn start() -> Self {
        Self::with_queue(CLASSIC)
    }

    /// The same with another name for xenopsd's queue.
    pub fn with_queue(xenopsd_queue: &str) -> Self {
        let root = tempfile::Builder::new().prefix("lab").tempdir().unwrap();
        let identity = Identity {
            uuid: HOST_UUID.to_owned(),
            reference: "OpaqueRef:8debaba3-365a-3e8f-2f50-b7e15480df3d".to_owned(),
            name: "xcplab".to_owned(),
            pool: "OpaqueRef:728489a3-b548-82a6-7e76-38f56c8e2fb4".to_owned(),
            xenopsd_queue: xenopsd_queue.to_owned(),
        };
        let host = SimulatedHost::start_as(root.path(), identity).unwrap();
        for session in SESSIONS {
            host.adopt_session(session, Role::PoolAdmin);
        }
        Self { host, root }
    }

    /// The host with the recorded VM, halted.
    pub fn with_vm() -> Self {
        let lab = Self::start();
        let record = member(&body(&vector("xenapi/r01_vm_record_json.response")), "result");
        lab.host.import_record("VM", VM_REF, &record).unwrap();
        lab
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.host.root().join(below)
    }

    /// Installs a program.
    pub fn install(&self, below: &str, text: &str) {
        install(&self.path(below), text);
    }

    /// Sends bytes to xapi on a connection of their own and gives the bytes that come back.
    pub fn xapi(&self, request: &[u8]) -> Vec<u8> {
        Connection::open(&self.path("var/lib/xcp/xapi")).exchange(request)
    }

    /// Calls a method over JSON-RPC 2.0 in the test's session; the parameters are JSON. Gives the reply's body.
    pub fn json(&self, method: &str, params: &[&str]) -> String {
        let session = format!("\"{SESSION}\"");
        let params = [&[session.as_str()], params].concat().join(",");
        let call = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":[{params}],"id":1}}"#);
        String::from_utf8_lossy(&body(&self.xapi(&post("/jsonrpc", call.as_bytes())))).into_owned()
    }
}

/// Writes an executable file.
pub fn install(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A connection that stays open.
pub struct Connection(BufReader<UnixStream>);

impl Connection {
    pub fn open(socket: &Path) -> Self {
        Self(BufReader::new(UnixStream::connect(socket).unwrap()))
    }

    /// Sends a request and gives the whole reply.
    pub fn exchange(&mut self, request: &[u8]) -> Vec<u8> {
        self.0.get_mut().write_all(request).unwrap();
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n\r\n") && self.0.read_until(b'\n', &mut reply).unwrap() > 0 {}
        let head = String::from_utf8_lossy(&reply).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        reply.extend(body);
        reply
    }
}

/// A recorded file.
pub fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the recordings of a folder that begin and end like that, in order and without the ending.
pub fn recordings(folder: &str, prefix: &str, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let stems = names.filter_map(|name| name.strip_suffix(ending).map(|stem| format!("{folder}/{stem}")));
    let mut found: Vec<String> = stems.filter(|stem| stem.starts_with(&format!("{folder}/{prefix}"))).collect();
    assert!(!found.is_empty(), "no recording {folder}/{prefix}*{ending}");
    found.sort();
    found
}

/// A POST request.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// What follows the head of an HTTP message.
pub fn body(message: &[u8]) -> Vec<u8> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP message");
    message[end + 4..].to_vec()
}

/// The text of a member of a JSON object, as it stands there: that object's last but one, followed by its id.
pub fn member(object: &[u8], name: &str) -> Vec<u8> {
    let text = std::str::from_utf8(object).unwrap();
    let (_, rest) = text.split_once(&format!("\"{name}\":")).unwrap();
    rest.strip_suffix(",\"id\":1}").unwrap().as_bytes().to_vec()
}

/// Replaces everything that looks like a UUID, in references too.
pub fn without_uuids(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut out = String::new();
    let mut rest = text.as_ref();
    while let Some(character) = rest.chars().next() {
        if let Some(candidate) = rest.get(..36).filter(|candidate| is_uuid(candidate)) {
            out.push_str("UUID");
            rest = &rest[candidate.len()..];
        } else {
            out.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    out
}

fn is_uuid(text: &str) -> bool {
    text.char_indices().all(|(at, character)| match at {
        8 | 13 | 18 | 23 => character == '-',
        _ => character.is_ascii_hexdigit(),
    })
}

/// Compares bytes, and shows them as text when they differ.
pub fn assert_same(what: &str, ours: &[u8], recorded: &[u8]) {
    let (ours_text, recorded_text) = (String::from_utf8_lossy(ours), String::from_utf8_lossy(recorded));
    assert!(ours == recorded, "{what}\n  ours:     {ours_text}\n  recorded: {recorded_text}");
}
