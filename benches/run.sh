#!/bin/sh
# Measures the programs as the package has them, and writes the table into docs/performance.md.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
export CRITERION_HOME="$target/criterion"
export VGPU_PROGRAMS="$target/x86_64-unknown-linux-gnu/release"

echo "building" >&2
sh packaging/static-cargo.sh build --release --package vgpu-plugin --package vgpu-hook --package vgpu-wrapper --package vgpu-admin
# By themselves: what they need must not change how the programs are built.
sh packaging/static-cargo.sh build --release --package vgpu-bench --package simulated-host
sh packaging/static-cargo.sh bench --package vgpu-bench --bench inside -- --quiet --noplot

# The floor of the C library is Debian's SQLite.
library=$(sh capi/release.sh)
export VGPU_LOOKUP="$target/lookup"
[ -e /usr/include/sqlite3.h ] || sh tests/setup/tools.sh /usr/include/sqlite3.h=libsqlite3-dev
gcc -std=c99 -D_GNU_SOURCE -O2 -o "$VGPU_LOOKUP" -I "$library" benches/lookup.c "$library/libvgpu_config.a" -lsqlite3 -lpthread -ldl -lm

"$VGPU_PROGRAMS/vgpu-bench" docs/performance.md
