//! The header, and what programs that were built with an earlier one rely on.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use cbindgen::{Builder, Config};
use snapbox::IntoData;
use vgpu_tests::programs;

use crate::built::{Linked, compile, library, ok};

#[test]
fn the_header_is_the_one_that_the_sources_make() {
    let capi = programs::workspace().join("capi");
    let config = Config::from_file(capi.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    Builder::new().with_crate(&capi).with_config(config).generate().unwrap().write(&mut made);
    let header = snapbox::Data::read_from(&capi.join("include/vgpu_config.h"), None);
    snapbox::Assert::new().action_env("SNAPSHOTS").eq(String::from_utf8(made).unwrap().into_data(), header);
}

/// The functions of a text, by name.
fn functions(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| word.starts_with("vgpu_")).map(str::to_owned).collect()
}

#[test]
fn the_shared_library_has_the_functions_of_the_list_and_no_other_names() {
    let listed = fs::read_to_string(programs::workspace().join("capi/vgpu_config.map")).unwrap();
    let listed = functions(listed.split_once('{').unwrap().1);
    let defined = ok(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(library().join("libvgpu_config.so")));
    let mut found = BTreeSet::new();
    for line in defined.lines() {
        let symbol = line.split(' ').nth(2).unwrap();
        if symbol == "VGPU_CONFIG_0" {
            continue;
        }
        let (name, version) = symbol.split_once('@').unwrap();
        assert_eq!(version, "@VGPU_CONFIG_0", "{name}");
        found.insert(name.to_owned());
    }
    assert_eq!(found, listed);
    let dynamic = ok(Command::new("readelf").args(["--wide", "--dynamic"]).arg(library().join("libvgpu_config.so")));
    assert!(dynamic.contains("Library soname: [libvgpu_config.so.0]"), "{dynamic}");
}

#[test]
fn the_static_library_defines_the_same_names_and_keeps_its_sqlite_to_itself() {
    let listed = fs::read_to_string(programs::workspace().join("capi/vgpu_config.map")).unwrap();
    let symbols = ok(Command::new("readelf").args(["--wide", "--symbols"]).arg(library().join("libvgpu_config.a")));
    let mut found = BTreeSet::new();
    for line in symbols.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        if let [_, _, _, _, "GLOBAL" | "WEAK", _, section, name, ..] = fields.as_slice()
            && *section != "UND"
        {
            found.insert((*name).to_owned());
        }
    }
    assert_eq!(found, functions(listed.split_once('{').unwrap().1));
}

#[test]
fn the_header_declares_the_functions_of_the_list() {
    let listed = fs::read_to_string(programs::workspace().join("capi/vgpu_config.map")).unwrap();
    let header = fs::read_to_string(programs::workspace().join("capi/include/vgpu_config.h")).unwrap();
    let named = functions(&header);
    for function in functions(listed.split_once('{').unwrap().1) {
        assert!(named.contains(&function) && header.contains(&format!("{function}(")), "{function}");
    }
}

/// A field that is moved, or a structure that shrinks, breaks every program that was built before: it may only grow at its end.
#[test]
fn structures_and_codes_are_those_that_programs_were_built_with() {
    let program = compile(&["gcc"], "abi.c", Linked::Static);
    let printed = ok(&mut Command::new(program));
    let golden = programs::workspace().join("tests/capi/abi.txt");
    let golden = snapbox::Data::read_from(&golden, None);
    snapbox::Assert::new().action_env("SNAPSHOTS").eq(printed.into_data(), golden);
}
