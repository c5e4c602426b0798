//! An error on another host, as a message here.

pub(super) fn message(host: &str, code: &str, params: &[String]) -> String {
    match (code, params) {
        ("XENAPI_MISSING_PLUGIN", _) => format!("vgpu-config is not installed on host {host}: install it there"),
        ("UNKNOWN_XENAPI_PLUGIN_FUNCTION", _) => {
            format!("the vgpu-config on host {host} is too old for this: update it there")
        }
        ("HOST_OFFLINE" | "CANNOT_CONTACT_HOST", _) => {
            format!("XAPI cannot reach host {host}: is it up? (xe host-list)")
        }
        ("VGPU_INVALID_PARAM", [name, value, expected]) => {
            format!("on host {host}: {name}: '{value}' is not valid: expected {expected}")
        }
        (_, [message]) if code.starts_with("VGPU_") => format!("on host {host}: {message}"),
        _ => format!("host {host} refused: {code} ({})", params.join(", ")),
    }
}
