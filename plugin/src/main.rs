//! The XAPI plugin `vgpu`, which answers `host.call_plugin`.
//!
//! It always prints exactly one XML-RPC document and exits with 0: xapi hides everything else behind `XENAPI_PLUGIN_FAILURE`
//! (xapi-project/xen-api, `ocaml/xapi/xapi_plugins.ml`).

mod answer;
mod call;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::panic::{self, AssertUnwindSafe};

use answer::Answer;
use call::Call;
use vgpu_config::logging;
use vgpu_config::operations::{Caller, ThisHost};
use vgpu_config::paths::Root;
use vgpu_config::request::Request;

/// The name in the log.
const IDENT: &str = "vgpu-plugin";
/// Below the root.
const INSTALLED_AS: &str = "etc/xapi.d/plugins/vgpu";

fn main() {
    panic::set_hook(Box::new(|info| log::error!("{info}")));
    let root = Root::of_program(INSTALLED_AS);
    logging::to_syslog(IDENT, &root.syslog_socket(), log::LevelFilter::Info);
    let arguments = std::env::args_os().skip(1).collect::<Vec<_>>();
    let answer = without_panic(|| answer(&root, &arguments));
    if let Answer::Failure(code, params) = &answer {
        log::warn!("{code}: {}", params.join(", "));
    }
    // If nobody reads the answer, there is no one to report it to.
    let _ = std::io::stdout().write_all(answer.into_xml().as_bytes());
}

/// Turns a panic into an error answer.
fn without_panic(work: impl FnOnce() -> Answer) -> Answer {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let message = "internal error, please report it with the lines of vgpu-plugin in the log";
        Answer::Failure("VGPU_INTERNAL_ERROR".to_owned(), vec![message.to_owned()])
    })
}

fn answer(root: &Root, arguments: &[OsString]) -> Answer {
    let not_from_xapi = |why: String| {
        let message =
            format!("this program is called by XAPI: xe host-call-plugin plugin=vgpu fn=status host-uuid=… ({why})");
        Answer::Failure("VGPU_INVALID_CALL".to_owned(), vec![message])
    };
    match arguments {
        [xml] => match Call::parse(xml.as_bytes()) {
            Ok(call) => carry_out(root, call),
            Err(why) => not_from_xapi(why),
        },
        _ => not_from_xapi(format!("expected one argument, got {}", arguments.len())),
    }
}

fn carry_out(root: &Root, Call { function, session, arguments }: Call) -> Answer {
    let host = ThisHost::new(root.clone(), Caller::Session(session));
    match Request::read(&function, arguments) {
        Ok(Some(request)) => host.execute_to_json(request).map_or_else(Answer::from, Answer::Success),
        Ok(None) => Answer::Failure("UNKNOWN_XENAPI_PLUGIN_FUNCTION".to_owned(), vec![function]),
        Err(error) => Answer::from(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;

    #[test]
    fn a_panic_is_answered_as_a_failure_that_xapi_understands() {
        let xml = without_panic(|| panic!("on purpose")).into_xml();
        assert!(xml.contains("<string>Failure</string>"), "{xml}");
        assert!(xml.contains("<string>VGPU_INTERNAL_ERROR</string>"), "{xml}");
    }
}
