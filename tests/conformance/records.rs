//! Whole records, conditions and events.

use crate::support::{Lab, SESSION, VM, VM_REF, assert_same, body, member, post, vector};

fn repeat(lab: &Lab, name: &str) {
    let reply = lab.xapi(&vector(&format!("xenapi/{name}.request")));
    assert_same(name, &reply, &vector(&format!("xenapi/{name}.response")));
}

#[test]
fn a_vm_s_record_reads_the_same_in_json_and_in_xml() {
    let lab = Lab::with_vm();
    repeat(&lab, "r01_vm_record_json");
    repeat(&lab, "r02_vm_record_xmlrpc");
}

#[test]
fn a_vm_is_found_by_a_condition_and_by_its_name() {
    let lab = Lab::with_vm();
    repeat(&lab, "r03_where");
    repeat(&lab, "r04_by_name");
}

#[test]
fn a_condition_s_not_takes_everything_to_its_right() {
    let lab = Lab::with_vm();
    let holds = |condition: &str| {
        let condition = format!("\"{}\"", condition.replace('"', "\\\""));
        lab.json("VM.get_all_records_where", &[&condition]).contains(VM)
    };
    assert!(holds(r#"field "name__label" = "lab-vm" and field "is_a_template" = "false""#));
    assert!(!holds(r#"field "name__label" = "lab-vm" and not field "power_state" = "Halted""#));
    assert!(holds(r#"field "name__label" = "lab-vm" and not field "power_state" = "Running""#));
    // Read as `not (Running or true)`.
    assert!(!holds(r#"not field "power_state" = "Running" or true"#));
    assert!(holds(r#"(not field "power_state" = "Running") or false"#));
    // Read from left to right: `(true or true) and false`.
    assert!(!holds("true or true and false"));
    assert!(lab.json("VM.get_all_records_where", &[r#""nonsense ==""#]).contains("INTERNAL_ERROR"));
}

#[test]
fn a_host_s_and_a_pool_s_record_read_as_recorded() {
    let lab = Lab::start();
    let host = member(&body(&vector("xenapi/a48_json2_host_record.response")), "result");
    lab.host.import_record("host", lab.host.host_ref(), &host).unwrap();
    repeat(&lab, "a48_json2_host_record");
    let pools = String::from_utf8(member(&body(&vector("xenapi/a49_json2_pool_get_all_records.response")), "result"));
    let pools = pools.unwrap();
    let (reference, record) = pools.strip_prefix("{\"").unwrap().split_once("\":").unwrap();
    lab.host.import_record("pool", reference, record.strip_suffix('}').unwrap().as_bytes()).unwrap();
    repeat(&lab, "a49_json2_pool_get_all_records");
}

#[test]
fn records_made_here_have_the_recorded_fields_in_the_recorded_order() {
    let lab = Lab::start();
    let vm = lab.host.create_vm("new");
    let reference = lab.host.vm_ref(&vm).unwrap();
    for (method, object, recorded) in [
        ("VM.get_record", reference.as_str(), "r01_vm_record_json"),
        ("host.get_record", lab.host.host_ref(), "a48_json2_host_record"),
    ] {
        let ours = lab.json(method, &[&format!("\"{object}\"")]);
        let recorded = String::from_utf8(body(&vector(&format!("xenapi/{recorded}.response")))).unwrap();
        assert_eq!(fields(&ours), fields(&recorded), "{method}");
    }
}

/// The names of a record's fields, as they follow each other: what stands before a colon, two levels deep.
fn fields(reply: &str) -> Vec<String> {
    let (mut depth, mut names, mut last, mut quoted) = (0, Vec::new(), String::new(), false);
    for character in reply.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                if quoted {
                    last.clear();
                }
            }
            _ if quoted => last.push(character),
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ':' if depth == 2 => names.push(last.clone()),
            _ => {}
        }
    }
    assert!(names.len() > 50, "{reply}");
    names
}

#[test]
fn a_new_key_of_a_map_goes_in_front() {
    let lab = Lab::with_vm();
    let vm = format!("\"{VM_REF}\"");
    let reply = lab.json("VM.add_to_platform", &[&vm, r#""device-model-args""#, r#""-device viaapi""#]);
    assert_eq!(reply, r#"{"jsonrpc":"2.0","result":"","id":1}"#);
    let platform = lab.json("VM.get_platform", &[&vm]);
    assert!(platform.contains(r#""result":{"device-model-args":"-device viaapi","nx":"true","#), "{platform}");
    let reply = lab.json("VM.remove_from_platform", &[&vm, r#""absent""#]);
    assert_eq!(reply, r#"{"jsonrpc":"2.0","result":"","id":1}"#);
}

#[test]
fn what_the_database_cannot_store_is_cut_off() {
    let lab = Lab::with_vm();
    lab.host.set_platform_key(VM, "note", Some("tab\tand\nline, then\u{1}nothing")).unwrap();
    assert_eq!(lab.host.platform(VM)["note"], "tab\tand\nline, then");
}

#[test]
fn an_event_tells_of_a_change_and_a_wait_ends_without_one() {
    let lab = Lab::with_vm();
    let from = |token: &str, timeout: &str| lab.json("event.from", &[&format!("[\"vm/{VM_REF}\"]"), token, timeout]);
    let token = |reply: &str| reply.split("\"token\":").nth(1).unwrap().split('}').next().unwrap().to_owned();
    let first = from("\"\"", "1.0");
    assert!(first.contains(r#""class":"vm","operation":"add""#), "{first}");
    let quiet = from(&token(&first), "0.2");
    assert!(quiet.contains(r#""events":[]"#) && token(&quiet) == token(&first), "{quiet}");
    let recorded = String::from_utf8(body(&vector("xenapi/e03_event_from_timeout.response"))).unwrap();
    let counted: Vec<_> = fields_of_counts(&recorded);
    assert_eq!(fields_of_counts(&quiet)[..counted.len()], counted);
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| from(&token(&quiet), "5.0"));
        std::thread::sleep(std::time::Duration::from_millis(50));
        lab.host.rename(VM, "renamed").unwrap();
        waiting.join().unwrap()
    });
    assert!(waiting.contains(r#""operation":"mod""#) && waiting.contains("renamed"), "{waiting}");
}

fn fields_of_counts(reply: &str) -> Vec<String> {
    let counts = reply.split("\"valid_ref_counts\":{").nth(1).unwrap().split('}').next().unwrap();
    counts.split(',').map(|count| count.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn a_connection_serves_one_request_after_another_until_it_is_asked_to_close() {
    let lab = Lab::start();
    let mut connection = crate::support::Connection::open(&lab.path("var/xapi/xapi"));
    let call = format!(r#"{{"jsonrpc":"2.0","method":"host.get_all","params":["{SESSION}"],"id":1}}"#);
    let request = post("/jsonrpc", call.as_bytes());
    let first = connection.exchange(&request);
    assert_eq!(first, connection.exchange(&request));
    let closing = String::from_utf8(request).unwrap().replace("Host:", "Connection: close\r\nHost:");
    let last = String::from_utf8(connection.exchange(closing.as_bytes())).unwrap();
    assert!(last.contains("connection: close\r\n"), "{last}");
    let unmeasured = lab.xapi(b"POST /jsonrpc HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(String::from_utf8_lossy(&unmeasured).contains("We require a content-length"));
}
