//! Replies that are lists, as columns and rows.

use vgpu_admin::arguments::{
    ALL_VMS, AllVms, CHANGES, CHECKS, Changes, Checks, GPU_POOLS, GPUS, GpuPools, Gpus, List, ListStyle,
    REGISTERED_VMS, RegisteredVms,
};
use vgpu_config::Error;
use vgpu_config::model::Priority;
use vgpu_config::reply::{CheckedReply, HistoryItem, LinkReply, PoolReply, RunsWithReply, ScannedVm, VmReply};
use vgpu_config::request::Reply;
use vgpu_config::store::CheckItem;

use super::{right_or_wrong, running, verdict};
use crate::screen;
use crate::table::{Cell, TooWide, layout};

pub struct Sheet {
    names: &'static [&'static str],
    /// The columns to show, by their index.
    shown: Vec<usize>,
    rows: Vec<Vec<Cell>>,
}

impl Sheet {
    fn new<L: List, const N: usize>(_names: [&str; N], rows: impl IntoIterator<Item = [Cell; N]>) -> Self {
        Self { names: L::COLUMNS, shown: (0..L::SHOWN).collect(), rows: rows.into_iter().map(Vec::from).collect() }
    }

    /// `None` if the reply is not a list.
    pub fn of(reply: &Reply) -> Option<Self> {
        Some(match reply {
            Reply::ListVms(reply) => Self::new::<RegisteredVms, _>(REGISTERED_VMS, reply.vms.iter().map(registered)),
            Reply::ScanVms(vms) => Self::new::<AllVms, _>(ALL_VMS, vms.iter().map(scanned)),
            Reply::ScanGpus(gpus) => Self::new::<Gpus, _>(GPUS, gpus.iter().map(|gpu| super::gpus::row(gpu, gpus))),
            Reply::History(entries) => Self::new::<Changes, _>(CHANGES, entries.iter().map(changed)),
            Reply::ListPools(reply) => Self::new::<GpuPools, _>(GPU_POOLS, reply.pools.iter().map(gpu_pool)),
            Reply::Check(reply) => Self::new::<Checks, _>(CHECKS, checks(reply)),
            _ => return None,
        })
    }

    /// Sorts the rows, and chooses the columns.
    ///
    /// # Errors
    /// There is no such column; the command line has refused that already.
    pub fn styled(mut self, style: &ListStyle) -> Result<Self, Error> {
        if let Some(column) = &style.sort {
            let by = self.index(column)?;
            self.rows.sort_by(|one, other| {
                // What is empty, for example because the VM is not registered, comes last.
                let order = |cell: &Cell| (cell.text.is_empty(), cell.rank);
                let (one, other) = (&one[by], &other[by]);
                order(one).cmp(&order(other)).then_with(|| one.text.cmp(&other.text))
            });
        }
        if let Some(columns) = &style.columns {
            self.shown = columns.iter().map(|column| self.index(column)).collect::<Result<_, _>>()?;
        }
        Ok(self)
    }

    fn index(&self, column: &str) -> Result<usize, Error> {
        self.names.iter().position(|name| *name == column).ok_or_else(|| Error::InvalidParam {
            name: "column".to_owned(),
            value: column.to_owned(),
            expected: self.names.join(", "),
        })
    }

    fn heading(&self) -> Vec<&'static str> {
        self.shown.iter().map(|index| self.names[*index]).collect()
    }

    /// For people. A terminal's width is not exceeded.
    pub fn to_table(&self, no_header: bool) -> String {
        let heading = |name: &str| match name {
            "vm_id" => "VM_ID".to_owned(),
            "time" => "TIME (UTC)".to_owned(),
            name => name.to_uppercase().replace('_', " "),
        };
        let heading: Vec<_> = if no_header { Vec::new() } else { self.heading().into_iter().map(heading).collect() };
        let rows: Vec<Vec<Cell>> =
            self.rows.iter().map(|row| self.shown.iter().map(|index| row[*index].clone()).collect()).collect();
        layout(&heading, &rows, TooWide::Shorten, screen::width())
    }

    /// For programs.
    ///
    /// # Errors
    /// Never: it is written to memory.
    pub fn to_csv(&self, no_header: bool) -> Result<String, Error> {
        let unwritable = |error: csv::Error| Error::Reply(error.to_string());
        let mut csv = csv::Writer::from_writer(Vec::new());
        if !no_header {
            csv.write_record(self.heading()).map_err(unwritable)?;
        }
        for row in &self.rows {
            csv.write_record(self.shown.iter().map(|index| &row[*index].text)).map_err(unwritable)?;
        }
        let bytes = csv.into_inner().map_err(|error| Error::Reply(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| Error::Reply(error.to_string()))
    }
}

/// The most urgent first.
fn priority(priority: Priority) -> Cell {
    Cell::new(priority.as_str()).ranked(u64::from(Priority::High.as_number() - priority.as_number()))
}

fn number(number: impl Into<u64>) -> Cell {
    let number = number.into();
    Cell::new(number.to_string()).ranked(number).whole()
}

fn runs_with(runs_with: Option<&RunsWithReply>) -> Cell {
    runs_with
        .map(|runs_with| Cell::new(running::in_short(runs_with)).shaded(running::shade(runs_with)))
        .unwrap_or_default()
}

fn registered(vm: &VmReply) -> [Cell; REGISTERED_VMS.len()] {
    [
        Cell::new(vm.pool.as_str()),
        priority(vm.priority),
        number(vm.vm_id.get()),
        Cell::new(vm.vm_uuid.to_string()),
        runs_with(vm.runs_with.as_ref()),
        Cell::or_nothing(vm.vm_name.as_ref()),
        Cell::new(&vm.device_argument),
        Cell::new(if vm.in_xapi { "yes" } else { "no" }),
        number(u64::try_from(vm.revision).unwrap_or_default()),
        Cell::new(&vm.created_at).whole(),
        Cell::new(&vm.updated_at).whole(),
    ]
}

fn scanned(vm: &ScannedVm) -> [Cell; ALL_VMS.len()] {
    [
        Cell::or_nothing(vm.pool),
        vm.priority.map(priority).unwrap_or_default(),
        Cell::new(vm.power_state.to_lowercase()),
        Cell::or_nothing(vm.host_name.as_ref()),
        runs_with(vm.runs_with.as_ref()),
        Cell::new(vm.vm_uuid.to_string()),
        Cell::new(&vm.vm_name),
        vm.vm_id.map(|vm_id| number(vm_id.get())).unwrap_or_default(),
    ]
}

fn changed(item: &HistoryItem) -> [Cell; CHANGES.len()] {
    let by = |through: &str, user: Option<&String>| {
        Cell::new(user.map_or_else(|| through.to_owned(), |user| format!("{through}: {user}")))
    };
    match item {
        HistoryItem::Vm(entry) => [
            Cell::new(&entry.changed_at).whole(),
            Cell::or_nothing(entry.from.as_ref().map(super::pool::held)),
            Cell::or_nothing(entry.to.as_ref().map(super::pool::held)),
            by(&entry.through, entry.changed_by.as_ref()),
            Cell::new(&entry.vm_uuid),
            Cell::or_nothing(entry.vm_name.as_ref()),
        ],
        HistoryItem::GpuPool(entry) => [
            Cell::new(&entry.changed_at).whole(),
            Cell::or_nothing(super::gpu_pool::held(&entry.from)),
            Cell::or_nothing(super::gpu_pool::held(&entry.to)),
            by(&entry.through, entry.changed_by.as_ref()),
            Cell::new(&entry.subject),
            Cell::default(),
        ],
    }
}

fn gpu_pool(pool: &PoolReply) -> [Cell; GPU_POOLS.len()] {
    [
        Cell::new(pool.pool.as_str()),
        number(pool.vms),
        number(pool.high),
        number(pool.medium),
        number(pool.low),
        pool.max_vms.map(|max_vms| number(max_vms.get())).unwrap_or_default(),
        pool.free.map(number).unwrap_or_default(),
        number(pool.gpus),
        Cell::or_nothing(pool.name.as_ref()),
        Cell::or_nothing(pool.description.as_ref()),
    ]
}

fn checks(reply: &CheckedReply) -> Vec<[Cell; CHECKS.len()]> {
    let item = |item: &CheckItem, host: Option<&String>| {
        [verdict(item.verdict()), Cell::new(&item.name), Cell::new(&item.message), Cell::or_nothing(host)]
    };
    match reply {
        CheckedReply::ThisHost(reply) => reply.checks.iter().map(|check| item(check, None)).collect(),
        CheckedReply::AllHosts(reply) => {
            let of_host = |host| move |check| (check, Some(host));
            let checks = reply.hosts.iter().flat_map(|host| host.checks.iter().map(of_host(&host.host_name)));
            checks.map(|(check, host)| item(check, host)).collect()
        }
        CheckedReply::Vm(reply) => {
            let link = |LinkReply { link, ok, value, problem }: &LinkReply| {
                let message = problem.as_ref().map_or_else(|| value.clone(), |problem| format!("{value}: {problem}"));
                [
                    right_or_wrong(*ok),
                    Cell::new(link.to_string()),
                    Cell::new(message),
                    Cell::or_nothing(reply.host_name.as_ref()),
                ]
            };
            reply.links.iter().map(link).collect()
        }
    }
}
