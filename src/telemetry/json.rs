//! Writes JSON strings into lines, without copying them first.

use std::fmt;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Escapes text that is written into a JSON string.
pub(super) struct Escaped<'a>(pub(super) &'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Appends a JSON string.
pub(super) fn write_text(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    escape(line, text);
    line.push(b'"');
}

fn escape(line: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| is_escaped(*byte)) {
        let (plain, from) = rest.split_at(at);
        line.extend_from_slice(plain);
        let Some((byte, after)) = from.split_first() else {
            return;
        };
        let short = match byte {
            b'"' | b'\\' => Some(*byte),
            0x08 => Some(b'b'),
            b'\t' => Some(b't'),
            b'\n' => Some(b'n'),
            0x0c => Some(b'f'),
            b'\r' => Some(b'r'),
            _ => None,
        };
        match short {
            Some(letter) => line.extend_from_slice(&[b'\\', letter]),
            None => {
                let digit = |value: u8| HEX[usize::from(value & 0xf)];
                line.extend_from_slice(br"\u00");
                line.extend_from_slice(&[digit(byte >> 4), digit(*byte)]);
            }
        }
        rest = after;
    }
    line.extend_from_slice(rest);
}

const fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
