//! dom0's own programs, as far as the start of a VM meets them: installed under the name of one of them, it is that one.

use std::process::ExitCode;

fn main() -> ExitCode {
    simulated_host::dom0_program()
}
