use super::{MapField, Reference, Session, XapiError};

/// A change of one key of one of XAPI's maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapChange {
    pub map: MapField,
    pub object: Reference,
    pub key: String,
    /// `None` if the key is missing.
    pub old: Option<String>,
    /// `None` to remove the key.
    pub new: Option<String>,
}

impl MapChange {
    /// # Errors
    /// XAPI is away or refuses. The change may have been made all the same, so it has to be put back.
    pub fn make(&self, session: &mut Session) -> Result<(), XapiError> {
        session.set_map_key(self.map, &self.object, &self.key, self.old.as_deref(), self.new.as_deref())
    }

    /// Puts the old value back, even if the change failed half-way.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn put_back(&self, session: &mut Session) -> Result<(), XapiError> {
        session.put_map_key_back(self.map, &self.object, &self.key, self.old.as_deref(), self.new.as_deref())
    }
}
