//! What a test does with plugins and sessions.

use super::SimulatedHost;
use crate::database::{Role, SessionInfo};
use crate::error::ApiError;

/// Plugins and sessions.
impl SimulatedHost {
    /// `host.call_plugin`, in a session of a pool-admin that is opened for it and closed after it.
    ///
    /// # Errors
    /// The plugin's own, or xapi's about it.
    pub fn call_plugin(&self, plugin: &str, function: &str, args: &[(&str, &str)]) -> Result<String, ApiError> {
        self.call_plugin_as(Role::PoolAdmin, plugin, function, args)
    }

    /// The same for a caller of another role, as `VM.call_host_plugin` lets them.
    ///
    /// # Errors
    /// The plugin's own, or xapi's about it.
    pub fn call_plugin_as(
        &self,
        role: Role,
        plugin: &str,
        function: &str,
        args: &[(&str, &str)],
    ) -> Result<String, ApiError> {
        let session = self.open_session(role);
        let outcome = self.call_plugin_in(&session, plugin, function, args);
        self.dom0.pool.close_session(&session);
        outcome
    }

    /// The same in a session that is already open, and stays so.
    ///
    /// # Errors
    /// The plugin's own, or xapi's about it.
    pub fn call_plugin_in(
        &self,
        session: &str,
        plugin: &str,
        function: &str,
        args: &[(&str, &str)],
    ) -> Result<String, ApiError> {
        let args: Vec<_> =
            args.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        let result = self.dom0.call_plugin(session, plugin.as_bytes(), function.as_bytes(), &args)?;
        Ok(String::from_utf8_lossy(&result).into_owned())
    }

    /// Opens a session and gives its reference.
    #[must_use]
    pub fn open_session(&self, role: Role) -> String {
        self.dom0.pool.open_session(&self.dom0.reference, "test", role)
    }

    /// Opens a session under a known reference, so that a recorded request can be repeated.
    pub fn adopt_session(&self, reference: &str, role: Role) {
        self.dom0.pool.adopt_session(reference, &self.dom0.reference, "test", role);
    }

    /// The sessions that are open.
    #[must_use]
    pub fn open_sessions(&self) -> Vec<SessionInfo> {
        self.dom0.pool.open_sessions()
    }

    /// The XenAPI methods that were called over the socket, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.dom0.pool.calls()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.dom0.pool.clear_calls();
    }
}
