#!/bin/sh
# Builds SQLite 3.7.17's shell, which is the sqlite3 of XCP-ng's dom0, into target/sqlite-3.7.17/sqlite3. Its source comes
# with an old release of the npm package sqlite3. Built once; several at a time do not get in each other's way.
set -eu
cd "$(dirname "$0")/../.."
folder=$PWD/target/sqlite-3.7.17
[ -x "$folder/sqlite3" ] && exit 0
if ! command -v npm >/dev/null; then
    echo "npm is missing; as root: apt-get install -y npm" >&2
    exit 1
fi
mkdir -p "$folder"
work=$(mktemp -d "$folder/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent sqlite3@2.1.9 >/dev/null
tar xzf sqlite3-2.1.9.tgz package/deps/sqlite-autoconf-3071700.tar.gz
tar xzf package/deps/sqlite-autoconf-3071700.tar.gz
cd sqlite-autoconf-3071700
gcc -O1 -w -DSQLITE_THREADSAFE=1 -o sqlite3 shell.c sqlite3.c -ldl -lpthread
./sqlite3 --version | grep -q '^3\.7\.17 '
mv sqlite3 "$folder/sqlite3"
