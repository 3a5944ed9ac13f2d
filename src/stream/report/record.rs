//! Counts an ended call in the totals of its caller, and fills in its usage record.

use tokio::time::Instant;

use super::{CallReport, OK, bill::Cost};
use crate::{
    error::Reason,
    telemetry::{
        metrics::{CallerCall, CallerLabel, CallerTokens},
        usage::{OpenRecord, RecordedTokens, RecordedUnits},
    },
};

/// The methods that stream their output to the client.
const STREAMS: [&str; 2] = ["StreamInvoke", "StreamInvokeModel"];

impl CallReport {
    /// Counts the call in the totals of its caller.
    pub(super) fn count_for_caller(&self, cost: Cost) {
        let Some(caller) = &self.caller else {
            return;
        };
        let metrics = &self.metrics.callers;
        let label = || caller.label().to_owned();
        let (code, _) = self.end;
        let call = CallerCall {
            caller: label(),
            code,
        };
        metrics.calls.get_or_create(&call).inc();
        for (kind, count) in self.tokens {
            if count > 0 {
                let tokens = CallerTokens {
                    caller: label(),
                    kind,
                };
                let counter = metrics.tokens.get_or_create(&tokens);
                counter.inc_by(count.unsigned_abs().into());
            }
        }
        if let Some(nano_usd) = cost.nano_usd {
            let caller = CallerLabel { caller: label() };
            metrics.cost.get_or_create(&caller).inc_by(nano_usd);
        }
    }

    /// Fills in the record, and writes it if the call has ended. If it has not, the client has
    /// cancelled it or a layer decides the outcome (for example, the deadline has expired), and the
    /// record is written later.
    pub(super) fn write_record(&self, record: &OpenRecord, cost: Cost) {
        let used = cost.used;
        let (code, reason) = self.end;
        record.fill(|record| {
            record.target.clone_from(&self.target_name);
            if let Some(route) = &self.route {
                record.model_id.clone_from(&route.model_id);
                record.source_region.clone_from(&route.source_region);
                record.account.clone_from(&route.account);
            }
            record.project = self.project().cloned().unwrap_or_default();
            record.attempts = self.attempts;
            record.stop_reason.clone_from(&self.stop_reason);
            record
                .bedrock_request_id
                .clone_from(&self.bedrock_request_id);
            record.tokens = RecordedTokens {
                input_tokens: used.input,
                output_tokens: used.output,
                cache_read_input_tokens: used.cache_read,
                cache_write_input_tokens: used.cache_write_5m.saturating_add(used.cache_write_1h),
            };
            record.units = RecordedUnits(cost.units.counts().collect());
            record.usage = cost.source;
            record.delivered_output_tokens = match code {
                OK => used.output,
                _ if STREAMS.contains(&self.method) => self.sent_deltas,
                _ => 0,
            };
            record.cost_nano_usd = cost.nano_usd;
            record.first_event_ms = self.first_event.map(|at| self.milliseconds_until(at));
        });
        if self.is_ended {
            record.end(code, reason.map_or("", Reason::as_str));
            record.finish();
        }
    }

    /// Returns the time from the call's arrival, in milliseconds.
    pub(super) fn milliseconds_until(&self, at: Instant) -> u64 {
        (at - self.arrived).as_millis() as u64
    }
}
