//! Whatever happens on the hosts of a resource pool, it ends well: a property of the whole, with its programs.
//!
//! Three simulated hosts, any operations on any of them, partitions, crashes, failovers to old databases, edits by hand,
//! clones, snapshots, arguments of the administrator's own beside ours. Then the faults end and every host syncs once: all databases say the same, XAPI's records are
//! right, no setting that was acknowledged last is lost, no two VMs share a number, and every VM starts as it should. No byte
//! of what is not ours in a VM's arguments is lost at any time.
//!
//! A failure prints as few steps as lead to it, and a seed: `VGPU_SEED` runs that case alone. Every test run has the same
//! 200 cases; `VGPU_CASES` runs so many new ones. Times count in whole seconds and decide between equal revisions, so it
//! may take a seed more than one run.

#[path = "storm/act.rs"]
mod act;
#[path = "storm/args.rs"]
mod args;
#[path = "storm/boots.rs"]
mod boots;
#[path = "storm/choose.rs"]
mod choose;
#[path = "storm/draw.rs"]
mod draw;
#[path = "storm/ending.rs"]
mod ending;
#[path = "storm/figures.rs"]
mod figures;
#[path = "storm/foreign.rs"]
mod foreign;
#[path = "storm/ledger.rs"]
mod ledger;
#[path = "storm/programs.rs"]
mod programs;
#[path = "storm/step.rs"]
mod step;
#[path = "storm/trouble.rs"]
mod trouble;
#[path = "storm/world.rs"]
mod world;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use figures::Figures;
use step::Case;
use world::{Site, World};

/// How many cases every test run has.
const CASES: u64 = 200;
/// How many shorter cases are tried to find the shortest that fails.
const SHRINKING: u32 = 600;

#[test]
fn whatever_happens_all_hosts_come_to_one_state_and_nothing_is_lost() {
    let seed = number_in("VGPU_SEED");
    let more = number_in("VGPU_CASES");
    let cases = if seed.is_some() { 1 } else { more.unwrap_or(CASES) };
    let new_seed = || RandomState::new().build_hasher().finish() % 1_000_000_000;
    let first = seed.unwrap_or_else(|| if more.is_some() { new_seed() } else { 0 });
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let (figures, failures) = (Mutex::new(Figures::default()), Mutex::new(Vec::new()));
    let began = Instant::now();
    let work = || {
        let site = Site::new();
        while !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= cases {
                break;
            }
            let mut own = Figures::default();
            if let Err(failure) = run(&site, first + number, &mut own) {
                failed.store(true, Ordering::Relaxed);
                failures.lock().unwrap().push(failure);
            }
            figures.lock().unwrap().add(&own);
        }
    };
    // A host that is started, killed or asked for something waits a lot.
    let threads = 2 * thread::available_parallelism().map_or(1, |count| count.get().min(4));
    thread::scope(|scope| {
        for _ in 0..threads.min(usize::try_from(cases).unwrap_or(1)) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    println!("{}", figures.into_inner().unwrap().in_words(began.elapsed()));
}

fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Runs the case of a seed; where it fails, says how, with as few steps as do.
fn run(site: &Site, seed: u64, figures: &mut Figures) -> Result<(), String> {
    let bytes: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
    let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: SHRINKING, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let figures = Mutex::new(figures);
    let outcome = runner.run(&draw::any_case(), |case| {
        let mut figures = figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        play(site, &case, &mut figures).map_err(TestCaseError::fail)
    });
    outcome.map_err(|error| match error {
        TestError::Fail(reason, case) => format!("VGPU_SEED={seed}: {reason}\n{}", in_lines(&case)),
        TestError::Abort(reason) => format!("VGPU_SEED={seed}: {reason}"),
    })
}

/// Plays a case through.
fn play(site: &Site, case: &Case, figures: &mut Figures) -> Result<(), String> {
    let mut world = World::new(site, &case.first_args);
    for (number, step) in case.steps.iter().enumerate() {
        let done = world.act(step).map_err(|why| format!("step {}: {why}", number + 1))?;
        figures.count(step, done);
    }
    world.end(case.order, case.first_start)?;
    figures.count_case(world.pool.len(), world.foreign.compared);
    Ok(())
}

fn in_lines(case: &Case) -> String {
    let steps = case.steps.iter().enumerate().map(|(number, step)| format!("{:3}. {step:?}\n", number + 1));
    format!(
        "with {:?}\n{}then syncs on {:?}, starts from host {}",
        case.first_args,
        steps.collect::<String>(),
        case.order,
        case.first_start
    )
}
