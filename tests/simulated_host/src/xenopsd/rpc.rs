//! xenopsd's side of a conversation over message-switch: `VM.stat`, `VM.add`, `VM.exists`.

use super::{Xenopsd, unmarshal_vm};
use crate::fault::Fault;
use crate::wire::json_rpc::{self, Version};
use crate::wire::{Value, json, ocaml_quoted};

/// Why a call has no result.
enum Failure {
    /// An error that xenopsd's interface declares; it goes into the reply.
    Declared(Value),
    /// An exception that nobody caught; its text is the whole reply.
    Exception(String),
}

impl Failure {
    fn internal(message: &str) -> Self {
        let text = format!("Idl.MarshalError({})", ocaml_quoted(message.as_bytes()));
        Self::Declared(Value::List(vec!["Internal_error".into(), text.into()]))
    }
}

/// The method of a request, as far as it can be made out.
pub fn method_of(request: &[u8]) -> String {
    json_rpc::parse_call(request).map(|call| call.method).unwrap_or_default()
}

impl Xenopsd {
    /// Answers a request.
    pub fn answer(&self, request: &[u8]) -> Vec<u8> {
        match self.call(request) {
            // Whatever came in, the reply is in 1.0's envelope and its id is 0.
            Ok(result) => json_rpc::success(Version::V1, &Value::Int(0), result),
            Err(Failure::Declared(error)) => json_rpc::failure(Version::V1, &Value::Int(0), error),
            Err(Failure::Exception(text)) => text.into_bytes(),
        }
    }

    fn call(&self, request: &[u8]) -> Result<Value, Failure> {
        let call = json_rpc::parse_call(request).map_err(Failure::Exception)?;
        let named = |name: &str| match call.params.first() {
            Some(params @ Value::Dict(_)) => params
                .get(name)
                .cloned()
                .ok_or_else(|| Failure::internal(&format!("Expecting named argument '{name}'"))),
            _ => Err(Failure::internal(
                "Marshalling error: Expecting dict as first argument when named parameters exist",
            )),
        };
        match call.method.as_str() {
            "VM.stat" => {
                named("debug_info")?;
                self.stat(&text(&named("id")?)?)
            }
            "VM.exists" => {
                named("debug_info")?;
                Ok(self.metadata(&text(&named("id")?)?).is_some().into())
            }
            "VM.add" => {
                named("debug_info")?;
                let sent = named("vm")?;
                let vm = unmarshal_vm(&sent).map_err(|message| Failure::internal(&message))?;
                let id = vm.get("id").cloned().unwrap_or(Value::Null);
                let sent = json::raw(request, &["params", "0", "vm"]).unwrap_or_default();
                self.add(&text(&id)?, vm, sent.to_vec());
                Ok(id)
            }
            unknown => Err(Failure::Exception(format!("Idl.UnknownMethod({})", ocaml_quoted(unknown.as_bytes())))),
        }
    }

    fn stat(&self, uuid: &str) -> Result<Value, Failure> {
        let metadata = self.metadata(uuid).ok_or_else(|| {
            let what = Value::List(vec!["VM".into(), format!("{uuid}/config").into()]);
            Failure::Declared(Value::List(vec!["Does_not_exist".into(), what]))
        })?;
        Ok(Value::List(vec![metadata, self.state(uuid)]))
    }

    /// `Vm.state`: what the domain is doing. The values are those recorded of xenopsd's simulator backend: on a real host
    /// the memory, the consoles, the times and the agent's words are the domain's own.
    fn state(&self, uuid: &str) -> Value {
        let domain = self.domain(uuid);
        let running = domain.is_some();
        let domids: Vec<i64> = domain.iter().map(|domain| domain.domid).collect();
        Value::dict([
            ("featureset", "".into()),
            ("domain_type", if running { "Domain_HVM" } else { "Domain_undefined" }.into()),
            ("nested_virt", false.into()),
            ("nomigrate", false.into()),
            ("hvm", running.into()),
            ("last_start_time", Value::Float(domain.map_or(0.0, |domain| domain.started))),
            ("pv_drivers_detected", false.into()),
            ("xsdata_state", Value::Dict(Vec::new())),
            ("guest_agent", Value::Dict(Vec::new())),
            ("uncooperative_balloon_driver", false.into()),
            ("rtc_timeoffset", "".into()),
            ("shadow_multiplier_target", Value::Float(1.0)),
            ("vcpu_target", Value::Int(0)),
            ("memory_limit", Value::Int(0)),
            ("memory_actual", Value::Int(0)),
            ("memory_target", Value::Int(0)),
            ("consoles", Value::List(Vec::new())),
            ("domids", domids.into()),
            ("power_state", self.power_state(uuid).into()),
        ])
    }

    /// A VM that reboots is Running throughout, also while it has no domain (`stat'` in `xenops_server.ml`).
    fn power_state(&self, uuid: &str) -> &'static str {
        match self.domain(uuid) {
            _ if self.is_rebooting(uuid) => "Running",
            Some(domain) => domain.power_state(),
            None => "Halted",
        }
    }

    /// Answers wrongly. `None` is no answer at all.
    pub fn misbehave(&self, fault: &Fault, request: &[u8]) -> Option<Vec<u8>> {
        match fault {
            Fault::Absent | Fault::Refuses | Fault::Hangs => None,
            Fault::DropsReply => {
                let mut answer = self.answer(request);
                answer.truncate(answer.len() / 2);
                Some(answer)
            }
            Fault::Garbage => Some(b"\xff\xfe\x00garbage".to_vec()),
            Fault::NotJson => Some(b"Stack_overflow".to_vec()),
            Fault::WrongShape => {
                Some(json_rpc::success(Version::V1, &Value::Int(0), Value::dict([("unexpected", Value::Null)])))
            }
            Fault::Slow(_) | Fault::ForwardedErrors => Some(self.answer(request)),
            Fault::Error(error) => {
                let error = Value::from(error.iter().map(String::as_str).collect::<Vec<_>>());
                Some(json_rpc::failure(Version::V1, &Value::Int(0), error))
            }
        }
    }
}

fn text(value: &Value) -> Result<String, Failure> {
    let expected =
        || Failure::internal(&format!("Expected string, got '{}'", String::from_utf8_lossy(&value.describe())));
    value.text().map(std::borrow::Cow::into_owned).ok_or_else(expected)
}
