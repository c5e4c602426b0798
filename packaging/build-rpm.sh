#!/bin/sh
# Builds target/vgpu-config-VERSION-1.x86_64.rpm, vgpu-config-libs-… and vgpu-config-devel-…, for XCP-ng's dom0, on any x86_64
# Linux with Rust, gcc and Python 3. The same commit gives the same bytes. Prints the packages' paths, the first one last.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
triple=x86_64-unknown-linux-gnu
built=$target/$triple/release
staged=$built/package
generate_rpm=0.21.1
cargo=${CARGO:-cargo}

sh tests/setup/tools.sh gcc=gcc python3=python3 gzip=gzip

# Times in the package are the commit's, or those of the change log if there is no git history.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)
fi
export SOURCE_DATE_EPOCH

# In a separate directory, which is kept independently of this checkout and of other versions.
tools=${XDG_CACHE_HOME:-$HOME/.cache}/vgpu-config/cargo-generate-rpm-$generate_rpm
if [ "$("$tools/bin/cargo-generate-rpm" --version 2>/dev/null)" != "cargo-generate-rpm $generate_rpm" ]; then
    echo "building cargo-generate-rpm $generate_rpm, once" >&2
    RUSTFLAGS='' CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_TARGET_DIR="$target/cargo-generate-rpm" \
        "$cargo" install --quiet --locked --root "$tools" --version "=$generate_rpm" cargo-generate-rpm >&2
    rm -rf "$target/cargo-generate-rpm"
fi

sh packaging/static-cargo.sh build --release --package vgpu-plugin --package vgpu-hook --package vgpu-wrapper --package vgpu-admin

# All files are collected in one directory first, with the same time.
rm -rf "$staged"
mkdir -p "$staged/docs"
RUSTFLAGS='' "$cargo" build --quiet --locked --target-dir "$target" --workspace --bin vgpu-generate
"$target/debug/vgpu-generate" "$staged"
gzip -9n "$staged"/man?/*
cp "$built/vgpu" "$built/vgpu-hook" "$built/qemu-wrapper" "$built/vgpu-admin" hooks/vm-pre-start/50vgpu "$staged"
cp packaging/files/* LICENSE README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md "$staged"
cp docs/*.md "$staged/docs"
# 'vgpu-admin check' compares the installed files with this list; 'sha256sum -c' can read it too.
digest() { echo "$(sha256sum "$staged/$1" | cut -d ' ' -f 1)  $2"; }
{
    digest vgpu /etc/xapi.d/plugins/vgpu
    digest vgpu-hook /usr/libexec/vgpu/vgpu-hook
    digest qemu-wrapper /usr/libexec/vgpu/qemu-wrapper
    digest 50vgpu /etc/xapi.d/vm-pre-start/50vgpu
} >"$staged/sha256sums"

# The C library. A package cannot have links: the shared library has the name that programs look for, and what -lvgpu_config finds
# is a linker script that names it.
library=$(sh capi/release.sh)
mkdir "$staged/c"
cp "$library/libvgpu_config.a" "$library/vgpu_config.h" "$library/vgpu_config.pc" capi/examples/watch.c docs/c-library.md LICENSE "$staged/c"
soname=libvgpu_config.so.0
cp -L "$library/$soname" "$staged/c/$soname"
echo "INPUT($soname)" >"$staged/c/libvgpu_config.so"

find "$staged" -type f -exec touch -d "@$SOURCE_DATE_EPOCH" {} +

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
pack() { # NAME OPTIONS
    package=$target/$1-$version-1.x86_64.rpm
    shift
    # gzip: rpm 4.11 cannot read zstd, the default.
    "$tools/bin/cargo-generate-rpm" "$@" --target "$triple" --target-dir "$target" --payload-compress gzip --output "$package.new"
    python3 packaging/complete-signature "$package.new"
    mv "$package.new" "$package"
    echo "$package"
}
# The library knows one schema of the database, as the programs do.
pack vgpu-config-libs --package capi --set-metadata "requires = { vgpu-config = '= $version-1' }"
pack vgpu-config-devel --package capi --variant devel --set-metadata "requires = { vgpu-config-libs = '= $version-1' }"
pack vgpu-config --package packaging/generate
