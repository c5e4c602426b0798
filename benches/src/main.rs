//! Measures whole programs side by side, and writes what came out, with what criterion has measured inside them, into the file
//! that it is given: `make bench`.

mod goal;
mod lookup;
mod measure;
mod stage;

use goal::{Goal, Row, table};
use lookup::lookups;
use measure::{inside, peak_memory, side_by_side};
use stage::{Stage, WrapperStage, import, while_starting};
use vgpu_tests::ScratchRoot;

/// How many VMs the databases have.
const FEW: u32 = 100;
const MORE: u32 = 10_000;
const MANY: u32 = 100_000;
/// How many VMs XAPI carries the settings of at the most that was measured on a real one.
const CARRIED: u32 = 1_000;

fn main() {
    let file = std::env::args().nth(1).expect("the file is named");
    eprintln!("filling the databases");
    let few = Stage::new(FEW);
    let more = Stage::new(MORE);
    let many = Stage::new(MANY);
    let carrying = Stage::like(&many, CARRIED);
    eprintln!("measuring");
    let mut rows = reads(&few, &more, &many);
    rows.extend(starts(&few, &more, &many, &carrying));
    rows.extend(wrapped());
    rows.extend(lists(&many));
    rows.extend(imports(&more));
    rows.extend(lookups(&more));
    let table = table(&rows);
    println!("{table}");
    measure::write(&file, &table);
}

/// `show_vm`, as XAPI calls it.
fn reads(few: &Stage, more: &Stage, many: &Stage) -> Vec<Row> {
    let [ours, in_more, in_many, python, floor] = side_by_side(
        20,
        10,
        &[few.plugin("show_vm"), more.plugin("show_vm"), many.plugin("show_vm"), few.python("show_vm"), few.floor()],
    );
    let memory = peak_memory(&many.plugin("show_vm"));
    vec![
        Row::new("Plugin: `show_vm`", ours, Goal::None),
        Row::new("… the same plugin in Python", python, Goal::None),
        Row::new("… the floor", floor, Goal::None),
        Row::ratio("Plugin / Python", ours / python, Goal::AtMost(1.0 / 20.0)),
        Row::ratio("Plugin / floor", ours / floor, Goal::AtMost(1.5)),
        Row::new("`show_vm` of 10,000 VMs", in_more, Goal::None),
        Row::new("`show_vm` of 100,000 VMs", in_many, Goal::None),
        Row::ratio("`show_vm`: 100,000 / 100 VMs", in_many / ours, Goal::AtMost(1.2)),
        Row::memory("Plugin: peak memory", memory, Goal::AtMost(8.0)),
    ]
}

/// The hook before a start, where everything is as it should be.
fn starts(few: &Stage, more: &Stage, many: &Stage, carrying: &Stage) -> Vec<Row> {
    while_starting(&[few, more, many, carrying], || {
        let [ours, in_more, in_many, carried, script] =
            side_by_side(20, 10, &[few.hook(), more.hook(), many.hook(), carrying.hook(), few.script()]);
        let memory = peak_memory(&carrying.hook());
        few.assert_nothing_was_left_to_do();
        carrying.assert_nothing_was_left_to_do();
        vec![
            Row::new("Hook", ours, Goal::None),
            Row::new("… the shell script that people write", script, Goal::None),
            Row::ratio("Hook / script", ours / script, Goal::AtMost(1.0 / 3.0)),
            Row::new("Hook with 10,000 VMs", in_more, Goal::None),
            Row::new("Hook with 100,000 VMs", in_many, Goal::None),
            Row::ratio("Hook: 100,000 / 100 VMs", in_many / ours, Goal::AtMost(1.2)),
            Row::new("Hook with 100,000 VMs, XAPI carries 1,000", carried, Goal::None),
            Row::memory("Hook: peak memory", memory, Goal::AtMost(8.0)),
        ]
    })
}

/// What our qemu-wrapper adds to the start of a QEMU.
fn wrapped() -> Vec<Row> {
    let stage = WrapperStage::new();
    let [ours, stock] = side_by_side(20, 10, &[stage.ours(), stage.stock()]);
    vec![Row::new("qemu-wrapper: what it adds to a start", ours - stock, Goal::AtMost(5e-3))]
}

fn lists(many: &Stage) -> Vec<Row> {
    let [ours, python] = side_by_side(5, 1, &[many.plugin("list_vms"), many.python("list_vms")]);
    let a_row = inside(&format!("list_vms/{MANY}")) / f64::from(MANY);
    vec![
        Row::new("`list_vms` of 100,000 VMs, a row", a_row, Goal::AtMost(2e-6)),
        Row::new("… the whole plugin", ours, Goal::None),
        Row::new("… the same plugin in Python", python, Goal::None),
    ]
}

fn imports(from: &Stage) -> Vec<Row> {
    // XAPI is away.
    let root = ScratchRoot::new();
    let [time] = side_by_side(3, 1, &[import(&root, &from.export())]);
    vec![Row::new("Import of 10,000 VMs into an empty database", time, Goal::None)]
}
