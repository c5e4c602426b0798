//! Programs that are asked something, and are not waited for forever.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use wait_timeout::ChildExt;

/// How long a program may take to answer.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(5);

/// What a program prints, whichever stream it prints it on.
pub(super) fn ask(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let say = |error: std::io::Error| error.to_string();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(say)?;
    let readers = [child.stdout.take().map(read_all), child.stderr.take().map(read_all)];
    let ended = child.wait_timeout(PROGRAM_TIMEOUT).map_err(say)?;
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("did not end within {} s", PROGRAM_TIMEOUT.as_secs()));
    }
    let texts = readers.into_iter().flatten().map(|reader| reader.join().unwrap_or_default());
    Ok(texts.map(|text| String::from_utf8_lossy(&text).into_owned()).collect())
}

/// Reads to the end, so that the program is not held up by a full pipe.
fn read_all(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut text = Vec::new();
        // What came until it broke is good enough to look for a name in.
        let _ = stream.read_to_end(&mut text);
        text
    })
}
