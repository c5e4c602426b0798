//! The clients of the XenAPI that the guides show.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::loopback::Loopback;
use crate::programs;
use crate::root::Ran;

/// The document that has the scripts.
const GUIDE: &str = "docs/user-guide.md";

/// The scripts of the user guide in a folder with the clients' libraries, which are installed once.
pub struct Clients {
    folder: PathBuf,
    xapi: Loopback,
}

impl Clients {
    /// Writes the scripts into a folder of a host's root. They will call the host's xapi.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        let folder = root.join("root");
        std::fs::create_dir_all(&folder).unwrap();
        symlink(installed().join("node_modules"), folder.join("node_modules")).unwrap();
        let guide = std::fs::read_to_string(programs::workspace().join(GUIDE)).unwrap();
        for (language, script) in [("python", "vgpu.py"), ("javascript", "vgpu.mjs")] {
            std::fs::write(folder.join(script), block(&guide, language)).unwrap();
        }
        Self { folder, xapi: Loopback::open(root) }
    }

    /// Lets a command run where the scripts are, with what they need.
    pub fn prepare<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.current_dir(&self.folder).env("PYTHONPATH", installed().join("python")).envs([
            ("XAPI_URL", self.xapi.url().as_str()),
            ("XAPI_USER", "root"),
            ("XAPI_PASSWORD", "secret"),
        ])
    }

    /// Runs a program there.
    #[must_use]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.prepare(Command::new(program).args(arguments)))
    }
}

/// The only block of a language in a document.
fn block<'t>(markdown: &'t str, language: &str) -> &'t str {
    let begin = format!("```{language}\n");
    let mut parts = markdown.split(&begin).skip(1);
    let (script, _) = parts.next().and_then(|rest| rest.split_once("```")).expect("the guide has the script");
    assert!(parts.next().is_none(), "the guide has one script in {language}");
    script
}

fn installed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let ran = Ran::of(Command::new("sh").arg(programs::workspace().join("tests/setup/clients.sh")));
        assert_eq!(ran.code, Some(0), "the clients cannot be installed: {}", ran.stderr);
        ran.stdout.trim_end().into()
    })
}
