//! Runs a simulated host: `simulated-host ROOT [--until-stdin-closes]`. Prints `ready` when its sockets listen, and ends
//! on SIGTERM, SIGINT, or with `--until-stdin-closes` when its standard input does.

use std::env;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use simulated_host::SimulatedHost;

const USAGE: &str = "usage: simulated-host ROOT [--until-stdin-closes]";
const HELP: &str = "\
Runs a simulated host of XCP-ng in the folder ROOT, which is made where it is missing: xapi, message-switch and xenopsd listen on
the sockets below it, and its hooks and plugins are run. Prints 'ready' when they listen, and ends on SIGTERM or SIGINT.

  --until-stdin-closes  end when standard input does
  -h, --help            print this";

fn main() -> ExitCode {
    let mut args: Vec<_> = env::args_os().skip(1).collect();
    let until_stdin_closes = args.iter().position(|arg| arg == "--until-stdin-closes");
    if let Some(at) = until_stdin_closes {
        args.remove(at);
    }
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}\n\n{HELP}");
        return ExitCode::SUCCESS;
    }
    let [root] = args.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if root.to_string_lossy().starts_with('-') {
        eprintln!("simulated-host: there is no option {}\n{USAGE}", root.display());
        return ExitCode::from(2);
    }
    match run(&PathBuf::from(root), until_stdin_closes.is_some()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulated-host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(root: &std::path::Path, until_stdin_closes: bool) -> io::Result<()> {
    std::fs::create_dir_all(root)?;
    let _host = SimulatedHost::start(&root.canonicalize()?)?;
    let (end, ended) = mpsc::channel();
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::spawn({
        let end = end.clone();
        move || {
            signals.forever().next();
            let _ = end.send(());
        }
    });
    if until_stdin_closes {
        thread::spawn(move || {
            let _ = io::stdin().lock().read_to_end(&mut Vec::new());
            let _ = end.send(());
        });
    }
    println!("ready");
    io::stdout().flush()?;
    let _ = ended.recv();
    Ok(())
}
