//! What is read on one host is what all hosts have, where XAPI answers in time.

use std::time::Duration;

use super::Host;
use crate::contact;
use crate::entry::News;
use crate::error::Error;
use crate::shared_copy::SharedCopy;
use crate::transaction::take_over;
use crate::xenapi::Session;

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
        let news = take_over(&host.store, &shared, host.vm_locks()?, &[])?;
        note_names(host, &mut session, &news)?;
    }
    contact::note(&host.root);
    Ok(())
}

/// The shared copy carries no names. As many as XAPI tells in time are noted, for they are for people only.
fn note_names(host: &Host, session: &mut Session, news: &News) -> Result<(), Error> {
    let registered = news.entries.iter().filter(|(_, entry)| entry.settings.is_some());
    let vms = registered.map_while(|(uuid, _)| Some((*uuid, session.look_up(uuid).ok()?)));
    super::sync::note_names(host, &vms.collect())
}
