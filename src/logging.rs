//! The log: syslog where there is one, standard error elsewhere.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use syslog::{BasicLogger, Facility, Formatter3164, Logger, LoggerBackend};

/// How long a line may take: a syslog daemon that hangs must not hold up a VM's start.
const PATIENCE: Duration = Duration::from_millis(200);

/// Sends everything that is logged from now on to the system log, under `ident`. Once per program.
///
/// The lines carry facility `daemon`, which XCP-ng writes to daemon.log unless an rsyslog rule for the ident says
/// otherwise.
pub fn to_syslog(ident: &str, socket: &Path, level: LevelFilter) {
    let formatter = Formatter3164 {
        facility: Facility::LOG_DAEMON,
        hostname: None,
        process: ident.to_owned(),
        pid: std::process::id(),
    };
    let logger: Box<dyn Log> = match connect(socket) {
        Ok(backend) => Box::new(BasicLogger::new(Logger::new(LoggerBackend::Unix(backend), formatter))),
        Err(_) => Box::new(StandardError { ident: ident.to_owned() }),
    };
    // A second logger cannot be set; the first one serves.
    if log::set_boxed_logger(logger).is_ok() {
        log::set_max_level(level);
    }
}

/// Sends everything that is logged from now on to standard error. Once per program.
pub fn to_standard_error(ident: &str, level: LevelFilter) {
    if log::set_boxed_logger(Box::new(StandardError { ident: ident.to_owned() })).is_ok() {
        log::set_max_level(level);
    }
}

fn connect(socket: &Path) -> std::io::Result<UnixDatagram> {
    let datagram = UnixDatagram::unbound()?;
    datagram.connect(socket)?;
    datagram.set_write_timeout(Some(PATIENCE))?;
    Ok(datagram)
}

struct StandardError {
    ident: String,
}

impl Log for StandardError {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // Where not even standard error can be written, nobody is left to be told.
        let _ = writeln!(std::io::stderr(), "{}: {}: {}", self.ident, record.level(), record.args());
    }

    fn flush(&self) {}
}
