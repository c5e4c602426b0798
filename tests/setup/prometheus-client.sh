#!/bin/sh
# Installs Python's prometheus_client, whose parsers read what vgpu-admin metrics prints, once. Prints the folder.
set -eu
cd "$(dirname "$0")/../.."
version=0.26.0
sh tests/setup/tools.sh python3=python3 pip3=python3-pip >&2
folder=${XDG_CACHE_HOME:-$HOME/.cache}/vgpu-config/prometheus-client-$version
if [ ! -d "$folder" ]; then
    # Through a name of its own, so that a download that was cut off is not taken for the whole.
    rm -rf "$folder.new"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder.new" "prometheus-client==$version" >&2
    mv "$folder.new" "$folder"
fi
echo "$folder"
