//! Conversations with message-switch, and with xenopsd behind it.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{CLASSIC, Connection, Lab, assert_same, body, post, recordings, vector};

/// Splits a recording into the request and the reply.
fn exchange(name: &str) -> (Vec<u8>, Vec<u8>) {
    const BETWEEN: &[u8] = b"\n=====reply=====\n";
    let recording = vector(&format!("{name}.http"));
    let at = recording.windows(BETWEEN.len()).position(|window| window == BETWEEN).unwrap();
    let reply = recording[at + BETWEEN.len()..].strip_suffix(b"\n").unwrap();
    (recording[..at].to_vec(), reply.to_vec())
}

fn repeat(connection: &mut Connection, name: &str) {
    let (request, recorded) = exchange(name);
    assert_same(name, &connection.exchange(&request), &recorded);
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n")
        .into_bytes()
}

fn open(lab: &Lab) -> Connection {
    Connection::open(&lab.path("var/run/message-switch/sock"))
}

/// xapi's own connection and the other daemons' queues, as they were at the recording.
fn fill(lab: &Lab) -> Connection {
    let mut xapi = open(lab);
    xapi.exchange(&get("/login/xapi:5547"));
    xapi.exchange(&get("/transient/xapi:5547"));
    for daemon in ["v6d", "storage", "networkd", "memory", "gpumon"] {
        xapi.exchange(&get(&format!("/persistent/org.xen.xapi.{daemon}")));
        wait_at(&mut xapi, &format!("org.xen.xapi.{daemon}"));
    }
    wait_at(&mut xapi, "xapi:5547");
    lab.host.set_next_message_id(CLASSIC, 1290);
    xapi
}

/// Waits for messages for no time at all, and gives the payloads of those that there are.
fn wait_at(connection: &mut Connection, queue: &str) -> Vec<String> {
    let wait = format!(r#"{{"timeout":0.0,"queues":["{queue}"]}}"#);
    let reply = connection.exchange(&post("/transfer", wait.as_bytes()));
    let reply: serde_json::Value = serde_json::from_slice(&body(&reply)).unwrap();
    let messages = reply["messages"].as_array().unwrap().iter();
    messages.map(|message| message[1]["payload"].as_str().unwrap().to_owned()).collect()
}

/// `List` of alive queues in `ocaml/message-switch/switch/mswitch.ml`, and `transfer` in `q.ml`.
#[test]
fn a_queue_is_alive_once_somebody_waits_at_it_and_gives_its_newest_message_first() {
    let lab = Lab::start();
    let mut connection = open(&lab);
    connection.exchange(&get("/login/edge:1"));
    connection.exchange(&get("/transient/edge:1"));
    let alive =
        |connection: &mut Connection| String::from_utf8(body(&connection.exchange(&get("/list/alive/edge")))).unwrap();
    assert_eq!(alive(&mut connection), "[]");
    for text in ["first", "second"] {
        connection.exchange(&post("/request/edge:1/edge:1", text.as_bytes()));
    }
    assert_eq!(wait_at(&mut connection, "edge:1"), ["second", "first"]);
    assert_eq!(alive(&mut connection), r#"["edge:1"]"#);
}

#[test]
fn queues_messages_and_errors_are_as_recorded() {
    let lab = Lab::with_vm();
    let _xapi = fill(&lab);
    let mut connection = open(&lab);
    repeat(&mut connection, "message-switch/s01_transient_no_login");
    connection.exchange(&get("/login/edge:1"));
    let recorded = recordings("message-switch", "s", ".http");
    // The diagnostic dump is times and other daemons' traffic: nothing that could be the same.
    let rest = recorded.iter().filter(|name| !name.contains("/s01") && !name.contains("/s06"));
    for name in rest {
        repeat(&mut connection, name);
        if name.ends_with("_b_reply") {
            // The recording leaves out that its client acknowledged each of these before it went on.
            let id = next(&exchange(name).1);
            connection.exchange(&get(&format!("/ack/edge:1/{id}")));
        }
    }
}

/// The number of the last message of a reply to a transfer.
fn next(reply: &[u8]) -> String {
    let reply: serde_json::Value = serde_json::from_slice(&body(reply)).unwrap();
    reply["next"].as_str().unwrap().to_owned()
}

#[test]
fn a_vm_is_read_changed_and_read_again_as_recorded() {
    let lab = Lab::with_queue("org.xen.xapi.xenops.simulator");
    let before = recorded_vm("message-switch/stat-then-add/plain.03");
    let add = format!(r#"{{"method":"VM.add","params":[{{"vm":{before},"debug_info":"lab"}}],"id":1}}"#);
    assert!(call(&lab, "org.xen.xapi.xenops.simulator", &add).contains("aaaaaaaa-0000-4000-8000-000000000001"));
    lab.host.set_next_message_id("org.xen.xapi.xenops.simulator", 170);
    let mut connection = open(&lab);
    for name in recordings("message-switch/stat-then-add", "plain", ".http") {
        repeat(&mut connection, &name);
    }
    let sent = lab.host.last_vm_add("aaaaaaaa-0000-4000-8000-000000000001").unwrap();
    let (request, _) = exchange("message-switch/stat-then-add/plain.05");
    assert!(String::from_utf8(body(&request)).unwrap().contains(&sent));
}

/// The `Vm.t` in a recorded reply to VM.stat.
fn recorded_vm(name: &str) -> String {
    let reply: serde_json::Value = serde_json::from_slice(&body(&exchange(name).1)).unwrap();
    let payload = reply["messages"][0][1]["payload"].as_str().unwrap();
    let (vm, _state) = payload.strip_prefix("{\"result\":[").unwrap().split_once(",{\"featureset\"").unwrap();
    vm.to_owned()
}

/// Calls xenopsd and gives the payload that it answers with.
pub fn call(lab: &Lab, queue: &str, request: &str) -> String {
    // A name of its own: a queue lives on for a moment after its last connection.
    static LAST: AtomicUsize = AtomicUsize::new(0);
    let name = format!("test:{}", LAST.fetch_add(1, Ordering::Relaxed));
    let mut connection = open(lab);
    connection.exchange(&get(&format!("/login/{name}")));
    connection.exchange(&get(&format!("/transient/{name}")));
    let post = |path: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    connection.exchange(&post(&format!("/request/{queue}/{name}"), request));
    let wait = format!(r#"{{"timeout":5.0,"queues":["{name}"]}}"#);
    let reply = connection.exchange(&post("/transfer", &wait));
    let reply: serde_json::Value = serde_json::from_slice(&body(&reply)).unwrap();
    reply["messages"][0][1]["payload"].as_str().unwrap().to_owned()
}

#[test]
fn a_transient_queue_goes_with_the_last_connection_of_its_session() {
    let lab = Lab::start();
    let mut watcher = open(&lab);
    watcher.exchange(&get("/login/watcher:1"));
    let mut connection = open(&lab);
    connection.exchange(&get("/login/passing:1"));
    connection.exchange(&get("/transient/passing:1"));
    let mut list = || String::from_utf8(body(&watcher.exchange(&get("/list/passing")))).unwrap();
    assert_eq!(list(), r#"["passing:1"]"#);
    drop(connection);
    let gone = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        list() == "[]"
    });
    assert!(gone);
}
