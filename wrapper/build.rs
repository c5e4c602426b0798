//! Links `src/signal.c` into the program.

fn main() {
    println!("cargo:rerun-if-changed=src/signal.c");
    // The object itself: of a library the linker would take nothing that is not missing.
    for object in cc::Build::new().file("src/signal.c").compile_intermediates() {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
}
