//! What `xe` says about an error (`ocaml/idl/datamodel_errors.ml`, `cli_util.ml`).

/// The errors that xe has words for: the code, the words, and the parameters' names.
const KNOWN: &[(&str, &str, &[&str])] = &[
    (
        "INTERNAL_ERROR",
        "The server failed to handle your request, due to an internal error. The given message may give details \
         useful for debugging the problem.",
        &["message"],
    ),
    ("XENAPI_MISSING_PLUGIN", "The requested plug-in could not be found.", &["name"]),
    ("XENAPI_PLUGIN_FAILURE", "There was a failure communicating with the plug-in.", &["status", "stdout", "stderr"]),
    ("INVALID_VALUE", "The value given is invalid", &["field", "value"]),
    ("XAPI_HOOK_FAILED", "3rd party xapi hook failed", &["hook_name", "reason", "stdout", "exit_code"]),
    (
        "VM_BAD_POWER_STATE",
        "You attempted an operation on a VM that was not in an appropriate power state at the time; for example, you \
         attempted to start a VM that was already running. The parameters returned are the VM's handle, and the \
         expected and actual VM state at the time of the call.",
        &["vm", "expected", "actual"],
    ),
    ("VM_LACKS_FEATURE", "You attempted an operation on a VM which lacks the feature.", &["vm"]),
    ("VM_IS_TEMPLATE", "The operation attempted is not valid for a template VM", &["vm"]),
    (
        "HANDLE_INVALID",
        "You gave an invalid object reference. The object may have recently been deleted. The class parameter gives \
         the type of reference given, and the handle parameter echoes the bad value given.",
        &["class", "handle"],
    ),
    ("UUID_INVALID", "The uuid you supplied was invalid.", &["type", "uuid"]),
    ("RBAC_PERMISSION_DENIED", "RBAC permission denied.", &["permission", "message"]),
    (
        "OPERATION_BLOCKED",
        "You attempted an operation that was explicitly blocked (see the blocked_operations field of the given \
         object).",
        &["ref", "code"],
    ),
    (
        "OTHER_OPERATION_IN_PROGRESS",
        "Another operation involving the object is currently in progress",
        &["class", "object", "operation_type", "operation_ref"],
    ),
    (
        "MESSAGE_METHOD_UNKNOWN",
        "You tried to call a method that does not exist. The method name that you used is echoed.",
        &["method"],
    ),
    ("TASK_CANCELLED", "The request was asynchronously canceled.", &["task"]),
    ("HOST_NOT_LIVE", "This operation cannot be completed as the server is not live.", &[]),
    ("OPERATION_NOT_ALLOWED", "You attempted an operation that was not allowed.", &["reason"]),
    (
        "MAP_DUPLICATE_KEY",
        "You tried to add a key-value pair to a map, but that key is already there.",
        &["type", "param_name", "uuid", "key"],
    ),
    ("VM_HAS_NO_SUSPEND_VDI", "VM cannot be resumed because it has no suspend VDI", &["vm"]),
    ("HOST_STILL_BOOTING", "The host toolstack is still initialising. Please wait.", &[]),
    ("HOST_OFFLINE", "You attempted an operation which involves a host which could not be contacted.", &["host"]),
    (
        "CANNOT_CONTACT_HOST",
        "Cannot forward messages because the server cannot be contacted. The server may be switched off or there may \
         be network connectivity problems.",
        &["host"],
    ),
];

/// The text for an error.
pub fn describe(code: &[u8], params: &[Vec<u8>]) -> Vec<u8> {
    let known = KNOWN.iter().find(|(known, ..)| known.as_bytes() == code);
    let Some((_, words, names)) = known else {
        let params = params.join(b", ".as_slice());
        return [b"Error code: ", code, b"\nError parameters: ", &params, b"\n"].concat();
    };
    let mut text = format!("{words}\n").into_bytes();
    for index in 0..names.len().max(params.len()) {
        let name = names.get(index).map_or("<extra>", |name| *name);
        let value = params.get(index).map_or(b"<unknown>".as_slice(), Vec::as_slice);
        text.extend([name.as_bytes(), b": ", value, b"\n"].concat());
    }
    text
}

/// What `--trace` adds.
pub fn trace(code: &[u8], params: &[Vec<u8>]) -> Vec<u8> {
    let params = params.join(b"; ".as_slice());
    [b"Raised Server_error(", code, b", [ ", &params, b" ])\nBacktrace:\n"].concat()
}
