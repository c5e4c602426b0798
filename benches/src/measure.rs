//! The stopwatches: hyperfine for whole programs, GNU time for their memory, and what criterion has measured.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use vgpu_tests::root::Ran;

/// How many times a program's memory is measured.
const MEMORY_RUNS: usize = 5;

/// A program with its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What is run before, each time.
    pub before: Option<Vec<String>>,
}

impl Program {
    /// A program that needs nothing before.
    pub fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { words: words.into_iter().map(Into::into).collect(), before: None }
    }
}

/// The median times of programs, in seconds. They are measured in turn, in so many rounds of so many runs: what slows the machine
/// down for a while slows all of them.
pub fn side_by_side<const N: usize>(rounds: usize, runs: usize, programs: &[Program; N]) -> [f64; N] {
    let mut times: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..rounds {
        for (program, times) in programs.iter().zip(&mut times) {
            times.extend(hyperfine(runs, program));
        }
    }
    times.map(median)
}

fn hyperfine(runs: usize, program: &Program) -> Vec<f64> {
    let results = tempfile::NamedTempFile::new().expect("there is a temporary folder");
    let mut command = Command::new("hyperfine");
    command.args(["--shell=none", "--style=none", "--warmup=1"]).arg(format!("--runs={runs}"));
    command.arg("--export-json").arg(results.path());
    if let Some(before) = &program.before {
        command.arg("--prepare").arg(quoted(before));
    }
    let ran = Ran::of(command.arg(quoted(&program.words)));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json: Value = serde_json::from_slice(&fs::read(results.path()).expect("it was written")).expect("it is JSON");
    let times = json["results"][0]["times"].as_array().expect("hyperfine lists the times");
    times.iter().filter_map(Value::as_f64).collect()
}

/// As hyperfine splits a command again.
fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect::<Vec<_>>().join(" ")
}

/// The median.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The most memory that a program had at any time, in MiB: the largest of a few runs. A script's programs count too, each by
/// itself.
pub fn peak_memory(program: &Program) -> f64 {
    let kibibytes = |_| {
        let output = Command::new("/usr/bin/time").args(["--quiet", "--format=%M"]).args(&program.words).output();
        let output = output.expect("GNU time is installed");
        String::from_utf8_lossy(&output.stderr).trim().parse::<f64>().expect("GNU time prints a number")
    };
    (0..MEMORY_RUNS).map(kibibytes).fold(0.0, f64::max) / 1024.0
}

/// A median that criterion has measured in this run, in seconds.
pub fn inside(name: &str) -> f64 {
    let folder = PathBuf::from(std::env::var_os("CRITERION_HOME").expect("the Makefile says where criterion writes"));
    let file = folder.join(name).join("new/estimates.json");
    let text = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let json: Value = serde_json::from_slice(&text).expect("it is JSON");
    json["median"]["point_estimate"].as_f64().expect("criterion estimates the median") / 1e9
}

/// What precedes the table in the file, and what follows it.
const BEGIN: &str = "<!-- make bench writes from here -->\n";
const END: &str = "<!-- to here -->\n";

/// Puts what was measured into its place in a file.
pub fn write(file: &str, measured: &str) {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (before, rest) = text.split_once(BEGIN).expect("the file has a place for the table");
    let (_, after) = rest.split_once(END).expect("the file has an end of the table");
    fs::write(file, format!("{before}{BEGIN}\n{measured}\n{END}{after}")).expect("the file can be written");
}
