//! Replies to requests about one VM or several.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// As JSON, an object for one VM, and an array if the request has a list of VMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore<T> {
    More(Vec<T>),
    One(Box<T>),
}

impl<T> OneOrMore<T> {
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::More(replies) => replies,
            Self::One(reply) => std::slice::from_ref(reply),
        }
    }

    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::More(replies) => replies,
            Self::One(reply) => vec![*reply],
        }
    }
}
