//! What a test can let go wrong, and who may do what: not recorded, but others' tests stand on it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use simulated_host::{Fault, Role, Service, xe};

use crate::message_switch::call;
use crate::support::{CLASSIC, Lab, SESSION, VM, VM_REF, body, post};

fn get_all() -> Vec<u8> {
    let call = format!(r#"{{"jsonrpc":"2.0","method":"VM.get_all","params":["{SESSION}"],"id":1}}"#);
    post("/jsonrpc", call.as_bytes())
}

/// Everything that comes back within a moment, and whether the connection was closed.
fn ask(lab: &Lab, request: &[u8], patience: Duration) -> (Vec<u8>, bool) {
    let mut stream = UnixStream::connect(lab.path("var/lib/xcp/xapi")).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(request).unwrap();
    let (mut reply, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (reply, true),
            Ok(length) => reply.extend_from_slice(&buffer[..length]),
            Err(_) => return (reply, false),
        }
    }
}

const MOMENT: Duration = Duration::from_millis(150);

#[test]
fn a_service_that_is_absent_has_no_socket_and_one_that_refuses_has() {
    let lab = Lab::start();
    for (service, socket) in
        [(Service::Xapi, "var/lib/xcp/xapi"), (Service::MessageSwitch, "var/run/message-switch/sock")]
    {
        let error = || UnixStream::connect(lab.path(socket)).unwrap_err().kind();
        let mut idle = UnixStream::connect(lab.path(socket)).unwrap();
        lab.host.set_fault(service, Fault::Absent).unwrap();
        assert_eq!(error(), std::io::ErrorKind::NotFound);
        assert_eq!(idle.read(&mut [0]).unwrap(), 0, "an idle connection is closed");
        lab.host.set_fault(service, Fault::Refuses).unwrap();
        assert_eq!(error(), std::io::ErrorKind::ConnectionRefused);
        lab.host.set_fault(service, Fault::Hangs).unwrap();
        UnixStream::connect(lab.path(socket)).unwrap();
        lab.host.set_fault(service, Fault::Absent).unwrap();
        lab.host.clear_faults().unwrap();
        UnixStream::connect(lab.path(socket)).unwrap();
    }
}

#[test]
fn a_service_that_hangs_reads_and_never_answers() {
    let lab = Lab::start();
    lab.host.set_fault(Service::Xapi, Fault::Hangs).unwrap();
    assert_eq!(ask(&lab, &get_all(), MOMENT), (Vec::new(), false));
    lab.host.clear_faults().unwrap();
    assert!(!ask(&lab, &get_all(), MOMENT).0.is_empty());
}

#[test]
fn a_reply_can_be_cut_late_or_nonsense() {
    let lab = Lab::start();
    let whole = ask(&lab, &get_all(), MOMENT).0;
    let with = |fault: Fault| {
        lab.host.set_fault(Service::Xapi, fault).unwrap();
        ask(&lab, &get_all(), Duration::from_millis(400))
    };
    let (cut, closed) = with(Fault::DropsReply);
    assert!(closed && !cut.is_empty() && whole.starts_with(&cut) && cut.len() < whole.len());
    assert!(!with(Fault::Garbage).0.starts_with(b"HTTP"));
    assert!(serde_json::from_slice::<serde_json::Value>(&body(&with(Fault::NotJson).0)).is_err());
    let odd: serde_json::Value = serde_json::from_slice(&body(&with(Fault::WrongShape).0)).unwrap();
    assert!(odd.get("result").is_none() && odd.get("error").is_none());
    let started = Instant::now();
    assert_eq!(with(Fault::Slow(Duration::from_millis(200))).0, whole);
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn one_method_can_be_refused_while_others_work() {
    let lab = Lab::with_vm();
    let refusal = Fault::error("RBAC_PERMISSION_DENIED", &["vm.add_to_platform", "because"]);
    lab.host.set_fault_in(Service::Xapi, "VM.add_to_platform", refusal).unwrap();
    let add = || lab.json("VM.add_to_platform", &[&format!("\"{VM_REF}\""), "\"k\"", "\"v\""]);
    let error = r#"{"jsonrpc":"2.0","error":{"code":1,"message":"RBAC_PERMISSION_DENIED","data":["vm.add_to_platform","because"]},"id":1}"#;
    assert_eq!(add(), error);
    assert!(lab.json("VM.get_all", &[]).contains(VM_REF));
    lab.host.clear_faults().unwrap();
    assert!(add().contains(r#""result":"""#));
}

#[test]
fn a_member_s_errors_are_arrays_even_in_json_rpc_2() {
    let lab = Lab::start();
    lab.host.set_fault(Service::Xapi, Fault::ForwardedErrors).unwrap();
    let error = r#"{"jsonrpc":"2.0","error":["UUID_INVALID","VM","nope"],"id":1}"#;
    assert_eq!(lab.json("VM.get_by_uuid", &["\"nope\""]), error);
}

#[test]
fn xenopsd_can_fail_behind_a_message_switch_that_works() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    let stat = format!(r#"{{"method":"VM.stat","params":[{{"debug_info":"x","id":"{VM}"}}],"id":1}}"#);
    assert!(call(&lab, CLASSIC, &stat).contains("platformdata"));
    let refusal = Fault::error("Internal_error", &["out of luck"]);
    lab.host.set_fault_in(Service::Xenopsd, "VM.stat", refusal).unwrap();
    assert_eq!(call(&lab, CLASSIC, &stat), r#"{"result":null,"error":["Internal_error","out of luck"],"id":0}"#);
    lab.host.set_fault_in(Service::Xenopsd, "VM.stat", Fault::NotJson).unwrap();
    assert_eq!(call(&lab, CLASSIC, &stat), "Stack_overflow");
}

#[test]
fn a_role_may_do_what_it_may_and_no_more() {
    let lab = Lab::with_vm();
    let call = |session: &str, method: &str, params: &str| {
        let call = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":["{session}"{params}],"id":1}}"#);
        String::from_utf8(body(&lab.xapi(&post("/jsonrpc", call.as_bytes())))).unwrap()
    };
    let add = format!(r#","{VM_REF}","key","value""#);
    let operator = lab.host.open_session(Role::VmOperator);
    assert!(call(&operator, "VM.get_platform", &format!(r#","{VM_REF}""#)).contains("result"));
    let refusal = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":\"RBAC_PERMISSION_DENIED\",\"data\":[\
                   \"vm.add_to_platform\",\"No permission in user session. (Roles with this permission: pool-admin, \
                   pool-operator, vm-power-admin, vm-admin)\"]},\"id\":1}";
    assert_eq!(call(&operator, "VM.add_to_platform", &add), refusal);
    let admin = lab.host.open_session(Role::VmAdmin);
    assert!(call(&admin, "VM.add_to_platform", &add).contains("result"));
    let pool = format!(r#","{}","key","value""#, lab.host.pool_ref());
    assert!(call(&admin, "pool.add_to_other_config", &pool).contains("RBAC_PERMISSION_DENIED"));
    let pool_operator = lab.host.open_session(Role::PoolOperator);
    assert!(call(&pool_operator, "pool.add_to_other_config", &pool).contains("result"));
    assert_eq!(lab.host.pool_other_config()["key"], "value");
    let superuser = |session: &str| call(session, "session.get_is_local_superuser", &format!(r#","{session}""#));
    assert!(superuser(&admin).contains("false") && superuser(SESSION).contains("true"));
}

#[test]
fn an_operator_reaches_a_plugin_through_a_running_vm() {
    let lab = Lab::with_vm();
    crate::plugins::install_lab_plugins(&lab);
    let session = lab.host.open_session(Role::VmOperator);
    let call_plugin = || {
        let call = format!(
            r#"{{"jsonrpc":"2.0","method":"VM.call_host_plugin","params":["{session}","{VM_REF}","lab","main",{{}}],"id":1}}"#
        );
        String::from_utf8(body(&lab.xapi(&post("/jsonrpc", call.as_bytes())))).unwrap()
    };
    assert!(call_plugin().contains("VM_BAD_POWER_STATE"));
    lab.host.vm_start(VM).unwrap();
    assert!(call_plugin().contains(r#""result":"OK""#));
    let given = String::from_utf8(std::fs::read(lab.path("argv1")).unwrap()).unwrap();
    assert!(given.contains(&session), "the plugin gets its caller's own session");
}

#[test]
fn what_is_sent_to_the_system_log_is_collected_and_written() {
    let lab = Lab::start();
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(b"<14>Nov 22 18:00:00 vgpu[7]: a line", lab.path("dev/log")).unwrap();
    assert_eq!(lab.host.syslog_lines(), ["<14>Nov 22 18:00:00 vgpu[7]: a line"]);
    let file = std::fs::read_to_string(lab.path("var/log/user.log")).unwrap();
    assert_eq!(file, "Nov 22 18:00:00 vgpu[7]: a line\n");
}

#[test]
fn calls_and_sessions_can_be_looked_at() {
    let lab = Lab::with_vm();
    let before = lab.host.open_sessions();
    lab.host.clear_calls();
    let output = xe(lab.host.root(), &[b"vm-list".to_vec(), b"--minimal".to_vec()]);
    assert!(String::from_utf8(output.stdout).unwrap().contains(VM));
    assert_eq!(lab.host.calls(), ["session.login_with_password", "VM.get_all_records", "session.logout"]);
    assert_eq!(lab.host.open_sessions(), before);
}

#[test]
fn a_program_outside_can_do_what_a_test_can() {
    let lab = Lab::start();
    let control = |method: &str, params: &str| {
        let call = format!(r#"{{"jsonrpc":"2.0","method":"simulated.{method}","params":[{params}],"id":1}}"#);
        let socket = lab.path("var/run/simulated-host/control");
        let reply = crate::support::Connection::open(&socket).exchange(&post("/jsonrpc", call.as_bytes()));
        serde_json::from_slice::<serde_json::Value>(&body(&reply)).unwrap()["result"].clone()
    };
    let uuid = control("create_vm", "\"demo\"").as_str().unwrap().to_owned();
    control("set_fault", r#""xapi","absent""#);
    assert!(UnixStream::connect(lab.path("var/lib/xcp/xapi")).is_err());
    control("clear_faults", "");
    lab.host.vm_start(&uuid).unwrap();
    let boot = control("guest_reboot", &format!("\"{uuid}\""));
    assert_eq!(boot["platformdata"]["nx"], "true");
    assert_eq!(control("boots", &format!("\"{uuid}\"")).as_array().unwrap().len(), 2);
}

#[test]
fn a_host_ends_with_everything_it_started() {
    let lab = Lab::with_vm();
    // A clear end, with a hook that hangs, a call that hangs and a client that waits.
    lab.hook_file("10-lab", "#!/bin/sh\nexec sleep 60\n");
    lab.host.set_fault_in(Service::Xapi, "VM.get_all", Fault::Hangs).unwrap();
    let root = lab.host.root().to_owned();
    let mut hanging = UnixStream::connect(root.join("var/lib/xcp/xapi")).unwrap();
    hanging.write_all(&get_all()).unwrap();
    let starting = std::thread::spawn({
        let root = root.clone();
        move || xe(&root, &[b"vm-start".to_vec(), format!("uuid={VM}").into_bytes()])
    });
    while lab.json("VM.get_current_operations", &[&format!("\"{VM_REF}\"")]).contains("{}") {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut idle = UnixStream::connect(root.join("var/run/message-switch/sock")).unwrap();
    let started = Instant::now();
    // The root stays, so that what is left in it can be seen.
    let Lab { host, root: _root } = lab;
    drop(host);
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_ne!(starting.join().unwrap().code, 0);
    for client in [&mut hanging, &mut idle] {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    let sockets = ["var/lib/xcp/xapi", "var/run/message-switch/sock", "var/run/simulated-host/control", "dev/log"];
    assert!(root.is_dir() && sockets.iter().all(|socket| !root.join(socket).exists()));
}

/// A stopped process finds in its sockets what was sent meanwhile, and message-switch keeps a request until it is taken
/// (`ocaml/message-switch/switch/q.ml`).
#[test]
fn what_a_stopped_service_was_asked_it_does_when_it_goes_on_though_nobody_waits_any_more() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    let named = lab.host.xenopsd_metadata_text(VM).unwrap().replace("\"lab-vm\"", "\"late\"");
    lab.host.set_fault(Service::Xenopsd, Fault::Hangs).unwrap();
    lab.host.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Hangs).unwrap();
    let add = format!(
        r#"{{"jsonrpc":"2.0","method":"VM.add_to_platform","params":["{SESSION}","{VM_REF}","late","1"],"id":1}}"#
    );
    assert_eq!(ask(&lab, &post("/jsonrpc", add.as_bytes()), MOMENT), (Vec::new(), false));
    let mut connection = crate::support::Connection::open(&lab.path("var/run/message-switch/sock"));
    let add = format!(r#"{{"method":"VM.add","params":[{{"debug_info":"x","vm":{named}}}],"id":1}}"#);
    connection.exchange(b"GET /login/gone HTTP/1.1\r\n\r\n");
    connection.exchange(&post(&format!("/request/{CLASSIC}/gone"), add.as_bytes()));
    drop(connection);
    lab.host.hold_events(true);
    lab.host.clear_faults().unwrap();
    let has_both = || lab.host.xenopsd_metadata(VM)["name"] == "late" && lab.host.platform(VM).contains_key("late");
    let until = Instant::now() + Duration::from_secs(20);
    while !has_both() {
        assert!(Instant::now() < until, "{} {:?}", lab.host.xenopsd_metadata(VM)["name"], lab.host.platform(VM));
        std::thread::sleep(Duration::from_millis(5));
    }
}
