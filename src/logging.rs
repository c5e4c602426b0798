//! The log: syslog where there is one, standard error elsewhere.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use syslog::{BasicLogger, Facility, Formatter3164, Logger, LoggerBackend};

use crate::text;

/// How long sending a line may take: a syslog daemon that hangs must not hold up a VM's start.
const SYSLOG_TIMEOUT: Duration = Duration::from_millis(200);

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
    match connect(socket) {
        Ok(backend) => to(BasicLogger::new(Logger::new(LoggerBackend::Unix(backend), formatter)), level),
        Err(_) => to_standard_error(ident, level),
    }
}

/// Sends everything that is logged from now on to standard error. Once per program.
pub fn to_standard_error(ident: &str, level: LevelFilter) {
    to(StandardError { ident: ident.to_owned() }, level);
}

fn to(log: impl Log + 'static, level: LevelFilter) {
    // A second logger cannot be set; the first one stays.
    if log::set_boxed_logger(Box::new(OneLine(log))).is_ok() {
        log::set_max_level(level);
    }
}

/// Like the crate's own way to connect, but with a deadline for what is sent.
fn connect(socket: &Path) -> std::io::Result<UnixDatagram> {
    let datagram = UnixDatagram::unbound()?;
    datagram.connect(socket)?;
    datagram.set_write_timeout(Some(SYSLOG_TIMEOUT))?;
    Ok(datagram)
}

/// Whatever a name holds, it cannot begin a line of its own in the log.
struct OneLine<L>(L);

impl<L: Log> Log for OneLine<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let message = text::one_line(&record.args().to_string());
        self.0.log(&Record::builder().metadata(record.metadata().clone()).args(format_args!("{message}")).build());
    }

    fn flush(&self) {
        self.0.flush();
    }
}

struct StandardError {
    ident: String,
}

impl Log for StandardError {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // If standard error cannot be written either, there is nowhere left to report it.
        let _ = writeln!(std::io::stderr(), "{}: {}: {}", self.ident, record.level(), record.args());
    }

    fn flush(&self) {}
}
