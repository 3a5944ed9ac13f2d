//! What a call asks, and what has to come of it.

use std::time::Duration;

use bedrock_grpc::pb::{
    ContentBlock, ConverseInput, Message, Role, StreamInvokeRequest, content_block::Content,
};
use tonic::Code;

const MODEL: &str = "us.amazon.nova-lite-v1:0";
/// Deltas before a fault in mid-stream. Every answer has more.
const DELTAS: usize = 3;
/// How an early cancel's time compares with the emulator's time to the first token, 100 ms.
const EARLY: Duration = Duration::from_millis(50);

/// Every way to fail that ends in a status, with that status and the deltas that come before.
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

/// What the client does to a call, or the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing: it ends well.
    Whole,
    /// The client leaves after so many messages.
    Cancel { after: usize },
    /// The client leaves before there is a first message.
    CancelEarly { within: Duration },
    /// It fails with this code after so many deltas.
    Fault { code: Code, deltas: usize },
}

/// A call to be made.
pub(crate) struct Plan {
    pub(crate) fate: Fate,
    /// The whole answer. No two calls have the same one, so that a token of another call's is noticed.
    pub(crate) text: String,
    target: String,
    question: String,
}

impl Plan {
    /// The next call. `number` counts the calls.
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
            heartbeat_interval: None,
        }
    }
}
