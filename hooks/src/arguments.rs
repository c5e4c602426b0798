//! The hook's command line: `-vmuuid UUID -reason REASON`, and further pairs in later versions of xenopsd
//! (xapi-project/xen-api, `ocaml/xenopsd/lib/xenops_hooks.ml`). clap does not support long options with one dash.

use std::ffi::OsString;

use vgpu_config::model::{InvalidValue, VmUuid};

pub fn vm_uuid(arguments: &[OsString]) -> Result<VmUuid, InvalidValue> {
    let given = arguments.chunks(2).find_map(|pair| match pair {
        [name, value] if name == "-vmuuid" => Some(value.to_string_lossy()),
        _ => None,
    });
    match given {
        Some(text) => text.parse(),
        None => Err(InvalidValue {
            value: arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" "),
            expected: "-vmuuid UUID -reason none, as xenopsd calls it",
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const UUID: &str = "cda8bcd3-f410-bd1f-3688-8c308ff28e90";

    fn parse(arguments: &[&str]) -> Result<VmUuid, InvalidValue> {
        vm_uuid(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_uuid_is_found_among_the_pairs_wherever_it_stands() {
        assert_eq!(parse(&["-vmuuid", UUID, "-reason", "none"]).unwrap().to_string(), UUID);
        assert_eq!(parse(&["-reason", "none", "-vmdomid", "7", "-vmuuid", UUID]).unwrap().to_string(), UUID);
    }

    #[test]
    fn a_value_is_not_taken_for_a_name() {
        assert!(parse(&["-reason", "-vmuuid", UUID, "x"]).is_err());
    }

    #[test]
    fn a_missing_or_broken_uuid_is_an_error_that_shows_what_came() {
        assert!(parse(&[]).is_err());
        assert!(parse(&["-vmuuid"]).is_err());
        assert_eq!(parse(&["-vmuuid", "nonsense"]).unwrap_err().value, "nonsense");
    }
}
