//! Links `src/signal.c` into the program.

fn main() {
    println!("cargo:rerun-if-changed=src/signal.c");
    // Links the object file itself. From a library the linker would only take symbols that are not defined elsewhere.
    for object in cc::Build::new().file("src/signal.c").compile_intermediates() {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
}
