//! `vgpu-admin schema`: the JSON Schema of what commands print as JSON.

use std::process::ExitCode;

use serde_json::{Map, Value};
use vgpu_admin::arguments::with_schema;
use vgpu_config::Error;
use vgpu_config::reply::{ErrorReply, QemuWrapperReply, RecoverReply, schema_of};
use vgpu_config::request::Request;

use crate::commands::Outcome;
use crate::output::say_json;

/// Prints the schema of one command or, as an object, of each.
pub fn print(command: Option<&str>) -> Outcome {
    let all = || {
        with_schema()
            .into_iter()
            .map(|command| Ok((command.to_owned(), of(command)?)))
            .collect::<Result<Map<_, _>, Error>>()
    };
    let schemas = match command {
        Some(command) => of(command)?,
        None => Value::Object(all()?),
    };
    let json = serde_json::to_string_pretty(&schemas).map_err(|error| Error::Reply(error.to_string()))?;
    say_json(json)?;
    Ok(ExitCode::SUCCESS)
}

fn of(command: &str) -> Result<Value, Error> {
    let schema = match command {
        "recover" => Some(schema_of::<RecoverReply>()),
        "qemu-wrapper" => Some(schema_of::<QemuWrapperReply>()),
        "error" => Some(schema_of::<ErrorReply>()),
        command => Request::reply_schema(&command.replace('-', "_")),
    };
    schema.map(Into::into).ok_or_else(|| Error::Internal(format!("{command} has no schema")))
}
