//! The simulated resource pool: that it behaves as the tests of our programs take for granted.

#[path = "simulated_pool/failover.rs"]
mod failover;
#[path = "simulated_pool/faults.rs"]
mod faults;
#[path = "simulated_pool/lifecycle.rs"]
mod lifecycle;
#[path = "simulated_pool/members.rs"]
mod members;
#[path = "simulated_pool/program.rs"]
mod program;
#[path = "simulated_pool/support.rs"]
mod support;
