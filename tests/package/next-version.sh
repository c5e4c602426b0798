#!/bin/sh
# Builds the package that comes after this one, which carries one more migration: a copy of this tree in
# target/next-version, with the version's last number and the schema raised by one. Prints the package's path.
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
next=$target/next-version
mkdir -p "$target"
# One at a time.
exec 9>"$next.lock"
flock 9
rm -rf "$next"
mkdir "$next"
git ls-files -z --cached --others --exclude-standard |
    tar --create --null --files-from=- --ignore-failed-read 2>/dev/null | tar --extract --directory="$next"
cd "$next"

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
raised=${version%.*}.$((${version##*.} + 1))
sed -i "/^\[workspace.package\]/,/^\[/s/^version = .*/version = \"$raised\"/" Cargo.toml
"${CARGO:-cargo}" update --quiet --workspace --offline

count=$(find migrations -name '*.sql' | wc -l)
file=$(printf '%04d_next.sql' $((count + 1)))
cat >"migrations/$file" <<'SQL'
-- A column of a later version; the quotes and the semicolon are on purpose.
ALTER TABLE vm_state ADD COLUMN next_note TEXT DEFAULT 'it''s; new';
CREATE TABLE next_things (vm_uuid TEXT PRIMARY KEY NOT NULL);
INSERT INTO next_things SELECT vm_uuid FROM vms;
SQL
sed -i "/^const MIGRATIONS/,/^];/s|^];|    M::up(include_str!(\"../../migrations/$file\")),\n];|" src/store/schema.rs
grep -q "$file" src/store/schema.rs
# What is not newer than it was is not compiled again.
touch -r "$OLDPWD/Cargo.toml" Cargo.toml Cargo.lock
touch -r "$OLDPWD/src/store/schema.rs" src/store/schema.rs "migrations/$file"

# The libraries that both versions use are compiled once: they share a target folder.
CARGO_TARGET_DIR=$target SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) sh packaging/build-rpm.sh
