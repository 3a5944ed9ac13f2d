//! Reads from an answer in a model's own format what Bedrock bills in addition to tokens.

use crate::{
    aws::{Billed, NativeFormat},
    translate::json::{Reader, Syntax, ValueKind},
};

/// The units that an answer confirms. `None` if it does not show their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnsweredUnits {
    /// Images.
    pub(crate) images: Option<u64>,
    /// Queries.
    pub(crate) queries: Option<u64>,
}

impl AnsweredUnits {
    /// Reads an answer of a model of this format.
    pub(crate) fn read(format: Option<NativeFormat>, content_type: &str, body: &[u8]) -> Self {
        match format.map(NativeFormat::billed) {
            Some(Billed::Images) => Self {
                images: images(content_type, body),
                ..Self::default()
            },
            Some(Billed::Queries) => Self {
                queries: queries(body),
                ..Self::default()
            },
            Some(Billed::Tokens) | None => Self::default(),
        }
    }
}

/// Counts the images of an answer: an image, or JSON with a list of images.
fn images(content_type: &str, body: &[u8]) -> Option<u64> {
    if content_type.trim().starts_with("image/") {
        return Some(1);
    }
    // `artifacts` is the list in answers of older models of Stability AI.
    let find = |reader: &mut Reader<'_>| {
        find_member(reader, &["images", "artifacts"], |reader| {
            if reader.peek()? != ValueKind::Array {
                return Ok(None);
            }
            reader.enter_array()?;
            let (mut first, mut count) = (true, 0);
            while reader.element(&mut first)? {
                reader.skip()?;
                count += 1;
            }
            Ok(Some(count))
        })
    };
    find(&mut Reader::new(body).ok()?).ok()?
}

/// Returns the number of queries that an answer of Cohere reports.
fn queries(body: &[u8]) -> Option<u64> {
    let find = |reader: &mut Reader<'_>| {
        find_member(reader, &["meta"], |reader| {
            find_member(reader, &["billed_units"], |reader| {
                find_member(reader, &["search_units"], |reader| {
                    Ok(match reader.peek()? {
                        ValueKind::Number => reader.number()?.parse().ok(),
                        _ => None,
                    })
                })
            })
        })
    };
    find(&mut Reader::new(body).ok()?).ok()?
}

/// Reads the value of the first member with one of these names. Returns `None` if there is no such
/// member, or if the value is not an object.
fn find_member<'a>(
    reader: &mut Reader<'a>,
    names: &[&str],
    read: impl FnOnce(&mut Reader<'a>) -> Result<Option<u64>, Syntax>,
) -> Result<Option<u64>, Syntax> {
    if reader.peek()? != ValueKind::Object {
        return Ok(None);
    }
    reader.enter_object()?;
    let mut first = true;
    while let Some(name) = reader.member(&mut first)? {
        if names.contains(&name.as_ref()) {
            return read(reader);
        }
        reader.skip()?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_queries_of_answers() {
        let json = "application/json";
        let read = |format, content_type, body: &str| {
            let read = AnsweredUnits::read(Some(format), content_type, body.as_bytes());
            (read.images, read.queries)
        };
        let canvas = NativeFormat::AmazonImage;
        let stability = NativeFormat::StabilityImage;
        for (format, content_type, body, expected) in [
            (canvas, json, r#"{"images":["a","b"]}"#, (Some(2), None)),
            (
                canvas,
                json,
                r#"{"images":[],"error":"x"}"#,
                (Some(0), None),
            ),
            (canvas, json, r#"{"error":"x"}"#, (None, None)),
            (canvas, json, r#"{"images":"a"}"#, (None, None)),
            (canvas, json, r#"{"images":["a""#, (None, None)),
            (stability, "image/png", "\u{0}", (Some(1), None)),
            (
                stability,
                json,
                r#"{"seeds":[1],"finish_reasons":[null],"images":["a"]}"#,
                (Some(1), None),
            ),
            (
                stability,
                json,
                r#"{"artifacts":[{"base64":"a"}]}"#,
                (Some(1), None),
            ),
            (
                NativeFormat::Rerank,
                json,
                r#"{"results":[]}"#,
                (None, None),
            ),
            (
                NativeFormat::Rerank,
                json,
                r#"{"meta":{"billed_units":{"search_units":2}}}"#,
                (None, Some(2)),
            ),
            (
                NativeFormat::Rerank,
                json,
                r#"{"meta":{"billed_units":{"search_units":-2}}}"#,
                (None, None),
            ),
            (
                NativeFormat::TitanEmbedding,
                json,
                r#"{"images":["a"]}"#,
                (None, None),
            ),
        ] {
            assert_eq!(read(format, content_type, body), expected, "{body}");
        }
    }
}
