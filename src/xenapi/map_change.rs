//! A change of one key of one of XAPI's maps, which can be made and put back.

use super::{MapField, Reference, Session, XapiError};

/// A change of one key of one of XAPI's maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapChange {
    /// The map.
    pub map: MapField,
    /// The object that it belongs to.
    pub object: Reference,
    /// The key.
    pub key: String,
    /// What it holds; `None` where it is not there.
    pub old: Option<String>,
    /// What it is to hold; `None` where it is to go.
    pub new: Option<String>,
}

impl MapChange {
    /// Makes the change.
    ///
    /// # Errors
    /// XAPI is away or refuses; whether the change was made is not known then, and it has to be put back.
    pub fn make(&self, session: &mut Session) -> Result<(), XapiError> {
        session.set_map_key(self.map, &self.object, &self.key, self.old.as_deref(), self.new.as_deref())
    }

    /// Puts the old value back, also where the change failed halfway.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn put_back(&self, session: &mut Session) -> Result<(), XapiError> {
        session.put_map_key_back(self.map, &self.object, &self.key, self.old.as_deref(), self.new.as_deref())
    }
}
