#!/bin/sh
# Runs cargo as the package's programs are built: static-cargo.sh build --release --package vgpu-plugin
#
# Static: dom0's glibc is 2.17, and a program that needs none cannot need too new a one. The paths of this machine stay
# out of the programs. Only the target's code gets these flags: a build script need not be static.
set -eu
cd "$(dirname "$0")/.."
command=$1
shift
RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
    exec "${CARGO:-cargo}" "$command" --quiet --locked --target x86_64-unknown-linux-gnu \
    --target-dir "${CARGO_TARGET_DIR:-$PWD/target}" "$@"
