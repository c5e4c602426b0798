#!/bin/sh
# Installs the clients of the XenAPI that the guides show, and prints the folder that they are in: python/ has Python's XenAPI,
# node_modules/ has xen-api. Installed once; several at a time do not get in each other's way.
set -eu
cd "$(dirname "$0")/../.."
xenapi=26.21.1
xen_api=4.7.6
folder=${XDG_CACHE_HOME:-$HOME/.cache}/vgpu-config/clients-$xenapi-$xen_api
if [ ! -d "$folder" ]; then
    sh tests/setup/tools.sh python3=python3 pip3=python3-pip npm=npm node=nodejs >&2
    echo "installing the clients XenAPI $xenapi and xen-api $xen_api, once" >&2
    mkdir -p "${folder%/*}"
    new=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$new/python" "XenAPI==$xenapi" >&2 &
    npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$new" "xen-api@$xen_api" >&2
    wait $!
    # A folder that another one has made meanwhile is as good.
    mv -T "$new" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
echo "$folder"
