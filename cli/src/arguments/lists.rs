//! The options of commands that print a list, and the names of their columns.

use std::marker::PhantomData;

use clap::Args;
use clap::builder::PossibleValuesParser;

/// A list and its columns.
pub trait List: Send + Sync + 'static {
    /// All columns. Those after the first [`Self::SHOWN`] are only shown if they are asked for.
    const COLUMNS: &'static [&'static str];
    const SHOWN: usize;
    /// Left out, one after the other, if the terminal is too narrow for all.
    const LEFT_OUT_FIRST: &'static [&'static str];
}

macro_rules! lists {
    ($($(#[$about:meta])* $list:ident: $all:ident = [$($shown:literal),*] and [$($other:literal),*]
        without [$($left_out:literal),*];)*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy)]
        pub enum $list {}

        pub const $all: [&str; [$($shown,)* $($other,)*].len()] = [$($shown,)* $($other,)*];

        impl List for $list {
            const COLUMNS: &'static [&'static str] = &$all;
            const SHOWN: usize = [$($shown),*].len();
            const LEFT_OUT_FIRST: &'static [&'static str] = &[$($left_out),*];
        }
    )*};
}

lists! {
    /// list-vms
    RegisteredVms: REGISTERED_VMS = ["pool", "priority", "vm_id", "vm", "runs_with", "name"]
        and ["configured", "in_xapi", "revision", "created_at", "updated_at"] without ["vm_id"];
    /// scan-vms
    AllVms: ALL_VMS = ["pool", "priority", "state", "host", "runs_with", "vm", "name"] and ["vm_id"]
        without ["state", "host"];
    /// scan-gpus
    Gpus: GPUS = ["pool", "gpu", "vendor", "device", "note"] and ["host", "pci_address", "host_uuid"] without ["vendor"];
    /// history
    Changes: CHANGES = ["time", "from", "to", "by", "vm", "name"] and [] without ["vm"];
    /// list-pools
    GpuPools: GPU_POOLS = ["pool", "vms", "high", "medium", "low", "limit", "free", "gpus", "name"] and ["description"]
        without [];
    /// check
    Checks: CHECKS = ["state", "host", "check", "message"] and [] without [];
}

#[derive(Debug, Args)]
pub struct ListOptions<L: List> {
    /// Show these columns, in this order, separated by commas
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', value_parser = PossibleValuesParser::new(L::COLUMNS))]
    pub columns: Option<Vec<String>>,
    /// Sort by this column
    #[arg(long, value_name = "COLUMN", value_parser = PossibleValuesParser::new(L::COLUMNS), hide_possible_values = true)]
    pub sort: Option<String>,
    /// Leave out the line with the columns' names
    #[arg(long)]
    pub no_header: bool,
    #[arg(skip)]
    list: PhantomData<L>,
}

/// How to print a list, whichever it is.
#[derive(Debug, Clone, Default)]
pub struct ListStyle {
    /// All that are shown by default, if left out.
    pub columns: Option<Vec<String>>,
    pub sort: Option<String>,
    pub no_header: bool,
}

impl ListStyle {
    /// Whether it was left as it is.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.columns.is_none() && self.sort.is_none() && !self.no_header
    }
}

impl<L: List> From<&ListOptions<L>> for ListStyle {
    fn from(options: &ListOptions<L>) -> Self {
        let ListOptions { columns, sort, no_header, .. } = options;
        Self { columns: columns.clone(), sort: sort.clone(), no_header: *no_header }
    }
}
