//! One call, and whether what came of it is right.

use bedrock_grpc::pb::{
    StreamInvokeResponse, UpstreamError, content_block_delta_event::Delta,
    inference_service_client::InferenceServiceClient, stream_invoke_response::Event,
};
use prost::Message as _;
use tonic::{Code, Status, Streaming, transport::Channel};

use crate::plan::{Fate, Plan};

/// What came of a call.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The code that the client saw. `None` if it left.
    pub(crate) code: Option<Code>,
    /// The client left before anything came: what the other sides know of the call is a matter of chance.
    pub(crate) early: bool,
    /// Content deltas that came.
    pub(crate) deltas: usize,
    /// Calls of Bedrock's that the gateway says it made for this one.
    pub(crate) attempts: usize,
}

/// Makes a call to its end.
///
/// # Errors
/// What came is not what had to come; the text says what and of which call.
pub(crate) async fn make(
    plan: &Plan,
    client: InferenceServiceClient<Channel>,
) -> Result<Outcome, String> {
    let mut reader = Reader::default();
    let read = match plan.fate {
        Fate::CancelEarly { within } => {
            let read = tokio::time::timeout(within, reader.read(plan, client, usize::MAX));
            // Dropped where it stands, if it has not ended.
            read.await.unwrap_or(Ok(None))
        }
        Fate::Cancel { after } => reader.read(plan, client, after).await,
        Fate::Whole | Fate::Fault { .. } => reader.read(plan, client, usize::MAX).await,
    };
    read.and_then(|status| reader.judge(plan, status))
        .map_err(|wrong| {
            format!(
                "{wrong}; the plan was {:?}, what came was {:?} of {:?}",
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
    /// The last event's place in `message_start content_block_start content_block_delta* content_block_stop message_stop metadata`.
    place: usize,
    messages: usize,
}

const METADATA: usize = 6;

impl Reader {
    /// Reads up to so many messages. `None`: it has them, and leaves.
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
        let event = message.event.ok_or("an event that is none came")?;
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
                    other => return Err(format!("a delta without text came: {other:?}")),
                }
                3
            }
            Event::ContentBlockStop(_) => 4,
            Event::MessageStop(_) => 5,
            Event::Metadata(_) => METADATA,
            // The model is never silent for so long, but a machine that is busy with something else may be.
            Event::Heartbeat(_) => return Ok(()),
            Event::Unknown(event) => {
                return Err(format!("an unknown event came: {}", event.r#type));
            }
        };
        let follows = place == self.place + 1 || (place == 3 && self.place == 3);
        if !follows {
            return Err(format!(
                "an event of place {place} followed one of place {}",
                self.place
            ));
        }
        self.place = place;
        Ok(())
    }

    /// Holds what came against the plan.
    fn judge(&self, plan: &Plan, end: Option<Status>) -> Result<Outcome, String> {
        let code = end.as_ref().map(Status::code);
        if !plan.text.starts_with(&self.text) {
            return Err("events were lost, doubled or out of order".to_owned());
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
                    return Err(format!("{deltas} deltas had to come before the failure"));
                }
            }
            // An answer can be shorter than the client's patience.
            (Fate::Cancel { .. }, Some(Code::Ok)) if is_whole => {}
            (Fate::Cancel { .. } | Fate::CancelEarly { .. }, None) => {}
            (_, end) => return Err(format!("it ended with {end:?}")),
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

/// A stream has one end.
async fn nothing_follows(stream: &mut Streaming<StreamInvokeResponse>) -> Result<(), String> {
    match stream.message().await {
        Ok(None) => Ok(()),
        more => Err(format!("after the end came {more:?}")),
    }
}

/// The attempts that a failure tells of.
fn attempts(status: &Status) -> Result<usize, String> {
    let details = tonic_types::pb::Status::decode(status.details())
        .map_err(|error| format!("the details can't be read: {error}"))?;
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
        .map_err(|error| format!("UpstreamError can't be read: {error}"))
}
