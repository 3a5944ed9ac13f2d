//! Encodes `application/vnd.amazon.eventstream` according to its specification. The encoder shares
//! no code with the gateway's decoder, so that tests find mistakes in both.
//!
//! A frame consists of the total length (u32), the length of the headers (u32), a CRC32 of these
//! eight bytes, the headers, the payload, and a CRC32 of everything before it. A header consists of
//! the length of its name (u8), the name, the type 7 (string), the length of its value (u16), and
//! the value. All numbers are big-endian.

use bytes::{BufMut, BytesMut};
use serde_json::{Map, Value};

/// The type number of string values in headers.
const STRING: u8 = 7;
/// The size of the two lengths and the checksum before the headers, in bytes.
const PRELUDE: usize = 12;
/// The size of the checksum at the end, in bytes.
const TRAILER: usize = 4;
/// Bedrock pads events with a prefix of this text.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Appends one frame with string headers. Names over 255 bytes and values over 65,535 bytes are
/// truncated.
pub fn encode(out: &mut BytesMut, headers: &[(&str, &str)], payload: &[u8]) {
    let start = out.len();
    let headers_len: usize = headers
        .iter()
        .map(|(n, v)| 4 + name(n).len() + value(v).len())
        .sum();
    let total = PRELUDE + headers_len + payload.len() + TRAILER;
    out.reserve(total);
    out.put_u32(u32::try_from(total).unwrap_or(u32::MAX));
    out.put_u32(u32::try_from(headers_len).unwrap_or(u32::MAX));
    out.put_u32(crc32fast::hash(&out[start..]));
    for (n, v) in headers {
        out.put_u8(u8::try_from(name(n).len()).unwrap_or(u8::MAX));
        out.put_slice(name(n));
        out.put_u8(STRING);
        out.put_u16(u16::try_from(value(v).len()).unwrap_or(u16::MAX));
        out.put_slice(value(v));
    }
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out[start..]));
}

fn name(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(usize::from(u8::MAX))]
}

fn value(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(usize::from(u16::MAX))]
}

/// Appends an event with the padding member `p`, whose random length hides the length of tokens.
pub fn event(out: &mut BytesMut, event_type: &str, mut payload: Map<String, Value>) {
    payload.insert(
        "p".to_owned(),
        Value::from(&PADDING[..fastrand::usize(4..PADDING.len())]),
    );
    let headers = [
        (":event-type", event_type),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    encode(out, &headers, Value::Object(payload).to_string().as_bytes());
}

/// Appends an exception. Its type need not be in the API's model.
pub fn exception(out: &mut BytesMut, exception_type: &str, payload: &Value) {
    let headers = [
        (":exception-type", exception_type),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    encode(out, &headers, payload.to_string().as_bytes());
}

/// Appends an error frame, which is not in the API's model.
pub fn error(out: &mut BytesMut, code: &str, message: &str) {
    let headers = [
        (":error-code", code),
        (":error-message", message),
        (":message-type", "error"),
    ];
    encode(out, &headers, &[]);
}
