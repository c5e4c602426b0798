//! Reads a document's `console` blocks and runs them.
//!
//! `$ ` begins a command, `> ` continues it, `? N` after it says that it ends with N; `[..]` and `...` stand for what differs.
//! `SNAPSHOTS=overwrite` writes what is printed into the document (with `--test-threads=1`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use snapbox::IntoData;
use snapbox::filter::NormalizeToExpected;
use vgpu_tests::clients::Clients;
use vgpu_tests::{programs, tools};

/// A command with what it has to print and how it has to end.
pub struct Example {
    command: String,
    status: i32,
    output: String,
    /// The lines of the output in the document.
    lines: std::ops::Range<usize>,
}

/// What is below one heading.
pub struct Section {
    pub title: String,
    pub examples: Vec<Example>,
}

pub fn path_of(document: &str) -> PathBuf {
    programs::workspace().join(document)
}

/// The sections that have examples.
pub fn sections(document: &str) -> Vec<Section> {
    let markdown = fs::read_to_string(path_of(document)).unwrap();
    let mut sections = vec![Section { title: String::new(), examples: Vec::new() }];
    let mut block = None;
    for (number, line) in markdown.lines().enumerate() {
        let examples = &mut sections.last_mut().unwrap().examples;
        if let Some(language) = line.strip_prefix("```") {
            block = if block.is_none() { Some(language) } else { None };
        } else if block == Some("console") {
            read_line(line, number, examples);
        } else if let (None, Some((marks, title))) = (block, line.split_once(' '))
            && !marks.is_empty()
            && marks.bytes().all(|mark| mark == b'#')
        {
            sections.push(Section { title: title.to_owned(), examples: Vec::new() });
        }
    }
    sections.retain(|section| !section.examples.is_empty());
    sections
}

fn read_line(line: &str, number: usize, examples: &mut Vec<Example>) {
    let below = number + 1..number + 1;
    if let Some(command) = line.strip_prefix("$ ") {
        examples.push(Example { command: command.to_owned(), status: 0, output: String::new(), lines: below });
        return;
    }
    let example = examples.last_mut().expect("a block begins with a command");
    if let (Some(more), true) = (line.strip_prefix("> "), example.output.is_empty()) {
        example.command = format!("{}\n{more}", example.command);
        example.lines = below;
    } else if let Some(status) = line.strip_prefix("? ") {
        example.status = status.parse().unwrap();
        example.lines = below;
    } else {
        example.output.push_str(line);
        example.output.push('\n');
        example.lines.end = number + 1;
    }
}

/// Where an administrator types.
pub struct Shell {
    root: PathBuf,
    path: String,
    clients: Option<Clients>,
}

impl Shell {
    /// On the host below a root.
    pub fn on(root: &Path) -> Self {
        fs::copy(programs::folder().join("xe"), root.join("usr/bin/xe")).unwrap();
        let sqlite3 = tools::sqlite_3_7_17().parent().unwrap().display();
        let path = format!("{}/usr/bin:{sqlite3}:{}", root.display(), std::env::var("PATH").unwrap());
        fs::create_dir_all(root.join("root")).unwrap();
        Self { root: root.to_owned(), path, clients: None }
    }

    /// With the clients of the XenAPI at hand.
    pub fn with_clients(self) -> Self {
        let clients = Some(Clients::new(&self.root));
        Self { clients, ..self }
    }

    /// With a stand-in for `ssh` that runs a command below another host's root.
    pub fn with_ssh(self, hosts: &[(String, PathBuf)]) -> Self {
        let line = |(name, root): &(String, PathBuf)| format!("    {name}) root={} ;;\n", root.display());
        let hosts: String = hosts.iter().map(line).collect();
        let script = format!(
            "#!/bin/sh\ncase ${{1#root@}} in\n{hosts}    *) exit 255 ;;\nesac\nshift\nPATH=$root/usr/bin:$PATH\nexec sh -c \"$*\"\n"
        );
        fs::write(self.root.join("ssh"), script).unwrap();
        let installed = Command::new("install").arg(self.root.join("ssh")).arg(self.root.join("usr/bin/ssh")).status();
        assert!(installed.unwrap().success());
        self
    }

    fn home(&self) -> PathBuf {
        self.root.join("root")
    }

    /// Writes a file where the commands run.
    pub fn write(&self, name: &str, content: &str) {
        fs::write(self.home().join(name), content).unwrap();
    }

    /// Runs a command, and returns its status and what it printed.
    fn run(&self, command: &str) -> (Option<i32>, String) {
        let root = self.root.display().to_string();
        let below_root = format!(" {command}").replace(" /etc/", &format!(" {root}/etc/"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{{ {below_root}\n}} 2>&1")]).env("PATH", &self.path).current_dir(self.home());
        if let Some(clients) = &self.clients {
            clients.prepare(&mut shell);
        }
        let ran = shell.output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap().replace(&root, ""))
    }

    /// Runs examples one after the other: each has to print what the document says.
    pub fn run_all(&self, document: &str, examples: &[Example]) {
        let overwrite = std::env::var_os("SNAPSHOTS").is_some_and(|action| action == "overwrite");
        let mut corrected = Vec::new();
        for example @ Example { command, status, output, .. } in examples {
            let (ended, printed) = self.run(command);
            let expected = output.as_str().into_data();
            let actual = NormalizeToExpected::new().redact().normalize(printed.as_str().into_data(), &expected);
            if ended == Some(*status) && actual == expected {
                continue;
            }
            assert!(
                overwrite,
                "{document}: {command}\nends with {ended:?} and prints:\n{printed}\nThe document says {status} and:\n{output}"
            );
            corrected.push((example, ended.unwrap_or_default(), printed));
        }
        if !corrected.is_empty() {
            correct(document, corrected);
        }
    }
}

fn correct(document: &str, corrected: Vec<(&Example, i32, String)>) {
    let markdown = fs::read_to_string(path_of(document)).unwrap();
    let mut lines: Vec<_> = markdown.lines().map(str::to_owned).collect();
    // From the end, so that the numbers of the lines before stay right.
    for (Example { status, lines: range, .. }, ended, printed) in corrected.into_iter().rev() {
        let begin = range.start - usize::from(*status != 0);
        let status = (ended != 0).then(|| format!("? {ended}"));
        lines.splice(begin..range.end, status.into_iter().chain(printed.lines().map(str::to_owned)));
    }
    fs::write(path_of(document), lines.join("\n") + "\n").unwrap();
}
