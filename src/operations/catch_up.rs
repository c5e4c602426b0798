//! What is read on one host is what all hosts have, where XAPI answers in time.

use std::time::Duration;

use super::Host;
use crate::contact;
use crate::error::Error;
use crate::shared_copy::SharedCopy;
use crate::transaction::take_over;

/// How long a request that only reads waits for XAPI.
const CATCH_UP_TIMEOUT: Duration = Duration::from_millis(300);

/// Takes over what other hosts have written. Where that cannot be had in time, answers when this host last knew it.
pub(super) fn catch_up(host: &Host) -> Option<String> {
    let error = ask(host).err()?;
    log::debug!("other hosts' changes are not known: {error}");
    let time = contact::last(&host.root).map(|seconds| host.store.read().time(seconds));
    Some(time.and_then(Result::ok).unwrap_or_else(|| "unknown".to_owned()))
}

fn ask(host: &Host) -> Result<(), Error> {
    let mut session = host.caller.connect(&host.root, CATCH_UP_TIMEOUT)?;
    let shared = SharedCopy::load(&mut session)?;
    if !shared.news(host.store.read())?.is_empty() {
        take_over(&host.store, &shared, host.vm_locks()?, &[])?;
    }
    contact::note(&host.root);
    Ok(())
}
