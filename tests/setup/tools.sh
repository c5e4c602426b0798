#!/bin/sh
# Makes sure that tools are there: tools.sh TOOL=DEBIAN-PACKAGE …  As root with apt it installs what is missing; elsewhere
# it stops and prints the one command that would.
set -eu
missing=
for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing="$missing ${pair#*=}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >&2
    # shellcheck disable=SC2086 # a list of packages
    apt-get -qq install -y --no-install-recommends $missing >&2
    exit 0
fi
echo "Some tools are missing. Install them with:" >&2
echo "    sudo apt-get install -y$missing" >&2
exit 1
