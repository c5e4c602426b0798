//! The methods that every class has for its objects and their fields.

use std::sync::LazyLock;

use super::call::Call;
use super::filter;
use crate::database::{self, Class, Record, Role, storable};
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// A method about objects and fields of a class.
pub struct FieldMethod {
    class: Class,
    kind: Kind,
}

enum Kind {
    GetAll,
    GetAllRecords,
    GetAllRecordsWhere,
    GetByUuid,
    GetByNameLabel,
    GetRecord,
    Get(String),
    Set(String),
    AddTo(String),
    RemoveFrom(String),
}

impl Kind {
    fn writes(&self) -> bool {
        matches!(self, Self::Set(_) | Self::AddTo(_) | Self::RemoveFrom(_))
    }

    fn field(&self) -> &str {
        match self {
            Self::Get(field) | Self::Set(field) | Self::AddTo(field) | Self::RemoveFrom(field) => field,
            _ => "",
        }
    }
}

/// The fields that may be set, of whatever class.
const WRITABLE: [&str; 16] = [
    "name_label",
    "name_description",
    "platform",
    "other_config",
    "xenstore_data",
    "tags",
    "is_a_template",
    "HVM_boot_params",
    "VCPUs_params",
    "NVRAM",
    "blocked_operations",
    "actions_after_reboot",
    "actions_after_shutdown",
    "affinity",
    "gui_config",
    "logging",
];

/// A record of each class, for the fields it has.
static TEMPLATES: LazyLock<[(Class, Record); 6]> = LazyLock::new(|| {
    [
        (Class::Vm, database::vm()),
        (Class::Host, database::host()),
        (Class::Pool, database::pool()),
        (Class::Task, database::task()),
        (Class::Pci, database::pci()),
        (Class::Pgpu, database::pgpu()),
    ]
});

impl FieldMethod {
    pub fn of_name(name: &str) -> Option<Self> {
        let (class, method) = name.split_once('.')?;
        let class = Class::of_name(class)?;
        let template = &TEMPLATES.iter().find(|(of, _)| *of == class)?.1;
        let field = |field: &str| template.contains_key(field).then(|| field.to_owned());
        let writable = |name: &str| field(name).filter(|field| WRITABLE.contains(&field.as_str()));
        let is_map = |name: &str| writable(name).filter(|field| matches!(template[field], Value::Dict(_)));
        let kind = match method {
            "get_all" => Kind::GetAll,
            "get_all_records" => Kind::GetAllRecords,
            "get_all_records_where" => Kind::GetAllRecordsWhere,
            "get_by_uuid" => Kind::GetByUuid,
            "get_by_name_label" if template.contains_key("name_label") => Kind::GetByNameLabel,
            "get_record" => Kind::GetRecord,
            _ => {
                if let Some(name) = method.strip_prefix("get_") {
                    Kind::Get(field(name)?)
                } else if let Some(name) = method.strip_prefix("set_") {
                    Kind::Set(writable(name)?)
                } else if let Some(name) = method.strip_prefix("add_to_") {
                    Kind::AddTo(is_map(name)?)
                } else {
                    Kind::RemoveFrom(is_map(method.strip_prefix("remove_from_")?)?)
                }
            }
        };
        Some(Self { class, kind })
    }

    pub fn params(&self) -> usize {
        match self.kind {
            Kind::GetAll | Kind::GetAllRecords => 0,
            Kind::GetAllRecordsWhere | Kind::GetByUuid | Kind::GetByNameLabel | Kind::GetRecord | Kind::Get(_) => 1,
            Kind::Set(_) | Kind::RemoveFrom(_) => 2,
            Kind::AddTo(_) => 3,
        }
    }

    pub fn is_void(&self) -> bool {
        self.kind.writes()
    }

    /// Who may call it (`ocaml/idl/datamodel_*.ml`).
    pub fn role(&self) -> Role {
        match (&self.kind, self.class) {
            (kind, _) if !kind.writes() => Role::ReadOnly,
            (kind, Class::Vm | Class::Host | Class::Pool) if ["tags", "gui_config"].contains(&kind.field()) => {
                Role::VmOperator
            }
            (_, Class::Vm) => Role::VmAdmin,
            (_, Class::Host | Class::Pool | Class::Pci | Class::Pgpu) => Role::PoolOperator,
            (_, Class::Task) => Role::VmOperator,
        }
    }

    /// The keys of a map that have a role of their own, as XAPI spells the rest of their permissions
    /// (`map_keys_roles` in `ocaml/idl/datamodel_*.ml`, `permission_of_action` in `ocaml/xapi/rbac.ml`).
    pub fn role_of_key(&self, params: &[Value]) -> Option<(&'static str, Role)> {
        if !matches!(&self.kind, Kind::AddTo(field) | Kind::RemoveFrom(field) if field == "other_config") {
            return None;
        }
        let key = params.get(1).and_then(Value::text)?;
        match self.class {
            Class::Vm if key == "pci" => Some(("pci", Role::PoolAdmin)),
            Class::Pool if key == "EMPTY_FOLDERS" => Some(("empty_folders", Role::VmOperator)),
            Class::Vm | Class::Host | Class::Pool if key == "folder" => Some(("folder", Role::VmOperator)),
            Class::Vm | Class::Host | Class::Pool if key.starts_with("XenCenter.CustomFields.") => {
                Some(("xencenter.customfields.*", Role::VmOperator))
            }
            _ => None,
        }
    }

    pub fn run(&self, call: &Call) -> ApiResult<Value> {
        if self.is_void() { self.write(call) } else { self.read(call) }
    }

    fn read(&self, call: &Call) -> ApiResult<Value> {
        let database = call.dom0.pool.read();
        let table = database.table(self.class);
        let references = |found: Vec<&String>| Value::List(found.into_iter().map(|it| it.as_str().into()).collect());
        Ok(match &self.kind {
            Kind::GetAll => references(table.iter().map(|(reference, _)| reference).collect()),
            Kind::GetAllRecords => records(table.iter()),
            Kind::GetAllRecordsWhere => {
                let condition = filter::parse(&call.text(0)?)?;
                records(table.iter().filter(|(reference, record)| condition.holds(reference, record)))
            }
            Kind::GetByUuid => table.by_uuid(self.class, &call.text(0)?)?.into(),
            Kind::GetByNameLabel => references(table.having("name_label", &call.text(0)?).collect()),
            Kind::GetRecord => record(database.record(self.class, &call.text(0)?)?),
            Kind::Get(field) => database.record(self.class, &call.text(0)?)?[field].clone(),
            Kind::Set(_) | Kind::AddTo(_) | Kind::RemoveFrom(_) => Value::Null,
        })
    }

    fn write(&self, call: &Call) -> ApiResult<Value> {
        let reference = call.text(0)?;
        let becomes_template = matches!(&self.kind, Kind::Set(field) if field == "is_a_template");
        if becomes_template && call.flag(1)? {
            call.dom0.check_operation(&reference, "make_into_template")?;
        }
        call.dom0.pool.write(|database| match &self.kind {
            Kind::Set(field) => {
                let current = &database.record(self.class, &reference)?[field];
                let value = fitting(current, &call.params[1])?;
                database.set(self.class, &reference, field, value)
            }
            Kind::AddTo(field) => database.add_to_map(self.class, &reference, field, &call.bytes(1)?, &call.bytes(2)?),
            Kind::RemoveFrom(field) => database.remove_from_map(self.class, &reference, field, &call.bytes(1)?),
            _ => Ok(()),
        })?;
        if self.class == Class::Vm {
            if becomes_template {
                call.dom0.update_allowed_operations(&reference);
            }
            call.vm_has_changed(&reference)?;
        }
        Ok("".into())
    }
}

fn records<'a>(rows: impl Iterator<Item = (&'a String, &'a Record)>) -> Value {
    Value::dict(rows.map(|(reference, fields)| (reference, record(fields))))
}

/// A record as a value.
pub fn record(fields: &Record) -> Value {
    Value::dict(fields.iter().map(|(name, value)| (name, value.clone())))
}

/// A value for a field, of the type that the field has, as the database keeps it.
pub fn fitting(current: &Value, given: &Value) -> ApiResult<Value> {
    let number = || given.text().and_then(|text| text.parse().ok());
    let value = match (current, given) {
        (Value::Text(_), Value::Text(bytes)) => Some(storable(bytes).into()),
        (Value::Bool(_), Value::Bool(_))
        | (Value::Int(_), Value::Int(_))
        | (Value::Float(_), Value::Float(_))
        | (Value::List(_), Value::List(_))
        | (Value::DateTime(_), Value::DateTime(_)) => Some(given.clone()),
        // XML-RPC brings whole numbers as strings.
        (Value::Int(_), Value::Text(_)) => number().map(Value::Int),
        (Value::Dict(_), Value::Dict(members)) => members
            .iter()
            .map(|(key, value)| Some((storable(key).into_bytes(), storable(value.bytes()?).into())))
            .collect::<Option<_>>()
            .map(Value::Dict),
        _ => None,
    };
    value.ok_or_else(|| {
        // These words are a guess; those of a string that is something else are recorded.
        ApiError::failwith(&[b"Expected another type, got '".as_slice(), &given.describe(), b"'"].concat())
    })
}
