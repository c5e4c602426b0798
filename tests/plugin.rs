//! The plugin as xapi calls it: one argument of XML, one document of XML back, exit 0, whatever happens.

use vgpu_tests::root::Ran;
use vgpu_tests::tools::python;
use vgpu_tests::vectors::plugin_arguments;
use vgpu_tests::{Dom0, ScratchRoot, VM};

const SESSION: &str = "OpaqueRef:f2444e03-272d-7552-07d6-61a94f596445";

/// The argument with which xapi would call a function.
fn call(function: &str, arguments: &[(&str, &str)]) -> Vec<u8> {
    let escape =
        |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let member = |(name, value): &(&str, &str)| {
        format!("<member><name>{}</name><value>{}</value></member>", escape(name), escape(value))
    };
    let members = arguments.iter().map(member).collect::<Vec<_>>().concat();
    format!(
        "<methodCall><methodName>{}</methodName><params><param><value>{SESSION}</value></param><param><value><struct>\
         {members}</struct></value></param></params></methodCall>",
        escape(function)
    )
    .into_bytes()
}

/// What the plugin answered, read by Python's own XML-RPC: "Success" and a text, or "Failure" and the error's parts.
fn answer(ran: &Ran) -> (String, Vec<String>) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_accepted_by_xapi(&ran.stdout);
    let script = "import json, sys, xmlrpc.client
(value,), method = xmlrpc.client.loads(sys.stdin.buffer.read())
json.dump([value['Status'], value.get('ErrorDescription') or [value['Value']]], sys.stdout)";
    let read = python(script, ran.stdout.as_bytes());
    assert_eq!(read.code, Some(0), "{}\n{}", ran.stdout, read.stderr);
    serde_json::from_str(&read.stdout).unwrap()
}

/// xapi's rules (nothing before the document, no attribute, only texts, no control character).
fn assert_accepted_by_xapi(xml: &str) {
    assert!(xml.starts_with("<methodResponse>") && xml.ends_with("</methodResponse>"), "{xml}");
    assert_eq!(xml.matches("<methodResponse>").count(), 1);
    let document = roxmltree::Document::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert_eq!(node.attributes().count(), 0, "{xml}");
        let known =
            ["methodResponse", "params", "param", "value", "struct", "member", "name", "string", "array", "data"];
        assert!(known.contains(&node.tag_name().name()), "{xml}");
    }
    assert!(!xml.chars().any(|c| (c < ' ' && !"\t\n\r".contains(c)) || "\u{FFFE}\u{FFFF}".contains(c)), "{xml}");
}

fn failure(root: &ScratchRoot, function: &str, arguments: &[(&str, &str)]) -> Vec<String> {
    let (status, parts) = answer(&root.plugin(&call(function, arguments)));
    assert_eq!(status, "Failure", "{function} {arguments:?}: {parts:?}");
    parts
}

fn success(root: &ScratchRoot, function: &str, arguments: &[(&str, &str)]) -> serde_json::Value {
    let (status, parts) = answer(&root.plugin(&call(function, arguments)));
    assert_eq!(status, "Success", "{function} {arguments:?}: {parts:?}");
    serde_json::from_str(&parts[0]).unwrap()
}

/// A recorded call as Python's XML-RPC reads it.
struct Recorded {
    name: String,
    argument: Vec<u8>,
    method: String,
    members: Vec<(String, String)>,
}

fn recorded_calls() -> Vec<Recorded> {
    let script = "import json, sys, xmlrpc.client
def read(xml):
    params, method = xmlrpc.client.loads(xml)
    return [method, sorted(params[1].items())]
json.dump([read(xml) for xml in json.load(sys.stdin)], sys.stdout)";
    let recorded = plugin_arguments();
    let texts: Vec<_> = recorded.iter().map(|(_, argument)| std::str::from_utf8(argument).unwrap()).collect();
    let read = python(script, serde_json::to_string(&texts).unwrap().as_bytes());
    let calls: Vec<(String, Vec<(String, String)>)> = serde_json::from_str(&read.stdout).expect(&read.stderr);
    let joined = recorded.into_iter().zip(calls);
    joined.map(|((name, argument), (method, members))| Recorded { name, argument, method, members }).collect()
}

#[test]
fn every_recorded_argument_parses_to_its_function() {
    let root = ScratchRoot::new();
    for Recorded { name, argument, method, .. } in recorded_calls() {
        let ran = root.plugin(&argument);
        assert_eq!(failure_parts(&ran), ["UNKNOWN_XENAPI_PLUGIN_FUNCTION".to_owned(), method], "{name}");
    }
}

#[test]
fn every_recorded_argument_arrives_with_its_names_and_values() {
    // The recorded calls, made to call a function that names the first argument it does not know.
    let root = ScratchRoot::new();
    for Recorded { name, argument, members, .. } in recorded_calls() {
        let text = String::from_utf8(argument).unwrap();
        let (head, tail) = (text.find("<methodName>").unwrap(), text.find("</methodName>").unwrap());
        let ran = root.plugin(format!("{}<methodName>version{}", &text[..head], &text[tail..]).as_bytes());
        match members.first() {
            None => assert!(ran.stdout.contains("<string>Success</string>"), "{name}: {ran:?}"),
            Some((key, value)) => {
                assert_eq!(failure_parts(&ran), ["VGPU_INVALID_PARAM", key, value, "no arguments"], "{name}");
            }
        }
    }
}

/// The parts of a Failure, without Python's help, for where there are many.
fn failure_parts(ran: &Ran) -> Vec<String> {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_accepted_by_xapi(&ran.stdout);
    let document = roxmltree::Document::parse(&ran.stdout).unwrap();
    let texts = document.descendants().find(|node| node.has_tag_name("data")).expect(&ran.stdout).descendants();
    texts.filter(|node| node.has_tag_name("string")).map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_unknown_function_is_named_as_xapi_names_it() {
    let root = ScratchRoot::new();
    assert_eq!(failure(&root, "frobnicate", &[]), ["UNKNOWN_XENAPI_PLUGIN_FUNCTION", "frobnicate"]);
    assert_eq!(failure(&root, "", &[]), ["UNKNOWN_XENAPI_PLUGIN_FUNCTION", ""]);
    assert_eq!(failure(&root, "Version", &[]), ["UNKNOWN_XENAPI_PLUGIN_FUNCTION", "Version"]);
    assert_eq!(failure(&root, "version", &[("", "x")]), ["VGPU_INVALID_PARAM", "", "x", "no arguments"]);
}

#[test]
fn a_bad_argument_is_named_with_its_value_and_with_what_is_allowed() {
    let root = ScratchRoot::new();
    let good = [("vm_uuid", VM), ("pool", "A"), ("priority", "high")];
    for (name, value, allowed) in [
        ("pool", "C", "A or B"),
        ("pool", " A", "A or B"),
        ("priority", "urgent", "low, medium or high (or 0, 1, 2)"),
        ("priority", "3", "low, medium or high (or 0, 1, 2)"),
        ("vm_uuid", "web01", "a VM's UUID"),
        ("vm_uuid", "cda8bcd3f410bd1f36888c308ff28e90", "a VM's UUID"),
        ("vm_id", "0", "1 to 4294967295"),
        ("vm_id", "+7", "1 to 4294967295"),
        ("force", "maybe", "true or false"),
    ] {
        let mut arguments: Vec<_> = good.iter().copied().filter(|(other, _)| *other != name).collect();
        arguments.push((name, value));
        let parts = failure(&root, "register_vm", &arguments);
        assert_eq!(&parts[..3], ["VGPU_INVALID_PARAM", name, value]);
        assert!(parts[3].contains(allowed), "{parts:?}");
    }
}

#[test]
fn a_missing_argument_is_named_with_what_is_expected() {
    let root = ScratchRoot::new();
    assert_eq!(failure(&root, "set_pool", &[("vm_uuid", VM)]), ["VGPU_INVALID_PARAM", "pool", "", "A or B"]);
    assert_eq!(failure(&root, "show_vm", &[])[..3], ["VGPU_INVALID_PARAM", "vm_uuid", ""]);
    assert_eq!(failure(&root, "show_vm", &[("vm_uuid", "")])[..3], ["VGPU_INVALID_PARAM", "vm_uuid", ""]);
}

#[test]
fn an_unknown_argument_is_refused_and_the_known_ones_are_named() {
    let root = ScratchRoot::new();
    let parts = failure(&root, "list_vms", &[("poool", "A")]);
    assert_eq!(parts, ["VGPU_INVALID_PARAM", "poool", "A", "only the arguments pool, priority"]);
}

#[test]
fn an_empty_text_is_as_good_as_no_argument() {
    let root = ScratchRoot::new();
    assert_eq!(success(&root, "list_vms", &[("pool", "")]), serde_json::json!([]));
}

#[test]
fn control_characters_and_broken_utf_8_never_break_the_reply() {
    let root = ScratchRoot::new();
    for value in
        [&b"a\x01b"[..], b"a\xffb", b"\xc3", b"\xed\xa0\x80", "\u{FFFE}".as_bytes(), b"a\rb\x7f", b"&#1;", b"]]>"]
    {
        let mut argument =
            b"<methodCall><methodName>show_vm</methodName><params><param><value>s</value></param><param>\
            <value><struct><member><name>vm_uuid</name><value>"
                .to_vec();
        argument.extend_from_slice(value);
        argument.extend_from_slice(b"</value></member></struct></value></param></params></methodCall>");
        let (status, parts) = answer(&root.plugin(&argument));
        assert_eq!(status, "Failure", "{value:?}: {parts:?}");
    }
}

#[test]
fn what_is_no_call_of_xapis_is_answered_all_the_same() {
    let root = ScratchRoot::new();
    for argument in [
        "",
        "status",
        "<methodCall/>",
        "<a><b></a>",
        "<methodCall><methodName>status</methodName></methodCall>",
        "<methodCall><methodName>status</methodName><params><param><value>s</value></param><param><value>x</value></param></params></methodCall>",
        "<methodCall><methodName>status</methodName><params><param><value>s</value></param><param><value><struct><member><name>a</name><value><int>1</int></value></member></struct></value></param></params></methodCall>",
    ] {
        let (status, parts) = answer(&root.plugin(argument.as_bytes()));
        assert_eq!((status.as_str(), parts[0].as_str()), ("Failure", "VGPU_INVALID_CALL"), "{argument}");
    }
    let (_, parts) = answer(&root.run("etc/xapi.d/plugins/vgpu", &[]));
    assert!(parts[1].contains("xe host-call-plugin"), "{parts:?}");
}

#[test]
fn without_xapi_the_plugin_reads_and_changes_nothing() {
    let root = ScratchRoot::new();
    let register = [("vm_uuid", VM), ("pool", "A"), ("priority", "high")];
    assert_eq!(failure(&root, "register_vm", &register)[0], "VGPU_XAPI_ERROR");
    assert_eq!(success(&root, "list_vms", &[]), serde_json::json!([]));
    root.register(VM, "web01", "A", "high");
    assert_eq!(failure(&root, "set_pool", &[("vm_uuid", VM), ("pool", "B")])[0], "VGPU_XAPI_ERROR");
    assert_eq!(failure(&root, "remove_vm", &[("vm_uuid", VM)])[0], "VGPU_XAPI_ERROR");
    assert_eq!(success(&root, "show_vm", &[("vm_uuid", VM)])["pool"], "A");
    assert_eq!(success(&root, "status", &[])["xapi_answers"], false);
}

#[test]
fn plugin_and_cli_answer_the_same_bytes() {
    let root = ScratchRoot::new();
    root.register(VM, "web <01> & \"é\"", "A", "high");
    for (function, arguments, command) in [
        ("show_vm", &[("vm_uuid", VM)][..], &["show-vm", "--vm-uuid", VM][..]),
        ("list_vms", &[("pool", "a")], &["list-vms", "--pool=A"]),
        ("list_pools", &[], &["list-pools"]),
        ("status", &[], &["status"]),
    ] {
        let (_, parts) = answer(&root.plugin(&call(function, arguments)));
        let printed = root.admin_ok(&[command, &["--format", "json"]].concat());
        assert_eq!(format!("{}\n", parts[0]), printed, "{function}");
    }
}

#[test]
fn counts_and_version_are_answered() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "B", "low");
    assert_eq!(success(&root, "count_by_pool", &[]), serde_json::json!({"A": 0, "B": 1, "as_of": "unknown"}));
    let by_priority = serde_json::json!({"high": 0, "medium": 0, "low": 1, "as_of": "unknown"});
    assert_eq!(success(&root, "count_by_priority", &[]), by_priority);
    assert_eq!(success(&root, "version", &[])["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(success(&root, "check", &[])["ok"], false);
}

#[test]
fn settings_that_are_not_valid_are_an_error_with_the_line() {
    let root = ScratchRoot::new();
    root.settings("device = \"vgpu-stub\"\non_eror = \"block\"\n");
    let parts = failure(&root, "list_vms", &[]);
    assert_eq!(parts[0], "VGPU_SETTINGS_ERROR");
    assert!(parts[1].contains("line 2") && parts[1].contains("on_eror"), "{parts:?}");
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_the_answer() {
    let root = ScratchRoot::new();
    std::fs::create_dir_all(root.path("dev")).unwrap();
    let _socket = std::os::unix::net::UnixDatagram::bind(root.path("dev/log")).unwrap();
    for _ in 0..40 {
        assert_eq!(failure(&root, "frobnicate", &[]).len(), 2);
    }
}

#[test]
fn the_longest_argument_that_reaches_the_plugin_is_the_one_in_the_docs() {
    let docs = std::fs::read_to_string(vgpu_tests::programs::workspace().join("docs/plugin.md")).unwrap();
    assert!(docs.contains("131,071 bytes") && docs.contains("XENAPI_PLUGIN_FAILURE"));
    let root = ScratchRoot::new();
    let padded = |length: usize| {
        let empty = call("import", &[("config", "")]);
        call("import", &[("config", &"x".repeat(length - empty.len()))])
    };
    let answer = root.plugin(&padded(131_071)).stdout;
    assert!(answer.contains("VGPU_INVALID_FILE"), "{answer}");
    let argument = String::from_utf8(padded(131_072)).unwrap();
    let refused = root.command("etc/xapi.d/plugins/vgpu").arg(argument).spawn().map(drop).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ArgumentListTooLong);
}

#[test]
fn the_plugin_logs_each_change_with_its_vm() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let lines = dom0.syslog_lines();
    let logged = lines.iter().any(|line| line.contains("vgpu-plugin") && line.contains(&vm) && line.contains("pool=A"));
    assert!(logged, "{lines:?}");
}
