//! What goes wrong or happens between two steps of a change.

#[path = "mishaps/cut_off.rs"]
mod cut_off;
#[path = "mishaps/meanwhile.rs"]
mod meanwhile;
#[path = "mishaps/one_bad_row.rs"]
mod one_bad_row;
