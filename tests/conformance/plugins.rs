//! What a plugin is given, and what `xe host-call-plugin` makes of what it prints.

use std::fs;

use crate::literal;
use crate::support::{Lab, assert_same, recordings, vector, without_uuids};
use simulated_host::{XeOutput, xe};

/// Installs the recordings' plugins.
pub fn install_lab_plugins(lab: &Lab) {
    for plugin in ["lab", "echo"] {
        let text = String::from_utf8(vector(&format!("programs/{plugin}"))).unwrap();
        lab.install(&format!("etc/xapi.d/plugins/{plugin}"), &text);
    }
    fs::write(lab.path("etc/xapi.d/plugins/notexec"), "a file").unwrap();
    fs::create_dir(lab.path("etc/xapi.d/plugins/adir")).unwrap();
}

/// Repeats recorded commands that begin like that; gives how many there were.
fn repeat(prefix: &str) -> usize {
    let lab = Lab::start();
    install_lab_plugins(&lab);
    let commands = recordings("plugin", prefix, ".xe-cmd.txt");
    // A long output was not kept, and one command is slow and nothing else.
    let commands = commands.iter().filter(|name| !name.ends_with("_big") && !name.ends_with("_sleep8"));
    let mut count = 0;
    for name in commands {
        let _ = fs::remove_file(lab.path("argv1"));
        let ours = run(&lab, name);
        assert_same(&format!("{name}: stdout"), &ours.stdout, &vector(&format!("{name}.xe-stdout")));
        assert_same(&format!("{name}: stderr"), &ours.stderr, &vector(&format!("{name}.xe-stderr")));
        assert_eq!(ours.code, recorded_code(name), "{name}");
        if let Ok(argv1) = fs::read(lab.path("argv1")) {
            // The session is another one each time.
            let recorded = without_uuids(&vector(&format!("{name}.argv1")));
            assert_same(&format!("{name}: argv1"), without_uuids(&argv1).as_bytes(), recorded.as_bytes());
        }
        count += 1;
    }
    count
}

fn run(lab: &Lab, name: &str) -> XeOutput {
    let text = String::from_utf8(vector(&format!("{name}.xe-cmd.txt"))).unwrap();
    xe(lab.host.root(), &literal::strings(text.lines().next().unwrap()))
}

fn recorded_code(name: &str) -> i32 {
    let text = String::from_utf8(vector(&format!("{name}.xe-cmd.txt"))).unwrap();
    text.lines().find_map(|line| line.strip_prefix("exit status: ")).unwrap().parse().unwrap()
}

#[test]
fn a_plugin_is_given_its_arguments_as_recorded() {
    assert!(repeat("p0") + repeat("p1") > 20);
}

#[test]
fn xe_reports_whatever_a_plugin_prints_as_recorded() {
    assert!(repeat("p20") > 35);
}

#[test]
fn xe_reports_a_plugin_that_cannot_run_as_recorded() {
    assert_eq!(repeat("p3"), 5);
}

#[test]
fn a_plugin_by_the_usual_conventions_is_reported_as_recorded() {
    assert_eq!(repeat("p4"), 3);
}

#[test]
fn a_newline_in_an_argument_of_xe_begins_another_argument() {
    let lab = Lab::start();
    install_lab_plugins(&lab);
    let host = format!("host-uuid={}", lab.host.host_uuid());
    let words = ["host-call-plugin", &host, "plugin=lab", "fn=repr", "args:a=1\nargs:b=2"];
    let output = xe(lab.host.root(), &words.map(|word| word.as_bytes().to_vec()));
    assert_same("stdout", &output.stdout, b"{'a': '1', 'b': '2'}\n");
}

#[test]
fn a_plugin_runs_as_dom0_runs_it() {
    let lab = Lab::start();
    lab.install(
        "etc/xapi.d/plugins/surroundings",
        "#!/usr/bin/env python3\nimport os, sys\nfrom xml.sax.saxutils import escape\n\
         def readable(fd):\n    try: return os.read(fd, 1)\n    except OSError as error: return error.strerror\n\
         facts = [sorted(k for k in os.environ if k not in ('LC_CTYPE', '_', 'PWD', 'SHLVL', 'OLDPWD')), \
         os.environ['PATH'], os.getcwd(), len(sys.argv), os.getsid(0) == os.getpid(), readable(0), \
         [fd for fd in os.listdir('/proc/self/fd') if os.path.realpath('/proc/self/fd/' + fd).find('socket:') >= 0]]\n\
         sys.stdout.write('<methodResponse><params><param><value><struct><member><name>Status</name><value>Success\
         </value></member><member><name>Value</name><value>' + escape(repr(facts)) + '</value></member></struct>\
         </value></param></params></methodResponse>')\n",
    );
    let facts = lab.host.call_plugin("surroundings", "main", &[]).unwrap();
    let expected = "[['PATH'], '/sbin:/usr/sbin:/bin:/usr/bin', '/', 2, True, 'Bad file descriptor', []]";
    assert_eq!(facts, expected);
}

#[test]
fn a_plugin_is_not_killed_by_a_pipe_that_nobody_reads() {
    let lab = Lab::start();
    // Python ignores the signal of its own accord; a shell has it from whoever started it.
    lab.install("etc/xapi.d/plugins/signals", "#!/bin/sh\nsed -n 's/^SigIgn:[^0-9]*//p' /proc/self/status\nexit 2\n");
    let error = lab.host.call_plugin("signals", "main", &[]).unwrap_err();
    let ignored = u64::from_str_radix(error.params[1].trim(), 16).unwrap();
    assert_eq!(ignored >> 12 & 1, 1, "SIGPIPE is the 13th signal");
}

#[test]
fn a_child_that_a_plugin_leaves_behind_delays_nothing() {
    let lab = Lab::start();
    lab.install(
        "etc/xapi.d/plugins/leaves",
        "#!/bin/sh\nsleep 3 &\nprintf '<methodResponse><params><param><value><struct><member><name>Status</name><value>\
         Success</value></member><member><name>Value</name><value>done</value></member></struct></value></param></params>\
         </methodResponse>'\n",
    );
    let started = std::time::Instant::now();
    assert_eq!(lab.host.call_plugin("leaves", "main", &[]).unwrap(), "done");
    assert!(started.elapsed().as_secs() < 2);
}

#[test]
fn an_argument_that_the_kernel_will_not_take_fails_the_call() {
    let lab = Lab::start();
    install_lab_plugins(&lab);
    let error = lab.host.call_plugin("lab", "main", &[("v", &"y".repeat(140_000))]).unwrap_err();
    assert_eq!((error.code.as_str(), error.params[0].as_str()), ("XENAPI_PLUGIN_FAILURE", "non-zero exit"));
    lab.install("etc/xapi.d/plugins/orphan", "#!/no/such/interpreter\n");
    let error = lab.host.call_plugin("orphan", "main", &[]).unwrap_err();
    assert_eq!(error.params, ["non-zero exit", "", ""]);
}
