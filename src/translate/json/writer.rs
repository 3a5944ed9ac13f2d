//! Writes JSON into a byte buffer.

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{MAX_DEPTH, reader::Reader};
use crate::bounds::Stop;

/// Writes JSON without white space to a buffer. The writer adds commas. The caller must alternate
/// keys and values.
#[derive(Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
    stop: Stop,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
            stop: Stop::never(),
        }
    }

    /// Returns the same writer, which stops writing long values after `stop` is set. If `stop` is
    /// set, the output must not be used.
    pub(crate) fn until(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Returns whether `stop` is set, so that the output will not be used.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    pub(crate) fn into_string(self) -> String {
        // The buffer contains only UTF-8 text, so the conversion cannot fail.
        String::from_utf8(self.out).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Shortens the output to `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    pub(crate) fn begin_object(&mut self) {
        self.out.push(b'{');
    }

    pub(crate) fn end_object(&mut self) {
        self.out.push(b'}');
    }

    pub(crate) fn begin_array(&mut self) {
        self.out.push(b'[');
    }

    pub(crate) fn end_array(&mut self) {
        self.out.push(b']');
    }

    /// Writes the name of the next member.
    pub(crate) fn key(&mut self, name: &str) {
        self.element();
        self.string(name);
        self.out.push(b':');
    }

    /// Prepares for an element of an array. Call it before each element.
    pub(crate) fn element(&mut self) {
        // No value ends in an opening bracket, so the last byte shows whether a value precedes.
        if !matches!(self.out.last(), Some(b'{' | b'[') | None) {
            self.out.push(b',');
        }
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.out.push(b'"');
        for piece in text.as_bytes().chunks(Stop::INTERVAL) {
            if text.len() > Stop::INTERVAL && self.stop.is_set() {
                break;
            }
            self.escaped(piece);
        }
        self.out.push(b'"');
    }

    fn escaped(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(special) = rest.iter().position(|&byte| must_be_escaped(byte)) {
            let (plain, from_special) = rest.split_at(special);
            self.out.extend_from_slice(plain);
            if let Some((&byte, after)) = from_special.split_first() {
                self.escape(byte);
                rest = after;
            }
        }
        self.out.extend_from_slice(rest);
    }

    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            other => {
                let _ = write!(self.out, "\\u{other:04x}");
                return;
            }
        };
        self.out.extend_from_slice(&[b'\\', short]);
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    pub(crate) fn null(&mut self) {
        self.raw("null");
    }

    pub(crate) fn integer(&mut self, value: i64) {
        let _ = write!(self.out, "{value}");
    }

    /// Writes the shortest decimal that denotes the number: `0.7` for 0.7, `1` for 1.0. Writes
    /// `null` for numbers that are not finite, because JSON cannot express them.
    pub(crate) fn number(&mut self, value: f64) {
        let size = value.abs();
        let _ = if !value.is_finite() {
            write!(self.out, "null")
        } else if size == 0.0 || (1e-5..1e17).contains(&size) {
            write!(self.out, "{value}")
        } else {
            write!(self.out, "{value:e}")
        };
    }

    /// Writes these bytes as a string in base64.
    pub(crate) fn base64(&mut self, bytes: &[u8]) {
        // Pieces consist of whole groups of three bytes, so that only the last piece is padded.
        const PIECE: usize = Stop::INTERVAL / 3 * 3;
        self.out.push(b'"');
        for piece in bytes.chunks(PIECE) {
            if bytes.len() > PIECE && self.stop.is_set() {
                break;
            }
            let start = self.out.len();
            // Base64 has 4 characters for each 3 bytes; the last group may be incomplete.
            self.out.resize(start + piece.len().div_ceil(3) * 4, 0);
            let written = self
                .out
                .get_mut(start..)
                .and_then(|room| STANDARD.encode_slice(piece, room).ok())
                .unwrap_or_default();
            self.out.truncate(start + written);
        }
        self.out.push(b'"');
    }

    /// Writes a value that should be JSON text. If it is not, writes it as a JSON string.
    pub(crate) fn raw_or_string(&mut self, json: &str) {
        let mut reader = Reader::with_limit(json, MAX_DEPTH);
        if reader.skip().and_then(|_| reader.end()).is_ok() {
            self.raw(json);
        } else {
            self.string(json);
        }
    }

    /// Writes a value that is already JSON text.
    pub(crate) fn raw(&mut self, json: &str) {
        self.out.extend_from_slice(json.as_bytes());
    }
}

const fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
