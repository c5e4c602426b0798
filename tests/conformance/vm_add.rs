//! Which shapes of a VM xenopsd accepts, and what it keeps of them.

use crate::message_switch::call;
use crate::support::{CLASSIC, Lab, recordings, vector};

fn line<'a>(recording: &'a str, name: &str) -> Option<&'a str> {
    recording.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn a_vm_is_accepted_refused_and_kept_as_recorded() {
    let lab = Lab::start();
    let (mut kept, mut refused) = (0, 0);
    for name in recordings("vm-add", "", ".txt") {
        let recording = String::from_utf8(vector(&format!("{name}.txt"))).unwrap();
        let sent = line(&recording, "sent").unwrap();
        let request = format!(r#"{{"method":"VM.add","params":[{{"debug_info":"lab","vm":{sent}}}],"id":1}}"#);
        let reply: serde_json::Value = serde_json::from_str(&call(&lab, CLASSIC, &request)).unwrap();
        // The recording has the reply as another program wrote it, with spaces.
        let recorded: serde_json::Value = serde_json::from_str(line(&recording, "reply").unwrap()).unwrap();
        assert_eq!(reply, recorded, "{name}");
        if let Some(on_disk) = line(&recording, "disk") {
            let uuid = recorded["result"].as_str().unwrap();
            assert_eq!(lab.host.xenopsd_metadata_text(uuid).as_deref(), Some(on_disk), "{name}");
            assert_eq!(lab.host.last_vm_add(uuid).as_deref(), Some(sent), "{name}");
            kept += 1;
        } else {
            refused += 1;
        }
    }
    assert_eq!((kept, refused), (17, 5));
}

#[test]
fn a_refused_vm_changes_nothing() {
    let lab = Lab::start();
    let recording = String::from_utf8(vector("vm-add/00_roundtrip.txt")).unwrap();
    let sent = line(&recording, "sent").unwrap();
    let add = |vm: &str| format!(r#"{{"method":"VM.add","params":[{{"debug_info":"lab","vm":{vm}}}],"id":1}}"#);
    call(&lab, CLASSIC, &add(sent));
    let before = lab.host.xenopsd_metadata("bbbbbbbb-0000-4000-8000-000000000002");
    let broken = sent.replace("\"name\": \"exp8\"", "\"name\": 1");
    assert!(call(&lab, CLASSIC, &add(&broken)).contains("Expected string, got 'I(1)'"));
    assert_eq!(lab.host.xenopsd_metadata("bbbbbbbb-0000-4000-8000-000000000002"), before);
}
