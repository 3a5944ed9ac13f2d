//! Defines how values of each type are read and written.

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{Decoder, Encoder, Mode};
use crate::translate::{
    Error,
    json::{Position, Reader, ValueKind},
};

/// A type whose values have exactly one representation in JSON.
pub(crate) trait Value: Sized {
    fn write(&self, out: &mut Encoder<'_>, at: &Position<'_>);

    /// Reads a value. Returns `None` if the type cannot hold the value. The caller then goes back,
    /// and keeps the value as a raw member.
    fn read(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<Self>, Error>;
}

impl Value for String {
    fn write(&self, out: &mut Encoder<'_>, _: &Position<'_>) {
        out.json.string(self);
    }

    fn read(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<Self>, Error> {
        if !from.is(ValueKind::String, at)? {
            return Ok(None);
        }
        from.string(at).map(Some)
    }
}

impl Value for bool {
    fn write(&self, out: &mut Encoder<'_>, _: &Position<'_>) {
        out.json.boolean(*self);
    }

    fn read(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<Self>, Error> {
        if !from.is(ValueKind::Boolean, at)? {
            return Ok(None);
        }
        from.read(at, Reader::boolean).map(Some)
    }
}

impl Value for i32 {
    fn write(&self, out: &mut Encoder<'_>, _: &Position<'_>) {
        out.json.integer(i64::from(*self));
    }

    fn read(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<Self>, Error> {
        number(
            from,
            at,
            "a whole number from -2147483648 to 2147483647",
            |_| true,
        )
    }
}

impl Value for i64 {
    fn write(&self, out: &mut Encoder<'_>, _: &Position<'_>) {
        out.json.integer(*self);
    }

    fn read(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<Self>, Error> {
        number(from, at, "a whole number of 64 bits", |_| true)
    }
}

impl Value for f64 {
    fn write(&self, out: &mut Encoder<'_>, at: &Position<'_>) {
        if !self.is_finite() {
            out.violation(at.field(), format!("must be a finite number, found {self}"));
        }
        out.json.number(*self);
    }

    fn read(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<Self>, Error> {
        number(
            from,
            at,
            "a number within the range of 64-bit floats",
            |value: &Self| value.is_finite(),
        )
    }
}

fn number<T: FromStr>(
    from: &mut Decoder<'_>,
    at: &Position<'_>,
    expected: &str,
    fits: impl FnOnce(&T) -> bool,
) -> Result<Option<T>, Error> {
    if !from.is(ValueKind::Number, at)? {
        return Ok(None);
    }
    let text = from.read(at, Reader::number)?;
    let mut value = text.parse().ok().filter(fits);
    if value.is_none() && from.mode == Mode::Event {
        value = whole(text).and_then(|digits| digits.parse().ok());
    }
    if value.is_none() {
        from.mismatch(at, || format!("expected {expected}, found {text}"))?;
    }
    Ok(value)
}

/// Returns the digits of an integer that is written as a float, such as `7.0` or `7e1`. Returns
/// `None` for all other floats, and for integers that a 64-bit float cannot represent exactly.
fn whole(text: &str) -> Option<String> {
    const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    let value: f64 = text.parse().ok()?;
    let is_whole = value.fract() == 0.0 && value.abs() < EXACT;
    is_whole.then(|| format!("{value:.0}"))
}

impl Value for Bytes {
    fn write(&self, out: &mut Encoder<'_>, _: &Position<'_>) {
        out.json.base64(self);
    }

    fn read(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<Self>, Error> {
        if !from.is(ValueKind::String, at)? {
            return Ok(None);
        }
        let text = from.read(at, Reader::string)?;
        match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) => {
                from.mismatch(at, || {
                    format!("not base64 of the standard alphabet with padding: {error}")
                })?;
                Ok(None)
            }
        }
    }
}
