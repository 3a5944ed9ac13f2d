//! One call, and the check of its outcome.

use bedrock_grpc::pb::{
    StreamInvokeResponse, UpstreamError, content_block_delta_event::Delta,
    inference_service_client::InferenceServiceClient, stream_invoke_response::Event,
};
use prost::Message as _;
use tonic::{Code, Status, Streaming, transport::Channel};

use crate::plan::{Fate, Plan};

/// The outcome of a call.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The code that the client received. `None` if the client disconnected.
    pub(crate) code: Option<Code>,
    /// Whether the client disconnected before the first message. The observations of the other
    /// sides then depend on timing.
    pub(crate) early: bool,
    /// Content deltas that arrived.
    pub(crate) deltas: usize,
    /// Attempts that the gateway reports for this call.
    pub(crate) attempts: usize,
}

/// Makes a call to its end.
///
/// # Errors
/// Returns an error if the outcome is not the planned one; the text names the difference and the
/// call.
pub(crate) async fn make(
    plan: &Plan,
    client: InferenceServiceClient<Channel>,
) -> Result<Outcome, String> {
    let mut reader = Reader::default();
    let read = match plan.fate {
        Fate::CancelEarly { within } => {
            let read = tokio::time::timeout(within, reader.read(plan, client, usize::MAX));
            // Dropping the call cancels it, if it has not ended.
            read.await.unwrap_or(Ok(None))
        }
        Fate::Cancel { after } => reader.read(plan, client, after).await,
        Fate::Whole | Fate::Fault { .. } => reader.read(plan, client, usize::MAX).await,
    };
    read.and_then(|status| reader.judge(plan, status))
        .map_err(|wrong| {
            format!(
                "{wrong}; the plan was {:?}, received {:?} of {:?}",
                plan.fate, reader.text, plan.text
            )
        })
}

/// What was read of an answer so far.
#[derive(Default)]
struct Reader {
    text: String,
    deltas: usize,
    attempts: usize,
    /// The position of the last event in `message_start content_block_start content_block_delta*
    /// content_block_stop message_stop metadata`.
    place: usize,
    messages: usize,
}

const METADATA: usize = 6;

impl Reader {
    /// Reads up to this many messages. Returns `None` if all were read; the client then
    /// disconnects.
    async fn read(
        &mut self,
        plan: &Plan,
        mut client: InferenceServiceClient<Channel>,
        most: usize,
    ) -> Result<Option<Status>, String> {
        let mut stream = match client.stream_invoke(plan.request()).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Ok(Some(status)),
        };
        while self.messages < most {
            let end = match stream.message().await {
                Ok(Some(message)) => {
                    self.take(message)?;
                    continue;
                }
                Ok(None) => Status::ok(""),
                Err(status) => status,
            };
            nothing_follows(&mut stream).await?;
            return Ok(Some(end));
        }
        Ok(None)
    }

    fn take(&mut self, message: StreamInvokeResponse) -> Result<(), String> {
        self.messages += 1;
        let event = message.event.ok_or("received a message without an event")?;
        let place = match event {
            Event::MessageStart(start) => {
                self.attempts = start.attempts.len();
                1
            }
            Event::ContentBlockStart(_) => 2,
            Event::ContentBlockDelta(event) => {
                self.deltas += 1;
                match event.delta {
                    Some(Delta::Text(text)) => self.text += &text,
                    other => return Err(format!("received a delta without text: {other:?}")),
                }
                3
            }
            Event::ContentBlockStop(_) => 4,
            Event::MessageStop(_) => 5,
            Event::Metadata(_) => METADATA,
            // The model is never silent for this long, but a busy machine can be.
            Event::Heartbeat(_) => return Ok(()),
            Event::Unknown(event) => {
                return Err(format!("received an unknown event: {}", event.r#type));
            }
        };
        let follows = place == self.place + 1 || (place == 3 && self.place == 3);
        if !follows {
            return Err(format!(
                "an event of position {place} followed one of position {}",
                self.place
            ));
        }
        self.place = place;
        Ok(())
    }

    /// Compares the outcome with the plan.
    fn judge(&self, plan: &Plan, end: Option<Status>) -> Result<Outcome, String> {
        let code = end.as_ref().map(Status::code);
        if !plan.text.starts_with(&self.text) {
            return Err("events were lost, duplicated or out of order".to_owned());
        }
        let is_whole = self.place == METADATA && self.text == plan.text;
        match (plan.fate, code) {
            (Fate::Whole, Some(Code::Ok)) if is_whole => {}
            (
                Fate::Fault {
                    code: asked,
                    deltas,
                },
                Some(code),
            ) if code == asked => {
                if self.deltas != deltas {
                    return Err(format!("expected {deltas} deltas before the failure"));
                }
            }
            // An answer can be shorter than the number of messages that the client wanted to read.
            (Fate::Cancel { .. }, Some(Code::Ok)) if is_whole => {}
            (Fate::Cancel { .. } | Fate::CancelEarly { .. }, None) => {}
            (_, end) => return Err(format!("the call ended with {end:?}")),
        }
        let attempts = match end {
            Some(status) if status.code() != Code::Ok => attempts(&status)?,
            _ => self.attempts,
        };
        Ok(Outcome {
            code,
            early: matches!(plan.fate, Fate::CancelEarly { .. }),
            deltas: self.deltas,
            attempts,
        })
    }
}

/// A stream has exactly one end.
async fn nothing_follows(stream: &mut Streaming<StreamInvokeResponse>) -> Result<(), String> {
    match stream.message().await {
        Ok(None) => Ok(()),
        more => Err(format!("received {more:?} after the end")),
    }
}

/// Returns the attempts that a failure reports.
fn attempts(status: &Status) -> Result<usize, String> {
    let details = tonic_types::pb::Status::decode(status.details())
        .map_err(|error| format!("the details cannot be decoded: {error}"))?;
    let upstream = details
        .details
        .iter()
        .find(|any| {
            any.type_url
                .ends_with("/bedrock.inference.v1.UpstreamError")
        })
        .ok_or_else(|| format!("no UpstreamError in {status:?}"))?;
    UpstreamError::decode(&*upstream.value)
        .map(|upstream| upstream.attempts.len())
        .map_err(|error| format!("UpstreamError cannot be decoded: {error}"))
}
