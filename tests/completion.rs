//! What TAB offers: a real bash with the script that is installed, once by its function and once by keys on a terminal.

use std::fmt::Write as _;
use std::process::Command;

use vgpu_tests::root::Ran;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{ScratchRoot, VM, programs, uuid};

/// A root with the script where bash-completion looks for it, as the package's files are generated.
fn root() -> ScratchRoot {
    let root = ScratchRoot::new();
    let folder = root.path("generated");
    std::fs::create_dir(&folder).unwrap();
    let made = Command::new(programs::folder().join("vgpu-generate")).arg(&folder).status().unwrap();
    assert!(made.success());
    let script = std::fs::read(folder.join("vgpu-admin.bash")).unwrap();
    root.write("usr/share/bash-completion/completions/vgpu-admin", script);
    root
}

/// Runs lines in a bash without anybody's settings, in which vgpu-admin is the root's.
fn bash(root: &ScratchRoot, lines: &str) -> String {
    let path = format!("{}:{}", root.path("usr/bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-c", lines]).env("PATH", path).current_dir(root.folder());
    let ran = Ran::of(&mut command);
    // Outside of a completion there are no options of it.
    let complaints = ran.stderr.lines().filter(|line| !line.contains("compopt: not currently executing")).count();
    assert_eq!((ran.code, complaints), (Some(0), 0), "{ran:?}");
    ran.stdout
}

/// What TAB offers after a line. The words are given as bash takes the line apart: at = and : too.
fn offered_after(root: &ScratchRoot, lines: &[&str]) -> Vec<Vec<String>> {
    let mut script = "source usr/share/bash-completion/completions/vgpu-admin\n".to_owned();
    for line in lines {
        let line = line.replace('=', " = ").replace(':', " : ");
        let mut words: Vec<_> = line.split(' ').collect();
        if words.len() > 1 && words.ends_with(&["=", ""]) {
            words.pop();
        }
        let last = *words.last().unwrap();
        let current = if last == "=" { "" } else { last };
        let words: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        writeln!(
            script,
            "COMP_WORDS=({}); COMP_CWORD={}; COMPREPLY=(); _vgpu_admin vgpu-admin '{current}' x; echo \"${{COMPREPLY[*]}}\"",
            words.join(" "),
            words.len() - 1
        )
        .unwrap();
    }
    let said = bash(root, &script);
    let offered: Vec<_> = said.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect();
    assert_eq!(offered.len(), lines.len(), "{said}");
    offered
}

/// The subcommands, as the help lists them in groups.
fn subcommands(root: &ScratchRoot) -> Vec<String> {
    let help = root.admin_ok(&["-h"]);
    let (_, groups) = help.split_once("\nVMs:\n").unwrap();
    let (groups, _) = groups.split_once("\nOptions:\n").unwrap();
    let commands = groups.lines().filter_map(|line| line.strip_prefix("  "));
    commands.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// The options of a subcommand, as its help lists them.
fn options(root: &ScratchRoot, subcommand: &str) -> Vec<String> {
    let help = root.admin_ok(&[subcommand, "-h"]);
    let (help, _) = help.split_once("\nExample").unwrap();
    // Not what the description of a command says.
    let long =
        help.lines().filter(|line| line.starts_with("  ") && line.trim_start().starts_with('-')).filter_map(|line| {
            let option = line.split_whitespace().find(|word| word.starts_with('-') && !word.ends_with(','))?;
            option.strip_prefix("--").map(|name| format!("--{}", name.trim_end_matches("...")))
        });
    let mut options: Vec<_> = long.collect();
    options.sort();
    options.dedup();
    options
}

#[test]
fn after_every_subcommand_all_its_options_are_offered_and_no_others() {
    let root = root();
    let subcommands = subcommands(&root);
    assert!(subcommands.len() > 18 && subcommands.contains(&"recover".to_owned()), "{subcommands:?}");
    let with_options: Vec<_> = subcommands.iter().filter(|name| *name != "help").collect();
    let lines: Vec<_> = with_options.iter().map(|name| format!("vgpu-admin {name} --")).collect();
    let all_offered = offered_after(&root, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, mut offered) in with_options.into_iter().zip(all_offered) {
        offered.sort();
        assert_eq!(offered, options(&root, name), "{name}");
        assert!(offered.len() >= 4, "{name}: {offered:?}");
    }
}

#[test]
fn subcommands_and_values_are_offered_with_a_space_or_an_equals_sign_before_them() {
    let root = root();
    for (line, expected) in [
        ("vgpu-admin reg", "register-vm"),
        ("vgpu-admin set-", "set-pool set-priority set-gpu-pool"),
        ("vgpu-admin show-pool ", "A B"),
        ("vgpu-admin assign-gpu --pool=", "A B"),
        ("vgpu-admin --format json li", "list-vms list-pools"),
        ("vgpu-admin register-vm --po", "--pool"),
        ("vgpu-admin register-vm --pool ", "A B"),
        ("vgpu-admin register-vm --pool=", "A B"),
        ("vgpu-admin set-pool --vm-name=web01 --pool=", "A B"),
        ("vgpu-admin update-vm --pool=B --priority ", "low medium high"),
        ("vgpu-admin update-vm --pool=B --priority=", "low medium high"),
        ("vgpu-admin set-priority --priority=h", "high"),
        ("vgpu-admin list-vms --priority m", "medium"),
        ("vgpu-admin list-vms --pool=A --pri", "--priority"),
        ("vgpu-admin list-vms --format=", "table json csv"),
        ("vgpu-admin list-pools --sort ", "pool vms high medium low limit free gpus name description"),
        ("vgpu-admin --format=j", "json"),
        ("vgpu-admin show-vm --vm-name=a:b --vm-u", "--vm-uuid"),
        ("vgpu-admin frobnicate --", "--format --host --verbose --help --version"),
        ("vgpu-admin import usr/b", "usr/bin/"),
    ] {
        let offered = offered_after(&root, &[line]).remove(0).join(" ");
        assert_eq!(offered, expected, "{line}");
    }
}

#[test]
fn vms_are_offered_by_name_and_uuid_and_values_after_them() {
    let root = root();
    root.register(&uuid(0xab), "web01", "A", "low");
    root.register(&uuid(2), "web02", "A", "low");
    root.register(&uuid(3), "db 01 (old)", "B", "low");
    let (first, third) = (uuid(0xab), uuid(3));
    for (line, expected) in [
        ("vgpu-admin show-vm ", "web01 web02 db\\ 01\\ \\(old\\)"),
        ("vgpu-admin show-vm web01 we", "web01 web02"),
        ("vgpu-admin show-vm db", "db\\ 01\\ \\(old\\)"),
        ("vgpu-admin show-vm 000000a", &first),
        ("vgpu-admin check we", "web01 web02"),
        ("vgpu-admin remove-vm --yes web02", "web02"),
        ("vgpu-admin show-vm --vm-uuid 00000003", &third),
        ("vgpu-admin show-vm --vm-uuid=00000003", &third),
        ("vgpu-admin apply --vm-name=we", "web01 web02"),
        ("vgpu-admin set-pool web01 ", "web01 web02 db\\ 01\\ \\(old\\) A B"),
        ("vgpu-admin set-priority web01 web02 h", "high"),
        ("vgpu-admin set-priority web01 --priority=h", "high"),
        // VMs that are not registered yet are not in the database.
        ("vgpu-admin register-vm we", ""),
    ] {
        assert_eq!(offered_after(&root, &[line]).remove(0).join(" "), expected, "{line}");
    }
    sql_ok(&root.database(), "UPDATE vms SET vm_name = 'we' || char(10) || 'b' WHERE vm_name = 'web01'");
    assert_eq!(offered_after(&root, &["vgpu-admin show-vm we"]), [["web02"]]);
}

#[test]
fn a_name_with_spaces_is_completed_after_a_backslash_and_inside_quotes() {
    let root = root();
    root.register(VM, "db 01", "A", "low");
    let offered = |words: &str, current: &str| {
        let script = format!(
            "source usr/share/bash-completion/completions/vgpu-admin; COMP_WORDS=(vgpu-admin show-vm {words}); COMP_CWORD=2
            _vgpu_admin vgpu-admin {current} show-vm; echo \"${{COMPREPLY[*]}}\""
        );
        bash(&root, &script)
    };
    assert_eq!(offered("'db\\ 0'", "'db\\ 0'"), "db\\ 01\n");
    assert_eq!(offered("'\"db 0'", "'\"db 0'"), "db 01\n");
}

/// Loads a script at the first TAB, as bash-completion 2.1 does.
const LOADER: &str = "_completion_loader() { . \"usr/share/bash-completion/completions/${1##*/}\" >/dev/null 2>&1 && return 124; }; \
    complete -D -F _completion_loader";

#[test]
fn keys_on_a_terminal_complete_a_whole_command() {
    let root = root();
    root.register(VM, "web01", "A", "low");
    let keys = "vgpu-admin upd\tweb\t--poo\tB --priority=h\t --form\tj\t\n";
    let script = format!(
        "import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.chdir({root:?})
    os.environ['PATH'] = {root:?} + '/usr/bin:' + os.environ['PATH']
    os.environ['INPUTRC'] = '/dev/null'
    os.environ['TERM'] = 'dumb'
    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
def until(text):
    seen = b''
    while text not in seen:
        seen += os.read(terminal, 1000)
    return seen
os.write(terminal, b'PS1=re; PS1=$PS1\"ady>\"; {loader}\\n')
until(b'ready>')
for part in {keys:?}.split('\\t')[:-1]:
    os.write(terminal, part.encode() + b'\\t')
    os.write(terminal, b'')
os.write(terminal, b'\\n')
said = until(b'ready>')
os.write(terminal, b'exit\\n')
os.waitpid(pid, 0)
sys.stdout.write(said.decode())",
        root = root.folder().display().to_string(),
        loader = LOADER.replace('"', "\\\""),
    );
    let ran = vgpu_tests::tools::python(&script, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let vm = root.admin_json(&["show-vm", "--vm-uuid", VM]);
    assert_eq!((&vm["pool"], &vm["priority"]), (&"B".into(), &"high".into()), "{ran:?}");
    assert!(ran.stdout.contains("\"changed\":true"), "the answer is JSON: {ran:?}");
}

#[test]
fn the_other_shells_scripts_know_the_values_too() {
    let root = root();
    for (file, pools) in [("_vgpu-admin", "(A B)"), ("vgpu-admin.fish", "A\\t''")] {
        let script = std::fs::read_to_string(root.path("generated").join(file)).unwrap();
        assert!(script.contains(pools) && script.contains("medium") && script.contains("recover"), "{file}");
    }
}

#[test]
fn a_shell_that_asks_gets_an_answer_and_no_complaint_whatever_the_words() {
    let root = root();
    for words in [&[][..], &["vgpu-admin"], &["vgpu-admin", "--host"], &["vgpu-admin", "\u{1b}[2J"]] {
        for index in ["0", "1", "99", "x", ""] {
            let ran = Ran::of(root.command("usr/bin/vgpu-admin").args(words).env("VGPU_ADMIN_COMPLETE", index));
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{words:?} {index}");
        }
    }
    assert!(!root.path("etc/vgpu").exists(), "a TAB makes no database");
}
