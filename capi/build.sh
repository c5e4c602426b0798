#!/bin/sh
# Makes libvgpu_config.a, libvgpu_config.so, vgpu_config.h and vgpu_config.pc in a folder, from the static library that cargo has
# built: build.sh ARCHIVE FOLDER. CC is the C compiler that links.
set -eu
archive=$(realpath "$1")
folder=$2
source=$(dirname "$(realpath "$0")")
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$source/../Cargo.toml")
# Raised when a program that was built with the library before can no longer run with it.
abi=0

mkdir -p "$folder"
cd "$folder"
work=$(mktemp -d .build.XXXXXX)
trap 'rm -rf "$work"' EXIT

# One object with no names but the library's own. Otherwise a program that has an SQLite of its own, or other Rust, would have
# names twice.
sed -n 's/^ *\(vgpu_[a-z_]*\);/\1/p' "$source/vgpu_config.map" >"$work/names"
# shellcheck disable=SC2046 # a list of options
ld -r --gc-sections $(sed 's/^/--undefined=/' "$work/names") -o "$work/all.o" "$archive"
# Rust's standard library has its bitcode beside the code, which only its own compiler can read.
objcopy --keep-global-symbols="$work/names" --remove-section=.llvmbc --remove-section=.llvmcmd "$work/all.o" "$work/vgpu_config.o"
if [ "${STRIP:-}" ]; then
    objcopy --strip-unneeded --remove-section=.comment "$work/vgpu_config.o"
fi
ar rcD "$work/libvgpu_config.a" "$work/vgpu_config.o"

# The names have a version, so that a program that needs a later one is refused where it is missing. -z nodelete: Rust's standard
# library cannot be unloaded.
# shellcheck disable=SC2086 # CC may be several words
${CC:-gcc} -shared ${STRIP:+-s} -o "$work/so" "$work/vgpu_config.o" -Wl,-soname,"libvgpu_config.so.$abi" \
    -Wl,--version-script="$source/vgpu_config.map" -Wl,--gc-sections -Wl,-z,defs -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now \
    ${LINK_WITH:-} -lpthread -ldl -lm

mv "$work/libvgpu_config.a" libvgpu_config.a
rm -f libvgpu_config.so*
mv "$work/so" "libvgpu_config.so.$version"
chmod 755 "libvgpu_config.so.$version"
ln -s "libvgpu_config.so.$version" "libvgpu_config.so.$abi"
ln -s "libvgpu_config.so.$abi" libvgpu_config.so
cp "$source/include/vgpu_config.h" vgpu_config.h
cat >vgpu_config.pc <<PC
prefix=/usr
libdir=\${prefix}/lib64
includedir=\${prefix}/include

Name: vgpu_config
Description: The vGPU settings of XCP-ng's VMs
Version: $version
Libs: -L\${libdir} -lvgpu_config
Libs.private: -lpthread -ldl -lm
Cflags: -I\${includedir}
PC
