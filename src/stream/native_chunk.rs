//! Reads one chunk of an answer in a model's own format: the token counts, and the markers of the
//! start and the end of the answer.

use super::native_usage::{CountedMembers, Counts, InvocationMetrics};
use crate::{
    aws::{EndMarker, NativeFormat},
    translate::json::{Reader, Syntax, ValueKind},
};

/// The member that Bedrock adds to the last chunk, in every format.
pub(super) const INVOCATION_METRICS: &str = "amazon-bedrock-invocationMetrics";

/// The formats with an end marker.
const MARKED: [NativeFormat; 5] = [
    NativeFormat::Anthropic,
    NativeFormat::CohereCommand,
    NativeFormat::Llama,
    NativeFormat::Nova,
    NativeFormat::TitanText,
];

/// What the gateway reads from a chunk. All fields are empty if the chunk is not a JSON object.
#[derive(Debug, Default)]
pub(super) struct NativeChunk {
    /// The format, if the chunk begins an answer in a format with a start marker.
    pub(super) begins: Option<NativeFormat>,
    /// The formats whose end marker the chunk has.
    ends: Vec<NativeFormat>,
    /// The token counts in members of the model's format.
    pub(super) counts: Counts,
    /// Bedrock's metrics.
    pub(super) metrics: Option<InvocationMetrics>,
}

impl NativeChunk {
    /// Reads a chunk.
    pub(super) fn read(json: &[u8]) -> Self {
        let read = Reader::new(json).and_then(|mut reader| Self::members(&mut reader));
        read.unwrap_or_default()
    }

    /// Returns whether the chunk completes an answer of this format. If the format is unknown, only
    /// Bedrock's metrics complete an answer.
    pub(super) fn completes(&self, format: Option<NativeFormat>) -> bool {
        self.metrics.is_some() || format.is_some_and(|format| self.ends.contains(&format))
    }

    fn members(reader: &mut Reader<'_>) -> Result<Self, Syntax> {
        let mut chunk = Self::default();
        let mut counted = CountedMembers::default();
        reader.enter_object()?;
        let mut first = true;
        while let Some(name) = reader.member(&mut first)? {
            // A value can be a marker and a count, so each of them reads it from the start.
            let mut value = reader.clone();
            match &*name {
                INVOCATION_METRICS if value.peek()? != ValueKind::Null => {
                    chunk.metrics = Some(InvocationMetrics::read(&mut value)?);
                }
                "type" if is(&mut value, "message_start")? => {
                    chunk.begins = Some(NativeFormat::Anthropic);
                }
                "messageStart" if value.peek()? != ValueKind::Null => {
                    chunk.begins = Some(NativeFormat::Nova);
                }
                _ => {}
            }
            for format in MARKED {
                let marker = format.end_marker();
                if let Some(marker) = marker.filter(|marker| marker.member == name)
                    && marks(&mut reader.clone(), marker)?
                {
                    chunk.ends.push(format);
                }
            }
            counted.member(&name, reader)?;
        }
        chunk.counts = counted.counts();
        Ok(chunk)
    }
}

/// Returns whether a value is that of an end marker.
fn marks(value: &mut Reader<'_>, marker: EndMarker) -> Result<bool, Syntax> {
    match marker.value {
        Some(expected) => is(value, expected),
        None => Ok(value.peek()? != ValueKind::Null),
    }
}

/// Returns whether a value is this text or this literal.
fn is(reader: &mut Reader<'_>, expected: &str) -> Result<bool, Syntax> {
    match reader.peek()? {
        ValueKind::String => Ok(reader.string()? == expected),
        _ => Ok(reader.skip()? == expected),
    }
}
