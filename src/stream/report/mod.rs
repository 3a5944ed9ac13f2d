//! Reports a call when it has ended: one log line, its counters and its spans.

mod bill;
mod log_detail;
mod metadata;
mod record;
mod spans;

use std::sync::Arc;

use tokio::time::Instant;

use self::spans::{Ended, Followed};
pub(crate) use self::{
    bill::{Bill, Ceiling, RateLimits, billing_of, price_of},
    log_detail::log_detail,
};
use crate::{
    access::Identity,
    bedrock::Bedrock,
    error::{Failure, Reason},
    pb::{self, MetadataEvent, StreamInvokeResponse, stream_invoke_response::Event},
    routing::{
        Route, RouteProjects, Target,
        attempts::{Attempt, AttemptLog},
    },
    telemetry::{
        metrics::{self, Durations, Metrics},
        trace::{CallTrace, TraceContext, Traces, Usage},
        usage::OpenRecord,
    },
};

/// The label of direct targets: callers must not create label values.
const RAW_TARGET: &str = "raw";

/// The codes of calls that ended without a failure of the gateway.
const OK: &str = "OK";
const CANCELLED: &str = "CANCELLED";

/// The facts about a call that are available when it arrives.
pub(crate) struct Arrival {
    pub(crate) request_id: Arc<str>,
    pub(crate) arrived: Instant,
    pub(crate) trace: TraceContext,
    /// The caller, if it is identified.
    pub(crate) caller: Option<Identity>,
    /// The usage record of the call, if its caller is identified.
    pub(crate) record: Option<OpenRecord>,
}
/// The maximum number of unknown event types that are logged per call. Real answers contain at most
/// two.
const MAX_UNKNOWN_EVENTS: usize = 8;
/// The maximum length of an event type in the log, in characters.
const MAX_EVENT_NAME_CHARS: usize = 64;

/// Collects the report of a call. If it is dropped before an end was recorded, it reports that the
/// client cancelled the call.
pub(crate) struct CallReport {
    metrics: Arc<Metrics>,
    trace: CallTrace,
    /// The data that only spans need.
    followed: Option<Box<Followed>>,
    method: &'static str,
    target: metrics::TargetLabel,
    /// The route of the last attempt.
    route: Option<Arc<Route>>,
    attempts: usize,
    /// The projects of the call's routes.
    projects: RouteProjects,
    request_id: Arc<str>,
    bedrock_request_id: String,
    stop_reason: String,
    arrived: Instant,
    first_event: Option<Instant>,
    /// The time of the last delta, and the histogram of gaps between deltas.
    last_token: Option<(Instant, Durations)>,
    tokens: [(&'static str, i32); 4],
    /// Whether Bedrock's `metadata` has been read.
    usage_known: bool,
    /// The types of unknown events that were logged.
    unknown_events: Vec<String>,
    /// The usage and the reservation of the call, if they are counted.
    bill: Option<Box<Bill>>,
    end: (&'static str, Option<Reason>),
    /// Whether the outcome is known. If it is not when the report is dropped, the client has
    /// cancelled the call, or a layer decides its outcome.
    is_ended: bool,
    caller: Option<Identity>,
    record: Option<OpenRecord>,
    /// The name of the target, if the call has a usage record.
    target_name: String,
    /// The number of deltas that were sent to the client.
    sent_deltas: u64,
    /// The gRPC code of a failure, in the spelling of gRPC's documentation.
    code_of: fn(&Failure) -> &'static str,
}

impl CallReport {
    /// Starts the report of a call that has arrived.
    pub(crate) fn start(
        metrics: Arc<Metrics>,
        traces: &Traces,
        method: &'static str,
        arrival: Arrival,
        code_of: fn(&Failure) -> &'static str,
    ) -> Self {
        let Arrival {
            request_id,
            arrived,
            trace,
            caller,
            record,
        } = arrival;
        metrics.open_calls.inc();
        Self {
            metrics,
            trace: traces.call(trace, arrived),
            followed: None,
            method,
            target: metrics::TargetLabel::default(),
            route: None,
            attempts: 0,
            projects: RouteProjects::default(),
            request_id,
            bedrock_request_id: String::new(),
            stop_reason: String::new(),
            arrived,
            first_event: None,
            last_token: None,
            tokens: [
                ("input", 0),
                ("output", 0),
                ("cache_read", 0),
                ("cache_write", 0),
            ],
            usage_known: false,
            unknown_events: Vec::new(),
            bill: None,
            end: (CANCELLED, Some(Reason::Cancelled)),
            is_ended: false,
            caller,
            record,
            target_name: String::new(),
            sent_deltas: 0,
            code_of,
        }
    }

    /// Records the target of the call.
    pub(crate) fn target(&mut self, target: &Target) {
        let name = if target.is_alias {
            &target.name
        } else {
            RAW_TARGET
        };
        self.target.target = name.to_owned();
        if self.record.is_some() {
            self.target_name.clone_from(&target.name);
        }
    }

    /// Sets the projects with which the routes are called.
    pub(crate) fn in_projects(&mut self, projects: RouteProjects) {
        self.projects = projects;
    }

    /// Records the route of the last attempt.
    pub(crate) fn route(&mut self, route: &Arc<Route>) {
        if let Some(bill) = &mut self.bill {
            bill.route(route);
        }
        self.route = Some(Arc::clone(route));
    }

    /// Returns the project of the last attempt's route. `None` for the default project.
    fn project(&self) -> Option<&Arc<str>> {
        self.projects.get(self.route.as_ref()?)
    }

    /// Sets the bill of the call, which counts its usage and holds its reservation.
    pub(crate) fn bill(&mut self, bill: Bill) {
        self.bill = Some(Box::new(bill));
    }

    /// Returns the state of the call's limits, if it has any.
    pub(crate) fn rate_limits(&self) -> Option<RateLimits> {
        self.bill.as_ref()?.rate_limits()
    }

    /// Records all attempts of the call. If none was answered, `unanswered` is the failure of the
    /// call, which is used for the last attempt if that has no failure yet.
    pub(crate) fn attempts(&mut self, attempts: &[Attempt], unanswered: Option<Reason>) {
        self.attempts = attempts.len();
        for (index, attempt) in attempts.iter().enumerate() {
            let is_last = index + 1 == attempts.len();
            let reason = attempt.failure.or(unanswered.filter(|_| is_last));
            self.metrics
                .attempts
                .get_or_create(&metrics::AttemptLabels {
                    target: self.target.clone(),
                    route: attempt.route.labels(),
                    reason: reason.map_or("", Reason::as_str),
                })
                .inc();
        }
    }

    /// Records Bedrock's request ID.
    pub(crate) fn bedrock_request_id(&mut self, id: &str) {
        id.clone_into(&mut self.bedrock_request_id);
    }

    /// Records that a message with this number of deltas is sent to the client.
    pub(crate) fn sent(&mut self, deltas: u64) {
        self.sent_deltas += deltas;
    }

    /// Records that the first event is sent to the client.
    pub(crate) fn first_event(&mut self) {
        let now = Instant::now();
        self.first_event = Some(now);
        self.metrics
            .time_to_first_event
            .get_or_create(&self.target)
            .observe(now - self.arrived);
    }

    /// Records that a delta arrived at this time.
    pub(crate) fn token(&mut self, at: Instant) {
        match &mut self.last_token {
            Some((last, gaps)) => gaps.observe(at - std::mem::replace(last, at)),
            none => {
                let gaps = &self.metrics.inter_token_gap;
                *none = Some((at, gaps.get_or_create_owned(&self.target)));
                self.metrics
                    .time_to_first_token
                    .get_or_create(&self.target)
                    .observe(at - self.arrived);
            }
        }
    }

    /// Records an event from Bedrock.
    pub(crate) fn event(&mut self, response: &mut StreamInvokeResponse) {
        if let Some(bill) = &mut self.bill {
            bill.event(response);
        }
        match &response.event {
            Some(Event::MessageStop(stop)) => {
                self.stop_reason.clone_from(&stop.stop_reason_name);
            }
            Some(Event::Metadata(metadata)) => {
                self.usage_known = true;
                self.usage(metadata);
            }
            Some(Event::Unknown(event)) => {
                self.unknown(event);
            }
            _ => {}
        }
        if !response.raw_members.is_empty() {
            // Empty lists and maps appear in `raw_members`, because the API's fields cannot show
            // that they were present. They are not unknown members.
            let unknown = response
                .raw_members
                .iter()
                .filter(|member| !matches!(&*member.json, "[]" | "{}"));
            if tracing::enabled!(tracing::Level::DEBUG) {
                let pointers: Vec<_> = unknown
                    .clone()
                    .map(|member| member.pointer.as_str())
                    .collect();
                tracing::debug!(?pointers, "forwarded unknown members of an event");
            }
            self.count_unknown("member", unknown.count() as u64);
        }
    }

    fn usage(&mut self, event: &MetadataEvent) {
        let Some(usage) = event.metadata.as_ref().and_then(|m| m.usage.as_ref()) else {
            return;
        };
        let counts = [
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_input_tokens,
            usage.cache_write_input_tokens,
        ];
        for ((_, total), count) in self.tokens.iter_mut().zip(counts) {
            *total = count.unwrap_or_default().max(0);
        }
    }

    /// Logs an unknown event once per call and type, because an answer may contain many of them.
    fn warn_of_unknown(&mut self, event: &str) {
        let event: String = event.chars().take(MAX_EVENT_NAME_CHARS).collect();
        if self.unknown_events.len() == MAX_UNKNOWN_EVENTS || self.unknown_events.contains(&event) {
            return;
        }
        tracing::warn!(
            event,
            request_id = %self.request_id,
            trace_id = %self.trace.context().trace_id,
            "forwarded an unknown event of Bedrock; further events of this type in this call are only counted"
        );
        self.unknown_events.push(event);
    }

    fn count_unknown(&self, kind: &'static str, by: u64) {
        self.metrics
            .unknown
            .get_or_create(&metrics::Unknown { kind })
            .inc_by(by);
    }

    /// Records that the call ended successfully.
    pub(crate) fn ok(&mut self) {
        self.end = (OK, None);
        self.is_ended = true;
    }

    /// Returns whether Bedrock's `metadata` has been read.
    pub(crate) fn is_usage_known(&self) -> bool {
        self.usage_known
    }

    /// Records that the answer is complete, but without `metadata`: because of this failure, or
    /// because Bedrock's stream has ended.
    pub(crate) fn usage_missing(&mut self, reason: Option<Reason>) {
        let reason = reason.map_or("", Reason::as_str);
        tracing::warn!(reason, request_id = %self.request_id, bedrock_request_id = %self.bedrock_request_id, "the answer is complete, but Bedrock sent no usage");
        self.metrics
            .usage_missing
            .get_or_create(&metrics::UsageMissing {
                target: self.target.clone(),
                reason,
            })
            .inc();
    }

    /// Records that the call failed.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        self.end = ((self.code_of)(failure), Some(failure.reason));
        self.is_ended = true;
    }

    /// Returns the trace context of the call.
    pub(crate) fn trace(&self) -> &TraceContext {
        self.trace.context()
    }

    /// Records the parameters of the request, after the operator's defaults are applied.
    pub(crate) fn asked(
        &mut self,
        inference: Option<pb::InferenceConfiguration>,
        guardrail: Option<pb::GuardrailStreamConfiguration>,
    ) {
        if self.trace.recorder().is_some() {
            let followed = self.followed.get_or_insert_default();
            followed.asked(inference, guardrail);
        }
    }

    /// Records the attempts of the call, and the client that can return the addresses of their
    /// endpoints.
    pub(crate) fn follow(&mut self, bedrock: &Bedrock, log: &AttemptLog) {
        if self.trace.recorder().is_some() {
            self.followed.get_or_insert_default().follow(bedrock, log);
        }
    }

    /// Creates the spans of a call that has ended, if it is sampled.
    fn record_spans(&self) {
        let Some(recorder) = self.trace.recorder() else {
            return;
        };
        let (code, reason) = self.end;
        let ended = Ended {
            trace: self.trace.context(),
            method: self.method,
            target: &self.target.target,
            request_id: &self.request_id,
            caller: self.caller_name(),
            code,
            reason,
            stop_reason: &self.stop_reason,
            usage: self.usage_of_answer(),
        };
        match &self.followed {
            Some(followed) => followed.record(recorder, &ended),
            None => Followed::default().record(recorder, &ended),
        }
    }

    /// Returns the name of the caller. Empty if it is not identified.
    fn caller_name(&self) -> &str {
        self.caller.as_ref().map_or("", |caller| caller.name())
    }

    fn usage_of_answer(&self) -> Option<Usage> {
        let [(_, input), (_, output), (_, cache_read), (_, cache_write)] = self.tokens;
        let is_known = self.tokens.iter().any(|(_, count)| *count > 0);
        is_known.then_some(Usage {
            input,
            output,
            cache_read,
            cache_write,
        })
    }
}

impl Drop for CallReport {
    fn drop(&mut self) {
        let (code, reason) = self.end;
        // The reservation is settled first, so that the limits are up to date when the client sees
        // the end of the call.
        let cost = self
            .bill
            .take()
            .map(|bill| bill.settle(reason, self.attempts));
        let cost = cost.unwrap_or_default();
        if let Some(record) = self.record.take() {
            self.write_record(&record, cost);
        }
        self.count_for_caller(cost);
        let reason = reason.map_or("", Reason::as_str);
        let route = self.route.as_deref();
        self.metrics.open_calls.dec();
        self.metrics
            .calls
            .get_or_create(&metrics::CallLabels {
                method: self.method,
                target: self.target.clone(),
                route: route.map(Route::labels).unwrap_or_default(),
                code,
                reason,
            })
            .inc();
        self.metrics
            .call_duration
            .get_or_create(&self.target)
            .observe(self.arrived.elapsed());
        if code == CANCELLED {
            let usage = if self.usage_known { "known" } else { "unknown" };
            self.metrics
                .cancelled
                .get_or_create(&metrics::Cancelled { usage })
                .inc();
        }
        for (kind, count) in self.tokens {
            if count > 0 {
                self.metrics
                    .tokens
                    .get_or_create(&metrics::Tokens {
                        target: self.target.clone(),
                        kind,
                    })
                    .inc_by(count.unsigned_abs().into());
            }
        }
        let first_event_ms = self.first_event.map(|at| self.milliseconds_until(at));
        let [(_, input), (_, output), (_, cache_read), (_, cache_write)] = self.tokens;
        let trace = self.trace.context();
        tracing::info!(
            method = self.method,
            target_name = %self.target.target,
            model_id = %route.map_or("", |route| &route.model_id),
            source_region = %route.map_or("", |route| &route.source_region),
            account = %route.map_or("", |route| &route.account),
            project = %self.project().map_or("", |project| project),
            caller = self.caller_name(),
            attempts = self.attempts,
            request_id = %self.request_id,
            trace_id = %trace.trace_id,
            span_id = %trace.span_id,
            bedrock_request_id = %self.bedrock_request_id,
            code,
            reason,
            stop_reason = %self.stop_reason,
            duration_ms = self.milliseconds_until(Instant::now()),
            first_event_ms,
            input_tokens = input,
            output_tokens = output,
            cache_read_tokens = cache_read,
            cache_write_tokens = cache_write,
            "call ended"
        );
        self.record_spans();
    }
}
