//! The XenAPI calls that vgpu-config makes.

use indexmap::IndexMap;
use serde_json::json;

use super::{HostRecord, MapField, RebootKind, Reference, Session, TaskRecord, VmRecord, XapiError, XapiVm};
use crate::model::VmUuid;

impl Session {
    /// Checks that the session's role may change the resource pool's configuration, as a change of GPU settings does. Some
    /// changes write nothing to XAPI, so XAPI would not refuse them. Therefore this removes a key that does not exist, which
    /// has no effect but needs the role pool-operator.
    ///
    /// # Errors
    /// XAPI is away, or refuses with its own `RBAC_PERMISSION_DENIED`.
    pub fn prove_pool_operator(&mut self) -> Result<(), XapiError> {
        let pools: Vec<Reference> = self.call("pool.get_all", &json!([self.token]))?;
        for pool in pools {
            self.call::<String>("pool.remove_from_other_config", &json!([self.token, pool.0, "vgpu:permission"]))?;
        }
        Ok(())
    }

    /// The session's user and the program that logged in (`xe`, `xo-server`, …), for people. `None` if XAPI does not say.
    pub fn user(&mut self) -> Option<String> {
        // XAPI gives a local superuser the name that it logged in with (`ocaml/xapi/xapi_session.ml`).
        let name: String = self.call("session.get_auth_user_name", &json!([self.token, self.token])).ok()?;
        let originator: String = self.call("session.get_originator", &json!([self.token, self.token])).ok()?;
        let name = if name.is_empty() { "root".to_owned() } else { name };
        Some(if originator.is_empty() { name } else { format!("{name} ({originator})") })
    }

    /// Whether the session is root's, as opposed to that of a user with a role.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn is_local_superuser(&mut self) -> Result<bool, XapiError> {
        self.call("session.get_is_local_superuser", &json!([self.token, self.token]))
    }

    /// `None` if XAPI does not know the VM.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn vm_by_uuid(&mut self, uuid: &VmUuid) -> Result<Option<Reference>, XapiError> {
        match self.call("VM.get_by_uuid", &json!([self.token, uuid])) {
            Err(error) if error.has_code("UUID_INVALID") => Ok(None),
            other => other.map(Some),
        }
    }

    /// # Errors
    /// XAPI is away or refuses.
    pub fn vm_record(&mut self, vm: &Reference) -> Result<VmRecord, XapiError> {
        self.call("VM.get_record", &json!([self.token, vm.0]))
    }

    /// # Errors
    /// XAPI is away or refuses.
    pub fn look_up(&mut self, uuid: &VmUuid) -> Result<XapiVm, XapiError> {
        let Some(vm) = self.vm_by_uuid(uuid)? else { return Ok(XapiVm::Unknown) };
        let record = Box::new(self.vm_record(&vm)?);
        Ok(XapiVm::Known { vm, record })
    }

    /// The records of everything with this name, including templates and snapshots.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn vms_named(&mut self, name: &str) -> Result<Vec<VmRecord>, XapiError> {
        let found: Vec<Reference> = self.call("VM.get_by_name_label", &json!([self.token, name]))?;
        let mut records = Vec::new();
        for vm in found {
            match self.vm_record(&vm) {
                // It was destroyed in the meantime.
                Err(error) if error.has_code("HANDLE_INVALID") => {}
                record => records.push(record?),
            }
        }
        Ok(records)
    }

    /// # Errors
    /// XAPI is away or refuses.
    pub fn vm_records(&mut self) -> Result<Vec<(Reference, VmRecord)>, XapiError> {
        let records: IndexMap<String, VmRecord> = self.call("VM.get_all_records", &json!([self.token]))?;
        Ok(records.into_iter().map(|(reference, record)| (Reference(reference), record)).collect())
    }

    /// Every VM that is not halted. The condition's grammar is that of `ocaml/database/db_filter_parse.mly`.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn vms_not_halted(&mut self) -> Result<Vec<VmRecord>, XapiError> {
        self.vms_where("not field \"power_state\" = \"Halted\"")
    }

    /// The VMs that have a domain on a host, without dom0.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn vms_on_host(&mut self, host: &Reference) -> Result<Vec<VmRecord>, XapiError> {
        let vms = self.vms_where(&format!("field \"resident_on\" = \"{}\"", host.0))?;
        Ok(vms.into_iter().filter(|vm| vm.is_a_vm() && vm.has_domain()).collect())
    }

    fn vms_where(&mut self, condition: &str) -> Result<Vec<VmRecord>, XapiError> {
        let records: IndexMap<String, VmRecord> =
            self.call("VM.get_all_records_where", &json!([self.token, condition]))?;
        Ok(records.into_values().collect())
    }

    /// # Errors
    /// XAPI is away, refuses, or does not know the host.
    pub fn host_by_uuid(&mut self, uuid: &str) -> Result<Reference, XapiError> {
        self.call("host.get_by_uuid", &json!([self.token, uuid]))
    }

    /// # Errors
    /// XAPI is away or refuses.
    pub fn host_record(&mut self, host: &Reference) -> Result<HostRecord, XapiError> {
        self.call("host.get_record", &json!([self.token, host.0]))
    }

    /// The hosts of the resource pool, by their references.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn hosts(&mut self) -> Result<IndexMap<String, HostRecord>, XapiError> {
        self.call("host.get_all_records", &json!([self.token]))
    }

    /// Calls a function of a plugin on any host of the resource pool.
    ///
    /// # Errors
    /// XAPI is away, cannot reach the host, or refuses; the plugin's own error is such a refusal.
    pub fn call_plugin(
        &mut self,
        host: &Reference,
        plugin: &str,
        function: &str,
        arguments: &[(&str, &str)],
    ) -> Result<String, XapiError> {
        let arguments: IndexMap<_, _> = arguments.iter().copied().collect();
        self.call("host.call_plugin", &json!([self.token, host.0, plugin, function, arguments]))
    }

    /// # Errors
    /// XAPI is away or refuses.
    pub fn pool_other_config(&mut self) -> Result<(Reference, IndexMap<String, String>), XapiError> {
        let pool = self.pool()?;
        let other_config = self.call("pool.get_other_config", &json!([self.token, pool.0]))?;
        Ok((pool, other_config))
    }

    /// The licence's restrictions, by name.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn pool_restrictions(&mut self) -> Result<IndexMap<String, String>, XapiError> {
        let pool = self.pool()?;
        self.call("pool.get_restrictions", &json!([self.token, pool.0]))
    }

    fn pool(&mut self) -> Result<Reference, XapiError> {
        let pools: Vec<Reference> = self.call("pool.get_all", &json!([self.token]))?;
        pools.into_iter().next().ok_or_else(|| XapiError::Nonsense {
            call: "pool.get_all".to_owned(),
            reason: "there is no pool".to_owned(),
        })
    }

    /// Begins a reboot and returns its task.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn begin_reboot(&mut self, vm: &Reference, kind: RebootKind) -> Result<Reference, XapiError> {
        self.call(&format!("Async.{}", kind.method()), &json!([self.token, vm.0]))
    }

    /// # Errors
    /// XAPI is away or refuses.
    pub fn task(&mut self, task: &Reference) -> Result<TaskRecord, XapiError> {
        self.call("task.get_record", &json!([self.token, task.0]))
    }

    /// Deletes a task that has ended. If that fails, XAPI deletes it a day later.
    pub fn forget_task(&mut self, task: &Reference) {
        if let Err(error) = self.call::<String>("task.destroy", &json!([self.token, task.0])) {
            log::debug!("{error}");
        }
    }

    /// Sets or removes a key of one of XAPI's maps, as `xe vm-param-set` does: remove, then add.
    ///
    /// # Errors
    /// XAPI is away or refuses; the key may then have the old value, the new one, or be missing.
    pub fn set_map_key(
        &mut self,
        map: MapField,
        object: &Reference,
        key: &str,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<(), XapiError> {
        if old == new {
            return Ok(());
        }
        if old.is_some() {
            self.remove_from(map, object, key)?;
        }
        let Some(new) = new else { return Ok(()) };
        match self.add_to(map, object, key, new) {
            Err(error) if error.has_code("MAP_DUPLICATE_KEY") => {
                // Another client set it between the two calls: the later change wins.
                self.remove_from(map, object, key)?;
                self.add_to(map, object, key, new)
            }
            added => added,
        }
    }

    /// Puts an old value back after a change that failed, even half-way. A value that another client has set since stays.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn put_map_key_back(
        &mut self,
        map: MapField,
        object: &Reference,
        key: &str,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<(), XapiError> {
        let mut values: IndexMap<String, String> = self.call(map.get(), &json!([self.token, object.0]))?;
        let now = values.swap_remove(key);
        let now = now.as_deref();
        if now == old || (now.is_some() && now != new) {
            return Ok(());
        }
        self.set_map_key(map, object, key, now, old)
    }

    fn add_to(&mut self, map: MapField, object: &Reference, key: &str, value: &str) -> Result<(), XapiError> {
        self.call::<String>(map.add(), &json!([self.token, object.0, key, value])).map(drop)
    }

    fn remove_from(&mut self, map: MapField, object: &Reference, key: &str) -> Result<(), XapiError> {
        self.call::<String>(map.remove(), &json!([self.token, object.0, key])).map(drop)
    }
}
