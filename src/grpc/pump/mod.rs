//! The engine of a call: Bedrock's frames in, messages of the stream out.
//!
//! ```text
//! Waiting ──head──> Streaming ──metadata or end──> Ended (OK)
//!    └───────────────────┴──failure, alarm, drain──> Ended (one error status)
//! ```
//!
//! The gRPC body polls the pump, the pump polls Bedrock's body: no task and no channel lies between a token and its client, and
//! who does not read makes nobody read. Dropping the pump closes the call to Bedrock.

mod clocks;
mod grammar;
mod interrupt;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::{
    clocks::{Alarm, Clocks},
    grammar::Grammar,
    interrupt::Interrupt,
};
use super::{report::CallReport, status};
use crate::{
    bedrock::{Answer, Bedrock, Frames},
    error::{Failure, Phase, Reason, Upstream},
    pb::{self, StreamInvokeResponse, stream_invoke_response::Event},
    routing::Route,
    translate,
};
pub(crate) use clocks::Times;

/// How long Bedrock may take over the end of a response that is complete, so that its connection can be used again.
const TAIL: Duration = Duration::from_secs(1);

/// What a call needs.
pub(crate) struct Call {
    pub(crate) bedrock: Bedrock,
    pub(crate) route: Route,
    /// The Converse request body.
    pub(crate) body: Bytes,
    pub(crate) times: Times,
    pub(crate) request_id: Arc<str>,
    pub(crate) report: CallReport,
    /// Cancelled when the gateway can't wait for its streams any longer.
    pub(crate) cut: CancellationToken,
}

type Waiting = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

enum Stage {
    /// For Bedrock's response head.
    Waiting(Waiting),
    /// Events come.
    Streaming(Frames),
    /// Everything was said.
    Ended,
}

/// A call in progress, as the stream of its messages.
pub(crate) struct Pump {
    stage: Stage,
    clocks: Clocks,
    cut: Interrupt,
    grammar: Grammar,
    /// Messages that are ready, in order.
    queue: VecDeque<StreamInvokeResponse>,
    /// Whether the client was given an event of Bedrock's.
    forwarded: bool,
    begun: Instant,
    route: Route,
    request_id: Arc<str>,
    bedrock_request_id: String,
    report: CallReport,
}

impl Pump {
    /// Begins a call.
    pub(crate) fn start(call: Call) -> Self {
        let Call {
            bedrock,
            route,
            body,
            times,
            request_id,
            report,
            cut,
        } = call;
        let (region, model_id) = (route.source_region.clone(), route.model_id.clone());
        let waiting = async move { bedrock.converse_stream(&region, &model_id, body).await };
        Self {
            stage: Stage::Waiting(Box::pin(waiting)),
            clocks: Clocks::start(times),
            cut: Interrupt::new(cut),
            grammar: Grammar::default(),
            queue: VecDeque::new(),
            forwarded: false,
            begun: Instant::now(),
            route,
            request_id,
            bedrock_request_id: String::new(),
            report,
        }
    }

    /// Waits until there is something to send, which is then the stream's first item: so an error before Bedrock's first event can go out
    /// as the whole response, which clients' retry policies need.
    ///
    /// # Errors
    /// The call failed before anything was sent.
    pub(crate) async fn commit(mut self, headers_after: Duration) -> Result<Committed, Status> {
        let first = tokio::time::timeout(
            headers_after,
            std::future::poll_fn(|cx| Pin::new(&mut self).poll_next(cx)),
        )
        .await;
        match first {
            Ok(Some(Err(status))) => Err(status),
            Ok(Some(Ok(message))) => Ok(Committed {
                first: Some(message),
                pump: self,
            }),
            Ok(None) | Err(_) => Ok(Committed {
                first: None,
                pump: self,
            }),
        }
    }

    /// Moves on by one step: to a message in the queue, to another stage, or to a failure. `Pending` with nothing to do.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match &mut self.stage {
            Stage::Waiting(answer) => match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(answer)) => {
                    self.bedrock_request_id = answer.request_id;
                    self.report.bedrock_request_id(&self.bedrock_request_id);
                    self.stage = Stage::Streaming(answer.frames);
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
                Poll::Pending => Poll::Pending,
            },
            Stage::Streaming(frames) => match frames.poll_next(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.clocks.heard();
                    let event = translate::event::from_bedrock(&frame.event_type, &frame.payload)
                        .map_err(|error| {
                        Failure::new(
                            Reason::UpstreamCorrupt,
                            format!(
                                "Bedrock's {} event can't be read: {error}",
                                &*frame.event_type
                            ),
                        )
                        .in_phase(Phase::BeforeFirstEvent)
                        .with_upstream(Upstream::default())
                    })?;
                    self.accept(event);
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Some(Err(failure))) => Poll::Ready(Err(failure)),
                Poll::Ready(None) => Poll::Ready(self.end()),
                Poll::Pending => Poll::Pending,
            },
            Stage::Ended => Poll::Pending,
        }
    }

    fn accept(&mut self, mut response: StreamInvokeResponse) {
        self.report.unknown(&response);
        match &mut response.event {
            Some(Event::Metadata(metadata)) => self.report.metadata(metadata),
            Some(Event::MessageStop(stop)) => self.report.stop_reason(&stop.stop_reason_name),
            _ => {}
        }
        self.grammar.accept(response, &mut self.queue);
        if self.forwarded {
            return;
        }
        let attempt = self.attempt(None);
        if let Some(first) = self.queue.front_mut()
            && let Some(Event::MessageStart(start)) = &mut first.event
        {
            start.target = Some(resolved(&self.route));
            start.request_id = self.request_id.as_ref().to_owned();
            start
                .bedrock_request_id
                .clone_from(&self.bedrock_request_id);
            start.attempts = vec![attempt];
        }
    }

    /// Bedrock's stream has ended on the boundary of a frame, which by itself says nothing.
    fn end(&mut self) -> Result<(), Failure> {
        if !self.grammar.stopped() {
            return Err(Failure::new(
                Reason::UpstreamTruncated,
                "Bedrock's stream ended before the answer did (no messageStop)",
            )
            .in_phase(Phase::BeforeFirstEvent)
            .with_upstream(Upstream::default()));
        }
        if !self.grammar.described() {
            let metadata = grammar::message(Event::Metadata(pb::MetadataEvent {
                metadata: Some(pb::ConverseStreamMetadata::default()),
            }));
            self.grammar.accept(metadata, &mut self.queue);
        }
        self.stage = Stage::Ended;
        self.report.ok();
        Ok(())
    }

    /// After `metadata` nothing more can come: the client need not wait for the end of Bedrock's response.
    fn finish_behind_metadata(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        self.report.ok();
        if let Stage::Streaming(mut frames) = stage {
            tokio::spawn(async move {
                // Only for the connection's sake: whatever it brings, the answer was whole.
                let _tail = tokio::time::timeout(TAIL, async {
                    while let Some(Ok(_)) = frames.next().await {}
                })
                .await;
            });
        }
    }

    fn fail(&mut self, mut failure: Failure) -> Status {
        self.stage = Stage::Ended;
        if self.forwarded {
            failure.phase = Phase::MidStream;
        }
        if let Some(upstream) = &mut failure.upstream {
            // In-stream errors carry no request ID.
            if upstream.request_id.is_empty() {
                upstream.request_id.clone_from(&self.bedrock_request_id);
            } else if self.bedrock_request_id.is_empty() {
                self.report.bedrock_request_id(&upstream.request_id);
            }
        }
        let attempts = [self.attempt(Some(&failure))];
        self.report.failed(&failure);
        status::status(&failure, &attempts, &self.request_id)
    }

    fn attempt(&self, failure: Option<&Failure>) -> pb::Attempt {
        let upstream_id = failure
            .and_then(|failure| failure.upstream.as_ref())
            .map(|upstream| upstream.request_id.clone());
        pb::Attempt {
            model_id: self.route.model_id.clone(),
            source_region: self.route.source_region.clone(),
            failure_reason: failure
                .map_or_else(String::new, |failure| failure.reason.as_str().to_owned()),
            bedrock_request_id: upstream_id.unwrap_or_else(|| self.bedrock_request_id.clone()),
            duration: prost_types::Duration::try_from(self.begun.elapsed()).ok(),
        }
    }

    /// What an alarm makes of the call: a heartbeat, or its end.
    fn ring(&mut self, alarm: Alarm) -> Result<StreamInvokeResponse, Failure> {
        match alarm {
            Alarm::Heartbeat { silent } => {
                Ok(grammar::message(Event::Heartbeat(pb::HeartbeatEvent {
                    silent: prost_types::Duration::try_from(silent).ok(),
                })))
            }
            Alarm::Silence { limit } => Err(Failure::new(
                Reason::UpstreamIdle,
                format!("Bedrock sent nothing for {} s", limit.as_secs_f32()),
            )
            .in_phase(Phase::BeforeFirstEvent)
            .with_upstream(Upstream::default())),
            Alarm::Deadline => Err(Failure::new(
                Reason::DeadlineExceeded,
                "the call's deadline is over; the call to Bedrock was closed",
            )
            .in_phase(Phase::BeforeFirstEvent)),
        }
    }
}

impl Stream for Pump {
    type Item = Result<StreamInvokeResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(message) = this.queue.pop_front() {
                if !this.forwarded {
                    this.forwarded = true;
                    this.report.first_event();
                }
                return Poll::Ready(Some(Ok(message)));
            }
            if matches!(this.stage, Stage::Ended) {
                return Poll::Ready(None);
            }
            let failure = match this.step(cx) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(failure)) => failure,
                Poll::Pending if this.grammar.described() => {
                    this.finish_behind_metadata();
                    continue;
                }
                Poll::Pending => {
                    if this.cut.poll(cx).is_ready() {
                        Failure::new(
                            Reason::Draining,
                            "this replica stops and can't wait any longer; try again",
                        )
                        .in_phase(Phase::BeforeFirstEvent)
                    } else {
                        match this.clocks.poll(cx) {
                            Poll::Pending => return Poll::Pending,
                            Poll::Ready(alarm) => match this.ring(alarm) {
                                Ok(heartbeat) => return Poll::Ready(Some(Ok(heartbeat))),
                                Err(failure) => failure,
                            },
                        }
                    }
                }
            };
            return Poll::Ready(Some(Err(this.fail(failure))));
        }
    }
}

/// A call whose first message is ready, or whose headers can't wait for it.
pub(crate) struct Committed {
    first: Option<StreamInvokeResponse>,
    pump: Pump,
}

impl Stream for Committed {
    type Item = Result<StreamInvokeResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        match this.first.take() {
            Some(message) => Poll::Ready(Some(Ok(message))),
            None => Pin::new(&mut this.pump).poll_next(cx),
        }
    }
}

/// What a route is, for clients.
fn resolved(route: &Route) -> pb::ResolvedTarget {
    pb::ResolvedTarget {
        name: route.name.clone(),
        model_id: route.model_id.clone(),
        kind: super::targets::kind(route.kind).into(),
        source_region: route.source_region.clone(),
        destination_regions: Vec::new(),
    }
}
