//! The spans of a call: its own, and one for each attempt at Bedrock.

use tokio::time::Instant;

use super::CallReport;
use crate::{
    bedrock::Bedrock,
    error::Reason,
    pb,
    routing::attempts::{self, AttemptLog},
    telemetry::trace::{Attempt, Call, Recorder, Request, TraceContext, Usage},
};

/// What only spans tell of a call. Of most calls nobody asks for it.
#[derive(Default)]
pub(super) struct Followed {
    request: Request,
    made: Option<(Bedrock, AttemptLog)>,
}

impl CallReport {
    /// Where in which trace the call is.
    pub(crate) fn trace(&self) -> &TraceContext {
        self.trace.context()
    }

    /// What the call asks for, with the operator's defaults.
    pub(crate) fn asked(
        &mut self,
        inference: Option<pb::InferenceConfiguration>,
        guardrail: Option<pb::GuardrailStreamConfiguration>,
    ) {
        if self.trace.recorder().is_none() {
            return;
        }
        let inference = inference.unwrap_or_default();
        self.followed.get_or_insert_default().request = Request {
            max_tokens: inference.max_tokens,
            temperature: inference.temperature,
            top_p: inference.top_p,
            stop_sequences: inference.stop_sequences,
            guardrail: guardrail.and_then(|guardrail| guardrail.guardrail_identifier),
        };
    }

    /// The attempts that the call makes, and what knows whom they call.
    pub(crate) fn follow(&mut self, bedrock: &Bedrock, log: &AttemptLog) {
        if self.trace.recorder().is_some() {
            let made = (bedrock.clone(), log.clone());
            self.followed.get_or_insert_default().made = Some(made);
        }
    }

    /// Tells the spans of a call that is over, if it has any.
    pub(super) fn tell_spans(&mut self) {
        let Some(recorder) = self.trace.recorder() else {
            return;
        };
        let followed = self.followed.take().unwrap_or_default();
        let attempts = match &followed.made {
            Some((_, log)) => log.attempts(),
            None => Vec::new(),
        };
        if let (Some((bedrock, _)), Some((last, failed))) = (&followed.made, attempts.split_last())
        {
            for attempt in failed {
                self.tell_attempt(recorder, bedrock, &followed.request, attempt, false);
            }
            self.tell_attempt(recorder, bedrock, &followed.request, last, true);
        }
        let (code, reason) = self.end;
        let call = Call {
            method: self.method,
            target: &self.target.target,
            request_id: &self.request_id,
            code,
            reason: reason.map_or("", Reason::as_str),
            attempts: attempts.len(),
            ended: Instant::now(),
        };
        recorder.call(self.trace.context(), &call);
    }

    /// Only the last attempt can have answered, and shares how the call ended.
    fn tell_attempt(
        &self,
        recorder: &Recorder,
        bedrock: &Bedrock,
        request: &Request,
        attempt: &attempts::Attempt,
        is_last: bool,
    ) {
        let endpoint = bedrock.endpoint(&attempt.route.source_region);
        let failure = attempt
            .failure
            .or_else(|| self.failure_of_answer().filter(|_| is_last));
        let ended = if attempt.failure.is_some() {
            attempt.began + attempt.duration
        } else {
            Instant::now()
        };
        let told = Attempt {
            target: &self.target.target,
            request_id: &self.request_id,
            model_id: &attempt.route.model_id,
            source_region: &attempt.route.source_region,
            server: endpoint
                .as_ref()
                .map(|endpoint| (endpoint.address.as_str(), endpoint.port)),
            request,
            bedrock_request_id: &attempt.request_id,
            began: attempt.began,
            ended,
            first_event: attempt.answered.then_some(attempt.duration),
            stop_reason: &self.stop_reason,
            usage: self.usage_of_answer().filter(|_| attempt.answered),
            failure: failure.map(Reason::as_str),
        };
        let context = self.trace.context().child(attempt.span_id);
        recorder.attempt(&context, &told);
    }

    /// Why an answer was broken off, or did not begin in time. A client that goes away or does not read is no failure of Bedrock's.
    fn failure_of_answer(&self) -> Option<Reason> {
        match self.end {
            (_, Some(Reason::Cancelled | Reason::ClientStalled)) => None,
            (_, reason) => reason,
        }
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
