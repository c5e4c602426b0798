//! The rules by which the hosts of a resource pool keep one state: one module for each rule.

#[path = "rules/absence.rs"]
mod absence;
#[path = "rules/changes.rs"]
mod changes;
#[path = "rules/failover.rs"]
mod failover;
#[path = "rules/foreign.rs"]
mod foreign;
#[path = "rules/killed.rs"]
mod killed;
#[path = "rules/numbers.rs"]
mod numbers;
#[path = "rules/order.rs"]
mod order;
#[path = "rules/pruned.rs"]
mod pruned;
#[path = "rules/roles.rs"]
mod roles;
#[path = "rules/starts.rs"]
mod starts;
#[path = "rules/support.rs"]
mod support;
#[path = "rules/values.rs"]
mod values;
#[path = "rules/versions.rs"]
mod versions;
#[path = "rules/winner.rs"]
mod winner;
#[path = "rules/without_xapi.rs"]
mod without_xapi;
