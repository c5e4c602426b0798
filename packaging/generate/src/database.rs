//! `/etc/vgpu/init_db.sql`: creates the database with dom0's own `sqlite3` shell, from the same migrations as the programs.
//!
//! SQL has no "if", and SQLite 3.7.17 cannot read `user_version` in an expression, but its shell can write a query's result
//! to a file and read it back. So the script queries the version, selects the migrations above it, each in a transaction
//! that ends with setting the version, and runs them. For a database that is up to date, or newer, there are none.

use std::fmt::Write as _;

/// A temporary file of the shell, in a directory that only root may write, like the database.
const SCRATCH: &str = "/run/vgpu-init_db.tmp";

const HEAD: &str = "\
-- Creates the database of vgpu-config, or migrates it to this version's schema. Any vgpu-admin command but check does the same,
-- after a copy of the file. This script is for a host that only has SQLite's shell:
--
--     sqlite3 /etc/vgpu/vgpu_config.db < /etc/vgpu/init_db.sql && chmod 600 /etc/vgpu/vgpu_config.db
--
-- A database that is up to date, or newer, is not changed. Generated from the migrations of vgpu-config: do not edit.
";

/// The error for a database without a schema number but with tables of later migrations: only a program can recognise its schema.
const UNVERSIONED: &str = "the database has tables of vgpu-config but no schema number, perhaps because it was restored from a \
    .dump: nothing was changed, run ''vgpu-admin status'' once, which recognises the schema";

/// The tables that the migrations create, as SQL strings.
fn tables_of(migrations: &[String]) -> Vec<String> {
    let name = |line: &str| Some(format!("'{}'", line.strip_prefix("CREATE TABLE ")?.split([' ', '(']).next()?));
    migrations.iter().flat_map(|migration| migration.lines()).filter_map(name).collect()
}

/// The migrations may contain any SQL; they are run unchanged.
///
/// # Errors
/// A migration has a line that the shell would interpret as one of its commands.
pub fn script(migrations: &[String]) -> Result<String, String> {
    let mut script = HEAD.to_owned();
    script.push_str(
        ".bail on\n.headers off\n.mode list\n\
         CREATE TEMP TABLE vgpu_migrations (version INTEGER PRIMARY KEY, script TEXT NOT NULL);\n\
         CREATE TEMP TABLE vgpu_found (version INTEGER NOT NULL);\n",
    );
    // Only a trigger can stop the shell with an error message.
    let _ = write!(
        script,
        "CREATE TEMP TRIGGER vgpu_refuse BEFORE INSERT ON vgpu_found\n\
         WHEN NEW.version = 0 AND EXISTS (SELECT 1 FROM main.sqlite_master WHERE name IN ({}))\n\
         BEGIN SELECT RAISE(ABORT, '{UNVERSIONED}'); END;\n",
        tables_of(migrations.get(1..).unwrap_or_default()).join(", ")
    );
    for (version, migration) in (1..).zip(migrations) {
        if migration.lines().any(|line| line.starts_with('.')) {
            return Err(format!("migration {version} has a line that begins with a dot"));
        }
        let whole = format!("BEGIN IMMEDIATE;\n{}\nPRAGMA user_version = {version};\nCOMMIT;", migration.trim_end());
        let _ = writeln!(script, "INSERT INTO vgpu_migrations VALUES ({version}, '{}');", whole.replace('\'', "''"));
    }
    let _ = write!(
        script,
        ".output {SCRATCH}\nPRAGMA user_version;\n.output stdout\n\
         CREATE TEMP TABLE vgpu_stated (version INTEGER NOT NULL);\n\
         .import {SCRATCH} vgpu_stated\n\
         INSERT INTO vgpu_found SELECT version FROM vgpu_stated;\n\
         .output {SCRATCH}\n\
         SELECT script FROM vgpu_migrations WHERE version > (SELECT version FROM vgpu_found) ORDER BY version;\n\
         .output stdout\n\
         .read {SCRATCH}\n\
         .output \"|rm -f {SCRATCH}\"\n.output stdout\n\
         DROP TABLE vgpu_found;\nDROP TABLE vgpu_stated;\nDROP TABLE vgpu_migrations;\n"
    );
    Ok(script)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_migration_is_in_a_transaction_that_sets_its_version() {
        let script = script(&["CREATE TABLE a (b);".to_owned(), "INSERT INTO a VALUES ('c');".to_owned()]).unwrap();
        assert!(script.contains("(1, 'BEGIN IMMEDIATE;\nCREATE TABLE a (b);\nPRAGMA user_version = 1;\nCOMMIT;')"));
        assert!(
            script
                .contains("(2, 'BEGIN IMMEDIATE;\nINSERT INTO a VALUES (''c'');\nPRAGMA user_version = 2;\nCOMMIT;')")
        );
    }

    #[test]
    fn a_line_that_the_shell_would_take_for_its_own_is_refused() {
        assert!(script(&["SELECT '\n.quit\n';".to_owned()]).is_err());
    }
}
