//! Splits bytes into messages, to count them.

use super::watch::Call;

/// How messages are framed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Framing {
    /// gRPC: a flag, the length, the message.
    Grpc,
    /// AWS's event stream.
    EventStream,
}

/// The tag of `StreamInvokeResponse.content_block_delta`, which comes first in its message.
const GRPC_DELTA: u8 = 3 << 3 | 2;
/// The position of the value of `:event-type`, the emulator's first header, in a frame.
const EVENT_TYPE: usize = 12 + 1 + ":event-type".len() + 3;
const EVENT_DELTA: &[u8] = b"contentBlockDelta";

impl Framing {
    /// Returns the length of the message at the start of these bytes, if there are enough bytes.
    fn length(self, bytes: &[u8]) -> Option<usize> {
        let length = |at: usize| {
            let field = bytes.get(at..at + 4)?;
            Some(field.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)))
        };
        match self {
            Self::Grpc => Some(length(1)? + 5),
            Self::EventStream => length(0),
        }
    }

    fn is_token(self, message: &[u8]) -> bool {
        match self {
            Self::Grpc => message.get(5) == Some(&GRPC_DELTA),
            Self::EventStream => message
                .get(EVENT_TYPE..)
                .is_some_and(|rest| rest.starts_with(EVENT_DELTA)),
        }
    }
}

/// Finds the messages in chunks of bytes, wherever the chunks are split.
pub(super) struct Messages {
    framing: Framing,
    partial: Vec<u8>,
}

impl Messages {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            partial: Vec::new(),
        }
    }

    /// Reports to `call` every message that this chunk completes.
    pub(super) fn push(&mut self, chunk: &[u8], call: &mut Call<'_>) {
        if self.partial.is_empty() {
            let rest = self.whole(chunk, call);
            self.partial.extend_from_slice(&chunk[chunk.len() - rest..]);
            return;
        }
        self.partial.extend_from_slice(chunk);
        let partial = std::mem::take(&mut self.partial);
        let rest = self.whole(&partial, call);
        self.partial
            .extend_from_slice(&partial[partial.len() - rest..]);
    }

    /// Returns the number of bytes after the last complete message.
    fn whole(&self, mut bytes: &[u8], call: &mut Call<'_>) -> usize {
        while let Some(length) = self.framing.length(bytes)
            && let Some((message, rest)) = bytes.split_at_checked(length)
        {
            call.message(self.framing.is_token(message));
            bytes = rest;
        }
        bytes.len()
    }
}
