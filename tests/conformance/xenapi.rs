//! Requests to xapi's socket and what it answered.

use crate::plugins::install_lab_plugins;
use crate::support::{Lab, assert_same, body, recordings, vector, without_uuids};

/// Repeats every recorded request that begins like that and compares whole replies.
fn repeat(lab: &Lab, prefix: &str) {
    for name in recordings("xenapi", prefix, ".request") {
        let reply = lab.xapi(&vector(&format!("{name}.request")));
        assert_same(&name, &reply, &vector(&format!("{name}.response")));
    }
}

/// The same where references are made up: they are replaced on both sides.
fn repeat_without_uuids(lab: &Lab, prefix: &str) {
    for name in recordings("xenapi", prefix, ".request") {
        let reply = without_uuids(&lab.xapi(&vector(&format!("{name}.request"))));
        assert_same(&name, reply.as_bytes(), without_uuids(&vector(&format!("{name}.response"))).as_bytes());
    }
}

#[test]
fn a_login_is_answered_in_the_notation_it_came_in() {
    let lab = Lab::start();
    let before = lab.host.open_sessions().len();
    for login in ["a01", "a02", "a03", "a04"] {
        repeat_without_uuids(&lab, login);
    }
    let sessions = lab.host.open_sessions();
    assert_eq!(sessions.len() - before, 4);
    assert_eq!(sessions.last().unwrap().originator, "lab");
}

#[test]
fn a_request_in_the_wrong_notation_gets_the_page_that_says_so() {
    let lab = Lab::start();
    repeat(&lab, "a05");
    repeat(&lab, "a06");
    repeat(&lab, "a46");
}

#[test]
fn a_host_is_found_by_its_uuid() {
    let lab = Lab::start();
    repeat(&lab, "a07");
    repeat(&lab, "a08");
    repeat(&lab, "a47");
}

#[test]
fn a_plugin_s_answer_reaches_its_caller_in_every_notation() {
    let lab = Lab::start();
    install_lab_plugins(&lab);
    repeat(&lab, "a1");
    repeat(&lab, "a20");
}

#[test]
fn special_characters_pass_through_a_plugin_as_recorded() {
    let lab = Lab::start();
    install_lab_plugins(&lab);
    for prefix in ["a30", "a31"] {
        for name in recordings("xenapi", prefix, ".request") {
            let reply = lab.xapi(&vector(&format!("{name}.request")));
            assert_same(&name, &reply, &vector(&format!("{name}.response")));
            let argv1 = name.replace("xenapi", "plugin").replace("json2_in", "json").replace("xmlrpc_in", "xml");
            // What xapi refuses beforehand reaches no plugin.
            if !["json_ctl", "json_nul", "json_fffe"].iter().any(|refused| argv1.ends_with(refused)) {
                let received = std::fs::read(lab.path("argv1")).unwrap();
                assert_same(&argv1, &received, &vector(&format!("{argv1}.argv1")));
            }
        }
    }
}

#[test]
fn errors_have_the_recorded_codes_and_shapes() {
    let lab = Lab::with_vm();
    install_lab_plugins(&lab);
    for prefix in ["a40", "a41", "a42", "a43", "a44", "a45", "r05"] {
        repeat(&lab, prefix);
    }
}

#[test]
fn a_logout_ends_the_session() {
    let lab = Lab::start();
    let before = lab.host.open_sessions().len();
    repeat(&lab, "a50");
    repeat(&lab, "a51");
    assert_eq!(before - lab.host.open_sessions().len(), 2);
    let again = body(&lab.xapi(&vector("xenapi/a50_json2_logout.request")));
    assert!(String::from_utf8_lossy(&again).contains("SESSION_INVALID"));
}

#[test]
fn a_vm_is_created_of_a_client_s_record() {
    let lab = Lab::start();
    repeat_without_uuids(&lab, "v01");
    let found = lab.json("VM.get_by_name_label", &[r#""lab-vm""#]);
    assert_eq!(without_uuids(found.as_bytes()), r#"{"jsonrpc":"2.0","result":["OpaqueRef:UUID"],"id":1}"#);
}

#[test]
fn a_plugin_called_asynchronously_leaves_its_result_in_a_task() {
    let lab = Lab::start();
    install_lab_plugins(&lab);
    for prefix in ["t01", "t02", "t03", "t04", "t05"] {
        let [start, json, xml] = recordings("xenapi", prefix, ".request").try_into().unwrap();
        let task = String::from_utf8(body(&lab.xapi(&vector(&format!("{start}.request"))))).unwrap();
        let task = task.split('"').find(|word| word.starts_with("OpaqueRef:")).unwrap().to_owned();
        wait_for_task(&lab, &task);
        for name in [json, xml] {
            // The task's reference goes into the request; its UUID and its dates are new in the reply.
            let recorded_task = recorded_task(&start);
            let request = String::from_utf8(vector(&format!("{name}.request"))).unwrap();
            let reply = lab.xapi(request.replace(&recorded_task, &task).as_bytes());
            let (ours, recorded) = (undated(&reply), undated(&vector(&format!("{name}.response"))));
            assert_same(&name, ours.as_bytes(), recorded.as_bytes());
        }
        let task = format!("\"{task}\"");
        assert!(lab.json("task.destroy", &[&task]).contains(r#""result":"""#));
        assert!(lab.json("task.get_status", &[&task]).contains("HANDLE_INVALID"));
    }
}

fn recorded_task(start: &str) -> String {
    let reply = String::from_utf8(body(&vector(&format!("{start}.response")))).unwrap();
    reply.split('"').find(|word| word.starts_with("OpaqueRef:")).unwrap().to_owned()
}

fn wait_for_task(lab: &Lab, task: &str) {
    for _ in 0..1000 {
        if !lab.json("task.get_status", &[&format!("\"{task}\"")]).contains("pending") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("the task does not end");
}

/// Without UUIDs and without dates: `20261122T18:28:14Z`.
fn undated(reply: &[u8]) -> String {
    let text = without_uuids(reply);
    let mut out = String::new();
    for part in text.split_inclusive(['"', '>', '<']) {
        let date = part.len() == 19 && part.as_bytes()[8] == b'T' && part.as_bytes()[17] == b'Z';
        out.push_str(if date { "DATE" } else { part });
    }
    out
}
