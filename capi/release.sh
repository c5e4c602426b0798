#!/bin/sh
# Builds the C library as it is released, into target/capi, on any x86_64 Linux with Rust, gcc and Python 3. Prints the folder.
#
# It is part of other programs, so it cannot be static like ours, and dom0's glibc is 2.17. Zig's C compiler has the headers and
# the names of every glibc: it compiles SQLite, and links the shared library, as if on a host with 2.17.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
zig_version=0.17.1
triple=x86_64-unknown-linux-gnu

sh tests/setup/tools.sh gcc=gcc python3=python3 pip3=python3-pip ld=binutils >&2
tools=${XDG_CACHE_HOME:-$HOME/.cache}/vgpu-config/ziglang-$zig_version
if [ "$("$tools/ziglang/zig" version 2>/dev/null)" != "$zig_version" ]; then
    echo "installing ziglang $zig_version, once" >&2
    rm -rf "$tools"
    # Through a name of its own, so that a download that was cut off is not taken for the whole.
    rm -rf "$tools.new"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$tools.new" "ziglang==$zig_version" >&2
    mv "$tools.new" "$tools"
fi

# For cargo, which names the target in its own words.
mkdir -p "$target/c-library"
cc=$target/c-library/cc
cat >"$cc" <<CC
#!/bin/sh
for argument do
    shift
    case \$argument in
    --target=*) ;;
    *) set -- "\$@" "\$argument" ;;
    esac
done
exec "$tools/ziglang/zig" cc -target x86_64-linux-gnu.2.17 "\$@"
CC
chmod 755 "$cc"

# Not optimised as a whole: that takes minutes, and the linker drops what is not needed too.
CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    CC_x86_64_unknown_linux_gnu=$cc CFLAGS_x86_64_unknown_linux_gnu="-g0" \
    RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
    "${CARGO:-cargo}" build --quiet --locked --release --package vgpu-config-capi --target "$triple" \
    --target-dir "$target/c-library" >&2
# Zig brings what unwinds.
CC=$cc LINK_WITH=-lunwind STRIP=yes sh capi/build.sh "$target/c-library/$triple/release/libvgpu_config_c.a" "$target/capi" >&2
echo "$target/capi"
