//! Estimates the memory that an encoded message will take when it is decoded, without decoding it.
//!
//! An empty nested message is encoded in two bytes, but takes some hundred bytes when it is
//! decoded. So the encoded size does not limit the memory. One pass over the tags adds up what
//! decoding would allocate, with field types from the descriptor set. The pass itself allocates
//! nothing.

use std::{collections::HashMap, sync::LazyLock};

use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};

use super::FILE_DESCRIPTOR_SET;

/// The maximum memory of a message without its contents, in bytes: its struct, in a list whose
/// capacity doubles as it grows.
const MESSAGE_BYTES: usize = 512;
/// The maximum memory of a text without its characters, in bytes: its struct, in a list whose
/// capacity doubles as it grows, and what the allocator adds by rounding.
const TEXT_BYTES: usize = 96;
/// The maximum nesting depth of messages, which is prost's limit.
const MAX_DEPTH: usize = 100;
/// How many bytes, or an equivalent number of tags, are read between two checks of whether to
/// continue.
const INTERVAL: usize = 64 << 10;

/// The memory that decoding a message will take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// The bytes of structs and allocations, except for the contents of texts.
    pub overhead: usize,
    /// The bytes of texts, which decoding copies. Fields of type `bytes` are not copied.
    pub text: usize,
    /// The bytes that texts and `bytes` fields take as JSON strings, with escapes or in base64.
    pub json: usize,
}

/// Why a message was not measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmeasured {
    /// The bytes are not a valid message, or messages are nested too deeply.
    Malformed,
    /// Decoding the message would exceed the limit on [`Measure::overhead`].
    TooMuch,
    /// `stopped` has returned true.
    Stopped,
}

/// The kinds of a message's fields. The index is the field number.
type Fields = Vec<Kind>;

#[derive(Clone, Copy, Debug, Default)]
enum Kind {
    /// A field that adds nothing to the result: a number, which is a part of its message's struct,
    /// or an unknown field, which is skipped.
    #[default]
    Other,
    Text,
    Bytes,
    /// A nested message. The number is the index of its fields in the table.
    Message(usize),
}

struct Table {
    messages: Vec<Fields>,
    by_name: HashMap<String, usize>,
}

/// The fields of every message in the protos. A test checks that the descriptor set is valid; if it
/// were invalid, the table would be empty.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    let mut found = Vec::new();
    for file in &set.file {
        let prefix = format!(".{}", file.package());
        for message in &file.message_type {
            collect(&prefix, message, &mut found);
        }
    }
    let by_name: HashMap<_, _> = found
        .iter()
        .enumerate()
        .map(|(index, (name, _))| (name.clone(), index))
        .collect();
    let messages = found
        .iter()
        .map(|(_, message)| fields(message, &by_name))
        .collect();
    Table { messages, by_name }
});

fn collect<'a>(
    prefix: &str,
    message: &'a DescriptorProto,
    found: &mut Vec<(String, &'a DescriptorProto)>,
) {
    let name = format!("{prefix}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, found);
    }
    found.push((name, message));
}

fn fields(message: &DescriptorProto, by_name: &HashMap<String, usize>) -> Fields {
    let mut fields = Fields::new();
    for field in &message.field {
        let number = usize::try_from(field.number()).unwrap_or_default();
        if fields.len() <= number {
            fields.resize(number + 1, Kind::Other);
        }
        fields[number] = match field.r#type() {
            Type::String => Kind::Text,
            Type::Bytes => Kind::Bytes,
            Type::Message => by_name
                .get(field.type_name())
                .map_or(Kind::Other, |index| Kind::Message(*index)),
            _ => Kind::Other,
        };
    }
    fields
}

/// Measures an encoded message of the type `type_name`, such as
/// `bedrock.inference.v1.InvokeRequest`.
///
/// `stopped` is called at least once per 64 KiB. If it returns true, the measurement ends.
///
/// # Errors
/// Fails if the bytes are not a valid message, or if decoding them would take more than `most`
/// bytes of [`Measure::overhead`].
pub fn measure(
    type_name: &str,
    bytes: &[u8],
    most: usize,
    stopped: impl Fn() -> bool,
) -> Result<Measure, Unmeasured> {
    let table = &*TABLE;
    let Some(root) = table.by_name.get(&format!(".{type_name}")) else {
        return Err(Unmeasured::Malformed);
    };
    let mut measure = Measure {
        overhead: MESSAGE_BYTES,
        ..Measure::default()
    };
    // The messages that contain the current field. For each of them: the index of its fields, and
    // where it ends.
    let mut outer = [(0, 0); MAX_DEPTH];
    let mut depth = 0;
    let (mut message, mut end) = (*root, bytes.len());
    let mut reader = Reader { bytes, at: 0 };
    let mut budget = INTERVAL;
    loop {
        while reader.at == end {
            if depth == 0 {
                return Ok(measure);
            }
            depth -= 1;
            (message, end) = outer[depth];
        }
        let begin = reader.at;
        let tag = reader.varint()?;
        let kind = usize::try_from(tag >> 3)
            .ok()
            .and_then(|number| table.messages.get(message)?.get(number))
            .copied()
            .unwrap_or_default();
        match tag & 7 {
            0 => {
                reader.varint()?;
            }
            1 => reader.skip(8)?,
            5 => reader.skip(4)?,
            2 => {
                let length =
                    usize::try_from(reader.varint()?).map_err(|_| Unmeasured::Malformed)?;
                let content = reader
                    .at
                    .checked_add(length)
                    .filter(|content_end| *content_end <= end)
                    .ok_or(Unmeasured::Malformed)?;
                match kind {
                    Kind::Message(inner) => {
                        measure.overhead += MESSAGE_BYTES;
                        *outer.get_mut(depth).ok_or(Unmeasured::Malformed)? = (message, end);
                        depth += 1;
                        (message, end) = (inner, content);
                    }
                    Kind::Text => {
                        measure.overhead += TEXT_BYTES;
                        measure.text += length;
                        let text = bytes.get(reader.at..content).unwrap_or_default();
                        for piece in text.chunks(INTERVAL) {
                            measure.json += escaped_length(piece);
                            if text.len() > INTERVAL && stopped() {
                                return Err(Unmeasured::Stopped);
                            }
                        }
                        reader.at = content;
                    }
                    Kind::Bytes => {
                        measure.overhead += TEXT_BYTES;
                        measure.json += length.div_ceil(3) * 4;
                        reader.at = content;
                    }
                    Kind::Other => reader.at = content,
                }
                if measure.overhead > most {
                    return Err(Unmeasured::TooMuch);
                }
            }
            // The protos do not use groups, which are deprecated.
            _ => return Err(Unmeasured::Malformed),
        }
        if reader.at > end {
            return Err(Unmeasured::Malformed);
        }
        // A tag counts as at least 16 bytes, because reading it takes at least as long.
        budget = budget.saturating_sub((reader.at - begin).max(16));
        if budget == 0 {
            if stopped() {
                return Err(Unmeasured::Stopped);
            }
            budget = INTERVAL;
        }
    }
}

/// Returns the length of a text as a JSON string, without the quotes.
fn escaped_length(text: &[u8]) -> usize {
    text.iter()
        .map(|&byte| match byte {
            b'"' | b'\\' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn varint(&mut self) -> Result<u64, Unmeasured> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Unmeasured::Malformed)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Unmeasured::Malformed)
    }

    fn skip(&mut self, count: usize) -> Result<(), Unmeasured> {
        self.at += count;
        if self.at <= self.bytes.len() {
            Ok(())
        } else {
            Err(Unmeasured::Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{
        ContentBlock, ConverseInput, ImageBlock, InvokeRequest, MediaSource, Message as Turn,
        RawMember, StreamInvokeRequest, SystemContentBlock, Tool, ToolUseBlock, content_block,
        media_source,
    };

    const STREAM_INVOKE: &str = "bedrock.inference.v1.StreamInvokeRequest";

    fn of(bytes: &[u8]) -> Result<Measure, Unmeasured> {
        measure(STREAM_INVOKE, bytes, usize::MAX, || false)
    }

    #[test]
    fn no_message_is_larger_than_what_is_counted() {
        // When a list grows, two buffers exist for a short time: the old one, and a new one of up
        // to twice the necessary size.
        for size in [
            size_of::<ContentBlock>(),
            size_of::<Turn>(),
            size_of::<SystemContentBlock>(),
            size_of::<Tool>(),
            size_of::<RawMember>(),
            size_of::<prost_types::Value>(),
            size_of::<ToolUseBlock>(),
            size_of::<crate::pb::Citation>(),
            size_of::<crate::pb::ToolResultContentBlock>(),
        ] {
            assert!(size * 2 <= MESSAGE_BYTES, "{size}");
        }
    }

    #[test]
    fn texts_bytes_and_messages_are_counted() {
        let text = "a\"\n\\é";
        let block = |content| ContentBlock {
            content: Some(content),
        };
        let request = StreamInvokeRequest {
            target: "t".to_owned(),
            input: Some(ConverseInput {
                messages: vec![Turn {
                    role: 1,
                    content: vec![
                        block(content_block::Content::Text(text.to_owned())),
                        block(content_block::Content::Image(ImageBlock {
                            source: Some(MediaSource {
                                source: Some(media_source::Source::Bytes(vec![0; 100].into())),
                            }),
                            ..ImageBlock::default()
                        })),
                    ],
                }],
                ..ConverseInput::default()
            }),
            ..StreamInvokeRequest::default()
        };
        let measured = of(&request.encode_to_vec()).unwrap();
        // There are seven messages: the request, the input, a message, two blocks, the image and
        // its source. There are two texts and one `bytes` field.
        assert_eq!(measured.overhead, 7 * MESSAGE_BYTES + 3 * TEXT_BYTES);
        assert_eq!(measured.text, 1 + text.len());
        assert_eq!(measured.json, 1 + (text.len() + 1 + 5 + 1) + 136);
        let request = InvokeRequest {
            target: request.target,
            input: request.input,
        };
        let bytes = request.encode_to_vec();
        let same = measure(
            "bedrock.inference.v1.InvokeRequest",
            &bytes,
            usize::MAX,
            || false,
        );
        assert_eq!(same, Ok(measured));
    }

    #[test]
    fn empty_messages_are_bounded_and_the_caller_can_stop_it() {
        let mut input = Vec::new();
        input.push(0x12);
        let blocks = [0x12, 0].repeat(1 << 20);
        let turn = [&[0x0a][..], &varint(blocks.len()), &blocks].concat();
        input.extend(varint(turn.len()));
        input.extend(turn);
        let measured = of(&input).unwrap();
        assert!(measured.overhead > (1 << 20) * MESSAGE_BYTES);
        let limited = measure(STREAM_INVOKE, &input, 1 << 20, || false);
        assert_eq!(limited, Err(Unmeasured::TooMuch));
        let stopped = measure(STREAM_INVOKE, &input, usize::MAX, || true);
        assert_eq!(stopped, Err(Unmeasured::Stopped));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [
            &[0x80][..],
            &[0x0a, 5, b'a'],
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            &[0x0b],
            &[0x09, 0],
            &[0x12, 2, 0x0a, 1],
            &[0xff; 11],
        ] {
            assert_eq!(of(bytes), Err(Unmeasured::Malformed), "{bytes:?}");
        }
        // A Struct may be nested, but only up to a certain depth.
        let mut deep = Vec::new();
        for _ in 0..200 {
            let list = [&[0x0a][..], &varint(deep.len()), &deep].concat();
            deep = [&[0x32][..], &varint(list.len()), &list].concat();
        }
        let value = measure("google.protobuf.Value", &deep, usize::MAX, || false);
        assert_eq!(value, Err(Unmeasured::Malformed));
        assert_eq!(of(&[]).unwrap().overhead, MESSAGE_BYTES);
    }

    fn varint(value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(value as u64, &mut bytes);
        bytes
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_measured_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let decoded = StreamInvokeRequest::decode(&bytes[..]);
            if of(&bytes).is_err() {
                proptest::prop_assert!(decoded.is_err() || bytes.iter().any(|byte| matches!(byte & 7, 3 | 4)));
            }
        }
    }
}
