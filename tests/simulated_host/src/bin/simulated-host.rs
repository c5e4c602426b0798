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

fn main() -> ExitCode {
    let mut args: Vec<_> = env::args_os().skip(1).collect();
    let until_stdin_closes = args.iter().position(|arg| arg == "--until-stdin-closes");
    if let Some(at) = until_stdin_closes {
        args.remove(at);
    }
    let [root] = args.as_slice() else {
        eprintln!("usage: simulated-host ROOT [--until-stdin-closes]");
        return ExitCode::from(2);
    };
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
