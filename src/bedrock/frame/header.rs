//! Reads one header of a frame: a name, and a value of one of ten types.

use bytes::{Buf, Bytes};

/// A header. Bedrock's headers are strings. A value of another type is skipped.
pub(super) struct Header {
    pub(super) name: Bytes,
    pub(super) text: Bytes,
}

const BOOL_TRUE: u8 = 0;
const BOOL_FALSE: u8 = 1;
const BYTE: u8 = 2;
const SHORT: u8 = 3;
const INTEGER: u8 = 4;
const LONG: u8 = 5;
const BYTE_ARRAY: u8 = 6;
const STRING: u8 = 7;
const TIMESTAMP: u8 = 8;
const UUID: u8 = 9;

/// Removes the first header from the bytes and returns it. Returns `None` if the bytes are not a
/// header.
pub(super) fn read(bytes: &mut Bytes) -> Option<Header> {
    let name_length = usize::from(bytes.try_get_u8().ok()?);
    if name_length == 0 {
        return None;
    }
    let name = cut(bytes, name_length)?;
    let value_type = bytes.try_get_u8().ok()?;
    let length = match value_type {
        BOOL_TRUE | BOOL_FALSE => 0,
        BYTE => 1,
        SHORT => 2,
        INTEGER => 4,
        LONG | TIMESTAMP => 8,
        UUID => 16,
        BYTE_ARRAY | STRING => usize::from(bytes.try_get_u16().ok()?),
        _ => return None,
    };
    let value = cut(bytes, length)?;
    let text = if value_type == STRING {
        std::str::from_utf8(&value).ok()?;
        value
    } else {
        Bytes::new()
    };
    Some(Header { name, text })
}

fn cut(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (bytes.len() >= length).then(|| bytes.split_to(length))
}
