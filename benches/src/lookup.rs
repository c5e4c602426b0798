//! Lookups through the C library, and through SQLite's own.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use vgpu_bench::vm;
use vgpu_config::model::DeviceVmId;

use crate::MORE;
use crate::goal::{Goal, Row};
use crate::measure::median;
use crate::stage::Stage;

const ROUNDS: usize = 15;

/// Lookups of every VM of a database, by what it is known by.
pub fn lookups(stage: &Stage) -> Vec<Row> {
    let (ours, floor) = measured(stage, "uuid");
    let (ours_by_number, floor_by_number) = measured(stage, "vm_id");
    vec![
        Row::new("C library: lookup by UUID, of 10,000 VMs", ours, Goal::None),
        Row::new("… a prepared statement of SQLite", floor, Goal::None),
        Row::ratio("By UUID: C library / SQLite", ours / floor, Goal::AtMost(1.3)),
        Row::new("C library: lookup by the device's vm_id", ours_by_number, Goal::None),
        Row::new("… a prepared statement of SQLite", floor_by_number, Goal::None),
        Row::ratio("By vm_id: C library / SQLite", ours_by_number / floor_by_number, Goal::AtMost(1.3)),
    ]
}

/// The medians of ours and of the floor, in seconds. They are measured in turn.
fn measured(stage: &Stage, by: &str) -> (f64, f64) {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(one("ours", by, stage));
        floor.push(one("floor", by, stage));
    }
    (median(ours), median(floor))
}

fn one(whose: &str, by: &str, stage: &Stage) -> f64 {
    let program = std::env::var_os("VGPU_LOOKUP").expect("benches/run.sh says where it is");
    let mut command = Command::new(program);
    command.args([whose, by]).arg(stage.database()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let vms = (0..MORE).fold(String::new(), |mut lines, number| {
        // In an order that is not that of the rows; writing to a string does not fail.
        let uuid = vm(number.wrapping_mul(7919) % MORE);
        let _ = writeln!(lines, "{uuid} {}", DeviceVmId::derived_from(&uuid));
        lines
    });
    child.stdin.take().expect("it is piped").write_all(vms.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse::<f64>().expect("it prints a number of nanoseconds") / 1e9
}
