//! What a call requests, and its expected outcome.

use std::time::Duration;

use bedrock_grpc::pb::{
    ContentBlock, ConverseInput, Message, Role, StreamInvokeRequest, content_block::Content,
};
use tonic::Code;

const MODEL: &str = "us.amazon.nova-lite-v1:0";
/// Deltas before a fault in the stream. Every answer has more.
const DELTAS: usize = 3;
/// The time of an early cancel, compared with the emulator's time to the first token, 100 ms.
const EARLY: Duration = Duration::from_millis(50);

/// Every kind of failure that ends in a status, with that status and the number of deltas before
/// it.
const FAULTS: [(&str, Code, usize); 12] = [
    ("throttling", Code::ResourceExhausted, 0),
    ("service-unavailable", Code::Unavailable, 0),
    ("validation", Code::InvalidArgument, 0),
    ("access-denied", Code::PermissionDenied, 0),
    ("model-error", Code::Unavailable, 0),
    ("stream-throttling-after-0", Code::ResourceExhausted, 0),
    ("stream-throttling-after-3", Code::ResourceExhausted, DELTAS),
    ("stream-internal-after-3", Code::Internal, DELTAS),
    (
        "end-without-message-stop-after-3",
        Code::Unavailable,
        DELTAS,
    ),
    ("bad-crc-after-3", Code::DataLoss, DELTAS),
    ("cut-in-frame-after-3", Code::Unavailable, DELTAS),
    ("reset-after-3", Code::Unavailable, DELTAS),
];

/// What the client or the emulator does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The call succeeds.
    Whole,
    /// The client disconnects after this many messages.
    Cancel { after: usize },
    /// The client disconnects before the first message.
    CancelEarly { within: Duration },
    /// The call fails with this code after this many deltas.
    Fault { code: Code, deltas: usize },
}

/// A call to be made.
pub(crate) struct Plan {
    pub(crate) fate: Fate,
    /// The complete answer. All calls have different answers, so that a token of another call is
    /// noticed.
    pub(crate) text: String,
    target: String,
    question: String,
}

impl Plan {
    /// Plans the next call. `number` counts the calls.
    pub(crate) fn next(number: u64, random: &mut fastrand::Rng) -> Self {
        let first = 1_000 + 32 * number;
        let last = first + random.u64(5..25);
        let numbers: Vec<String> = (first..=last).map(|n| n.to_string()).collect();
        let (fate, target) = match random.u32(0..100) {
            0..4 => (
                Fate::Cancel {
                    after: random.usize(1..12),
                },
                MODEL.to_owned(),
            ),
            4 => (
                Fate::CancelEarly {
                    within: EARLY.mul_f64(random.f64()),
                },
                MODEL.to_owned(),
            ),
            5..10 => {
                let (name, code, deltas) = FAULTS[random.usize(..FAULTS.len())];
                (
                    Fate::Fault { code, deltas },
                    format!("{MODEL}.fault-{name}"),
                )
            }
            _ => (Fate::Whole, MODEL.to_owned()),
        };
        Self {
            fate,
            text: format!("{}.", numbers.join(", ")),
            target,
            question: format!("Count from {first} to {last}"),
        }
    }

    pub(crate) fn request(&self) -> StreamInvokeRequest {
        StreamInvokeRequest {
            target: self.target.clone(),
            input: Some(ConverseInput {
                messages: vec![Message {
                    role: Role::User.into(),
                    content: vec![ContentBlock {
                        content: Some(Content::Text(self.question.clone())),
                    }],
                }],
                ..ConverseInput::default()
            }),
            ..StreamInvokeRequest::default()
        }
    }
}
