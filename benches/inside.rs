//! What happens inside the programs, measured with criterion.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use vgpu_bench::{fill, shared, vm};
use vgpu_config::operations::{Caller, Host, list_vms_as_json, show_vms};
use vgpu_config::paths::Root;
use vgpu_config::shared_copy::SharedCopy;
use vgpu_config::store::{Filter, Store};
use vgpu_config::xenapi::Reference;

const PATIENCE: Duration = Duration::from_secs(5);

fn open(folder: &Path) -> Host {
    Host::open(Root::at(folder), Caller::Root).expect("the database can be opened")
}

fn everything(criterion: &mut Criterion) {
    for rows in [100, 10_000, 100_000] {
        let folder = TempDir::new().expect("there is a temporary folder");
        let root = Root::at(folder.path());
        let database = root.database();
        fill(&database, rows).expect("the database can be filled");

        let mut group = criterion.benchmark_group("show_vms");
        group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
            bencher.iter(|| show_vms(&open(folder.path()), &[vm(rows / 2)]).expect("it is registered"));
        });
        group.finish();

        let mut group = criterion.benchmark_group("list_vms");
        group.throughput(Throughput::Elements(rows.into()));
        let host = open(folder.path());
        group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
            bencher.iter(|| black_box(list_vms_as_json(&host, Filter::default()).expect("they can be listed").0.len()));
        });
        group.finish();

        let mut group = criterion.benchmark_group("news");
        for entries in [1, 100, 1_000].into_iter().filter(|entries| *entries <= rows) {
            let entries_of_copy = shared(&database, entries).expect("the database can be read");
            let copy = SharedCopy::new(Reference::new("OpaqueRef:pool"), entries_of_copy.into_iter().collect());
            group.bench_function(BenchmarkId::new(entries.to_string(), rows), |bencher| {
                bencher.iter(|| {
                    let store = Store::open_existing(&database, PATIENCE).expect("the database can be opened");
                    assert!(copy.news(store.read()).expect("it can be read").is_empty());
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = inside;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = everything
}
criterion_main!(inside);
