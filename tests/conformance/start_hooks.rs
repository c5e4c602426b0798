//! The hook scripts of the recordings about starts, and the recordings themselves.

use std::fs;

use simulated_host::Boot;

use crate::support::{Lab, VM, install, vector, without_uuids};

impl Lab {
    /// Installs a vm-pre-start script in Python, with the helpers of `hook.py`.
    pub fn hook(&self, script: &str) {
        fs::create_dir_all(self.path("opt/lab")).unwrap();
        fs::write(self.path("opt/lab/hook.py"), vector("programs/hook.py")).unwrap();
        let helpers = self.path("opt/lab");
        let helpers = format!("import sys\nsys.path.insert(0, '{}')\nfrom hook import *\n", helpers.display());
        self.hook_file("10-lab", &format!("#!/usr/bin/env python3\n{helpers}{script}\n"));
    }

    /// Installs a vm-pre-start script as it stands.
    pub fn hook_file(&self, name: &str, text: &str) {
        install(&self.path(&format!("etc/xapi.d/vm-pre-start/{name}")), text);
    }

    pub fn remove_hook(&self) {
        fs::remove_file(self.path("etc/xapi.d/vm-pre-start/10-lab")).unwrap();
    }

    /// What the hooks have logged since last asked.
    pub fn hook_log(&self) -> String {
        let log = fs::read_to_string(self.path("hook.log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("hook.log"));
        log
    }

    /// Starts the VM with that hook.
    pub fn start_with(&self, script: &str) -> Boot {
        self.hook(script);
        self.host.vm_start(VM).unwrap()
    }

    /// Compares the hook's log with the recorded one, but for its times and for references.
    pub fn assert_hook_log(&self, name: &str) {
        let recording = recording(name);
        let lines = recording.lines().filter_map(|line| line.strip_prefix("hook: "));
        let said: Vec<&str> = lines.filter_map(|line| line.split_once(' ')).map(|(_, said)| said).collect();
        assert!(!said.is_empty());
        // The path of the script stands in some recordings; here it is below another root.
        let said = said.iter().filter(|said| !said.starts_with('/')).map(|said| format!("{said}\n"));
        let said: String = said.collect();
        assert_eq!(without_uuids(self.hook_log().as_bytes()), without_uuids(said.as_bytes()), "{name}");
    }
}

pub fn recording(name: &str) -> String {
    String::from_utf8(vector(&format!("start/{name}.txt"))).unwrap()
}

/// Compares what a domain was built from with what every step of the recorded start saw.
pub fn assert_boot(name: &str, boot: &Boot) {
    let members: Vec<String> = boot.platformdata.iter().map(|(key, value)| pair(key, value)).collect();
    let ours = format!("[{}]", members.join("; "));
    let recording = recording(name);
    let seen: Vec<&str> =
        recording.lines().filter_map(|line| line.split_once("platformdata=")).map(|it| it.1).collect();
    assert_eq!(seen.len(), 3, "{name}: VM_create, VM_build, VM_create_device_model");
    for seen in seen {
        assert_eq!(ours, seen, "{name}");
    }
}

/// A pair as the recordings' log shows it: a quotation mark comes out escaped twice.
fn pair(key: &str, value: &str) -> String {
    format!("\"{key}\"=\"{}\"", value.replace('"', "\\\\\""))
}
