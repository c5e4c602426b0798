//! What VM.stat says before a start and before a reboot, and what the boot then has: whole conversations of vm-pre-start
//! hooks with message-switch, held against the recordings byte for byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use simulated_host::{ApiError, Boot, SimulatedHost, xe};

use crate::support::{CLASSIC, Connection, Lab, assert_same, vector};

/// The recorded VM.
const VM: &str = "e2919c72-2538-4cc4-2969-39f24d5f3aba";
const ARGS: &str = "device-model-args";

/// A vm-pre-start hook that waits until the test has said what it is to say.
const WAITS: &str = "#!/bin/sh
root=${0%/etc/xapi.d/*}
: > \"$root/hook-runs\"
while [ ! -e \"$root/hook-may-end\" ]; do sleep 0.01; done
rm \"$root/hook-runs\" \"$root/hook-may-end\"
";

/// The requests of a recorded conversation, each with its reply.
fn conversation(name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    const BETWEEN: &[u8] = b"\n=====reply=====\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/reboot").join(name);
    let count = fs::read_dir(folder).unwrap().filter(|entry| is_exchange(entry.as_ref().unwrap())).count();
    assert!(count >= 5, "{name} has only {count} exchanges");
    let exchange = |number| {
        let recording = vector(&format!("reboot/{name}/{number:02}.http"));
        let at = recording.windows(BETWEEN.len()).position(|window| window == BETWEEN).unwrap();
        (recording[..at].to_vec(), recording[at + BETWEEN.len()..].to_vec())
    };
    (0..count).map(exchange).collect()
}

fn is_exchange(entry: &fs::DirEntry) -> bool {
    entry.path().extension().is_some_and(|extension| extension == "http")
}

/// The number that message-switch gave to the conversation's first request.
fn first_message(conversation: &[(Vec<u8>, Vec<u8>)]) -> i64 {
    let marker = format!("[[\"{CLASSIC}\",");
    let mut replies = conversation.iter().map(|(_, reply)| String::from_utf8_lossy(reply).into_owned());
    let number = replies.find_map(|reply| Some(reply.split_once(&marker)?.1.split_once(']')?.0.to_owned()));
    number.unwrap().parse().unwrap()
}

/// Lets the hook end, also where the test has failed.
struct Held(PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::write(&self.0, "");
    }
}

/// Boots the VM, and says from inside its hook what the recorded hook said: every reply has to be as recorded.
fn repeat(lab: &Lab, name: &str, boot: impl FnOnce(&SimulatedHost) -> Result<Boot, ApiError> + Send) -> Option<String> {
    let conversation = conversation(name);
    lab.host.set_next_message_id(CLASSIC, first_message(&conversation));
    thread::scope(|scope| {
        let held = Held(lab.path("hook-may-end"));
        let boot = scope.spawn(|| boot(&lab.host));
        let until = Instant::now() + Duration::from_secs(20);
        while !lab.path("hook-runs").exists() {
            assert!(Instant::now() < until && !boot.is_finished(), "{name}: no hook runs");
            thread::sleep(Duration::from_millis(5));
        }
        let mut connection = Connection::open(&lab.path("var/run/message-switch/sock"));
        for (number, (request, reply)) in conversation.iter().enumerate() {
            // The recordings end with a newline or not, as their replies' bodies do.
            let ours = connection.exchange(request);
            let recorded = if ours.len() + 1 == reply.len() { &reply[..ours.len()] } else { reply };
            assert_same(&format!("{name}/{number:02}"), &ours, recorded);
        }
        drop(held);
        boot.join().unwrap().unwrap().device_model_args
    })
}

/// What the recorded VM's domain was then built from.
fn recorded_boot(name: &str) -> Option<String> {
    let results: serde_json::Value = serde_json::from_slice(&vector("reboot/results.json")).unwrap();
    let of_name = results.as_array().unwrap().iter().find(|result| result[0] == name);
    of_name.and_then(|result| result[1].as_str()).map(str::to_owned)
}

/// A reboot by `xe vm-reboot`, with or without `--force`.
fn by_xe(host: &SimulatedHost, force: bool) -> Boot {
    let words = ["vm-reboot", &format!("uuid={VM}")].map(|word| word.as_bytes().to_vec());
    let words: Vec<_> = words.into_iter().chain(force.then(|| b"--force".to_vec())).collect();
    let output = xe(host.root(), &words);
    assert_eq!((output.code, output.stderr.as_slice()), (0, b"".as_slice()));
    host.boots(VM).pop().unwrap()
}

#[test]
fn before_a_reboot_a_vm_is_running_without_a_domain_and_what_the_hook_adds_is_in_this_boot() {
    let lab = Lab::start();
    lab.host.create_vm_with_uuid(VM, "rec");
    let in_xapi = |by: &str| lab.host.set_platform_key(VM, ARGS, Some(&format!("-device lab,by={by}"))).unwrap();
    in_xapi("xapi1");
    lab.hook_file("10-lab", WAITS);
    // The recorded VM had this at first.
    let vm = format!("\"{}\"", lab.host.vm_ref(VM).unwrap());
    lab.json("VM.add_to_xenstore_data", &[&vm, "\"vm-data/lab\"", "\"x\""]);
    // An event is passed on when the test says so: a guest may be faster, or slower.
    lab.host.hold_events(true);
    let guest = |host: &SimulatedHost| host.guest_reboot(VM);
    assert_eq!(repeat(&lab, "1_start", |host| host.vm_start(VM)), recorded_boot("1_start"));
    lab.json("VM.remove_from_xenstore_data", &[&vm, "\"vm-data/lab\""]);
    lab.host.pass_on_events();
    assert_eq!(repeat(&lab, "2_guest_reboot", guest), recorded_boot("2_guest_reboot"));
    assert_eq!(repeat(&lab, "3_guest_reboot_add", guest), recorded_boot("3_guest_reboot_add"));
    assert_eq!(repeat(&lab, "4_xe_reboot", |host| Ok(by_xe(host, true))), recorded_boot("4_xe_reboot"));
    assert_eq!(repeat(&lab, "5_xe_reboot_add", |host| Ok(by_xe(host, true))), recorded_boot("5_xe_reboot_add"));
    in_xapi("xapi2");
    assert_eq!(repeat(&lab, "6_xapi_change_then_guest_reboot_at_once", guest), recorded_boot("6_at_once"));
    in_xapi("xapi3");
    lab.host.pass_on_events();
    assert_eq!(repeat(&lab, "7_xapi_change_guest_reboot_2s_later", guest), recorded_boot("7_2s_later"));
    let booted = repeat(&lab, "8_clean_reboot", |host| Ok(by_xe(host, false)));
    assert_eq!(booted.as_deref(), Some("-device lab,by=xapi3"));
}

#[test]
fn a_change_is_passed_on_by_itself_a_moment_later() {
    let lab = Lab::start();
    lab.host.create_vm_with_uuid(VM, "rec");
    lab.host.vm_start(VM).unwrap();
    lab.host.set_platform_key(VM, ARGS, Some("-device lab")).unwrap();
    let has_it = || lab.host.xenopsd_metadata(VM)["platformdata"][ARGS] == "-device lab";
    let until = Instant::now() + Duration::from_secs(20);
    while !has_it() {
        assert!(Instant::now() < until, "nothing was passed on");
        thread::sleep(Duration::from_millis(5));
    }
}
