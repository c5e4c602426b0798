//! Numbers as OpenMetrics text. All of them are gauges: the textfile collector of `node_exporter` reads an older format, which does not
//! know the type `info`.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Numbers;
use crate::error::Error;
use crate::last_check::LastCheck;
use crate::store;

const NO_LABELS: [(&str, &str); 0] = [];

pub(super) fn of(numbers: Numbers) -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(numbers));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Error::Internal(format!("metrics cannot be written: {error}")))?;
    Ok(text)
}

/// Writes a number with one value for each set of labels.
fn gauge<L: EncodeLabelSet, N: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, N)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    values.into_iter().try_for_each(|(labels, value)| ConstGauge::new(value).encode(family.encode_family(&labels)?))
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let versions = [("version", crate::VERSION.to_owned()), ("schema", store::LATEST_SCHEMA.to_string())];
        gauge(encoder, "vgpu_config_info", "The version of vgpu-config and of its database.", [(versions, 1_u64)])?;
        let vms = self.vms.iter().map(|((pool, priority, state), vms)| {
            ([("pool", pool.as_str()), ("priority", priority.as_str()), ("state", state.as_str())], *vms)
        });
        gauge(encoder, "vgpu_vms", "Registered VMs, and whether they run with their settings.", vms)?;
        let pending = self.pending.map(|pending| (NO_LABELS, pending));
        gauge(
            encoder,
            "vgpu_pending_vms",
            "VMs that run without their settings, or with those that were removed.",
            pending,
        )?;
        let help = "Changes on this host that XAPI was not told of.";
        gauge(encoder, "vgpu_unsynced_changes", help, [(NO_LABELS, self.unsynced)])?;
        let up = u64::from(self.pending.is_some());
        gauge(encoder, "vgpu_xapi_up", "Whether XAPI answers.", [(NO_LABELS, up)])?;
        let limits = self.limits.iter().map(|(pool, max_vms)| ([("pool", pool.as_str())], max_vms.get()));
        gauge(encoder, "vgpu_pool_max_vms", "How many VMs a GPU pool may have, if it has a limit.", limits)?;
        let gpus = self.gpus.iter().map(|(pool, gpus)| ([("pool", pool.as_str())], *gpus));
        gauge(encoder, "vgpu_pool_gpus", "Physical GPUs that serve a GPU pool, on all hosts.", gpus)?;
        self.last_check.as_ref().map_or(Ok(()), |last_check| last_check_of_this_host(encoder, last_check))
    }
}

fn last_check_of_this_host(encoder: &mut DescriptorEncoder<'_>, last_check: &LastCheck) -> fmt::Result {
    let LastCheck { time, failed, warnings } = *last_check;
    for (name, help, value) in [
        ("vgpu_last_check_timestamp_seconds", "When this host was last checked.", time),
        ("vgpu_last_check_failed", "How many checks failed then.", failed),
        ("vgpu_last_check_warnings", "How many checks warned of something then.", warnings),
    ] {
        gauge(encoder, name, help, [(NO_LABELS, value)])?;
    }
    Ok(())
}
