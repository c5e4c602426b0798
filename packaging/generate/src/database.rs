//! `/etc/vgpu/init_db.sql`: makes the database with dom0's own `sqlite3` shell, from the very migrations that the programs
//! carry out.
//!
//! SQL has no "if", and SQLite 3.7.17 cannot read `user_version` in an expression, but its shell can write a query's answer
//! to a file and read it back. So the script asks for the version, picks the migrations above it, each in a transaction
//! that ends with setting the version, and carries those out. A database that is up to date, or newer, gets none.

use std::fmt::Write as _;

/// Where the shell keeps the answer for a moment: only root may write there, as only root may write the database.
const SCRATCH: &str = "/run/vgpu-init_db.tmp";

const HEAD: &str = "\
-- Makes the database of vgpu-config, or brings it to this version's schema. Any vgpu-admin command but check does the same,
-- with a copy of the file before it; this is for a host on which there is only SQLite's shell:
--
--     sqlite3 /etc/vgpu/vgpu_config.db < /etc/vgpu/init_db.sql && chmod 600 /etc/vgpu/vgpu_config.db
--
-- A database that is up to date, or newer, is left as it is. Made from the migrations of vgpu-config: do not edit.
";

/// What a database is told that has more than the first migration makes, and says that nothing was done: only a program can
/// tell how far it got.
const UNVERSIONED: &str = "the database has tables of vgpu-config but states no schema, as a .dump does that was read back: \
    nothing was touched, run ''vgpu-admin status'' once, which finds it out";

/// The tables that migrations make, as SQL texts.
fn tables_of(migrations: &[String]) -> Vec<String> {
    let name = |line: &str| Some(format!("'{}'", line.strip_prefix("CREATE TABLE ")?.split([' ', '(']).next()?));
    migrations.iter().flat_map(|migration| migration.lines()).filter_map(name).collect()
}

/// The script. Migrations may hold whatever SQL they like: they are carried out as they are.
///
/// # Errors
/// A migration has a line that the shell would take for a command of its own.
pub fn script(migrations: &[String]) -> Result<String, String> {
    let mut script = HEAD.to_owned();
    script.push_str(
        ".bail on\n.headers off\n.mode list\n\
         CREATE TEMP TABLE vgpu_migrations (version INTEGER PRIMARY KEY, script TEXT NOT NULL);\n\
         CREATE TEMP TABLE vgpu_found (version INTEGER NOT NULL);\n",
    );
    // Only a trigger can stop the shell with words of its own.
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
