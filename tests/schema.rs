//! Which schema a database has, and the way to the newest.

#[path = "schema/copies.rs"]
mod copies;
#[path = "schema/dumps.rs"]
mod dumps;
#[path = "schema/init_db.rs"]
mod init_db;
#[path = "schema/made_by_hand.rs"]
mod made_by_hand;
#[path = "schema/newer.rs"]
mod newer;
#[path = "schema/support.rs"]
mod support;
#[path = "schema/written.rs"]
mod written;
