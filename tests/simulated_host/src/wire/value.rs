//! A value of xapi's RPC library (mirage/ocaml-rpc, `src/lib/rpc.ml`).

use std::borrow::Cow;

/// A value. Strings are bytes: a plugin or a hook may print anything, and xapi passes it on.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// XenAPI's `int`: a bare string in XML-RPC.
    Int(i64),
    /// A 32-bit integer, which XML-RPC writes as `<i4>`.
    Int32(i32),
    Float(f64),
    Text(Vec<u8>),
    DateTime(String),
    List(Vec<Value>),
    /// In the order it was written, with the duplicates it was written with.
    Dict(Vec<(Vec<u8>, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into_bytes())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl Value {
    /// A dictionary of the given members.
    pub fn dict<K: AsRef<str>>(members: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Dict(members.into_iter().map(|(key, value)| (key.as_ref().as_bytes().to_vec(), value)).collect())
    }

    /// The member of that name, the first if there are several.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Dict(members) => members.iter().find(|(name, _)| name == key.as_bytes()).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The bytes of a string.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) => Some(bytes),
            Self::DateTime(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// A string, with what is not UTF-8 replaced.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.bytes().map(String::from_utf8_lossy)
    }

    /// The members of a dictionary, or none.
    pub fn members(&self) -> &[(Vec<u8>, Value)] {
        match self {
            Self::Dict(members) => members,
            _ => &[],
        }
    }

    /// The items of a list, or none.
    pub fn items(&self) -> &[Value] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// As the RPC library names a value in its error messages (`Rpc.to_string`).
    pub fn describe(&self) -> Vec<u8> {
        match self {
            Self::Null => b"N".to_vec(),
            Self::Bool(value) => format!("B({value})").into_bytes(),
            Self::Int(value) => format!("I({value})").into_bytes(),
            Self::Int32(value) => format!("I32({value})").into_bytes(),
            Self::Float(value) => format!("F({value})").into_bytes(),
            Self::Text(bytes) => [b"S(", bytes.as_slice(), b")"].concat(),
            Self::DateTime(text) => format!("D({text})").into_bytes(),
            Self::List(items) => {
                let items: Vec<Vec<u8>> = items.iter().map(Self::describe).collect();
                [b"[", items.join(b";".as_slice()).as_slice(), b"]"].concat()
            }
            Self::Dict(members) => {
                let members: Vec<Vec<u8>> =
                    members.iter().map(|(key, value)| [key, b":".as_slice(), &value.describe()].concat()).collect();
                [b"{", members.join(b";".as_slice()).as_slice(), b"}"].concat()
            }
        }
    }

    /// For a test to look at: as a value of `serde_json`, which knows neither byte strings nor dates.
    pub fn to_serde(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Int32(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into(),
            Self::DateTime(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::to_serde).collect(),
            Self::Dict(members) => serde_json::Value::Object(
                members
                    .iter()
                    .map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), value.to_serde()))
                    .collect(),
            ),
        }
    }
}
