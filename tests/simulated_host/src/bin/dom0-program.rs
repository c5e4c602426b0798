//! Stand-in for dom0's programs that take part in a VM's start. It acts as the one under whose name it is installed.

use std::process::ExitCode;

fn main() -> ExitCode {
    simulated_host::dom0_program()
}
