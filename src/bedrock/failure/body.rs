//! Reads the JSON body of an error, in the spellings that AWS's services use.

use std::fmt;

use serde::{
    Deserializer as _,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The maximum length of a truncated message, in characters. A gRPC status contains fewer.
const CUT_MESSAGE: usize = 4_096;
/// The length of `\ud83d\ude00`, the longest escape, in characters.
const LONGEST_ESCAPE: usize = 12;

/// The content of an error's JSON. A field is empty if the JSON does not contain it.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    pub(super) message: String,
    pub(super) code: Option<String>,
    pub(super) original_status: Option<u16>,
    pub(super) resource_name: Option<String>,
}

impl ErrorBody {
    /// Reads as many fields as possible. An error page of a proxy is not JSON, and JSON may be
    /// truncated at the size limit for errors: fields before that point are kept. Other members are
    /// skipped.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields::default();
        let mut json = serde_json::Deserializer::from_slice(bytes);
        // A syntax error ends the parsing. The fields that were read before it are kept.
        let is_whole = json.deserialize_map(Seed(&mut fields)).is_ok();
        if !is_whole && fields.message.is_none() {
            fields.message = cut_message(bytes);
        }
        let message = first([fields.message, fields.upper_message, fields.error_message]);
        let message = match fields.original_message {
            Some(original) if !original.is_empty() && original != message => {
                format!("{message} ({original})")
            }
            _ => message,
        };
        Self {
            message,
            code: [fields.type_name, fields.code, fields.upper_code]
                .into_iter()
                .flatten()
                .next(),
            original_status: fields.original_status,
            resource_name: fields.resource_name,
        }
    }
}

/// Returns the start of a message that was truncated at the size limit.
fn cut_message(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let (_, rest) = ["\"message\"", "\"Message\""]
        .iter()
        .find_map(|name| text.split_once(name))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let start: String = rest.strip_prefix('"')?.chars().take(CUT_MESSAGE).collect();
    // The message may be truncated inside an escape. The longest escape is a pair of surrogates.
    (0..=LONGEST_ESCAPE).find_map(|left_out| {
        let kept = start.char_indices().nth_back(left_out)?.0;
        serde_json::from_str(&format!("\"{}\"", &start[..kept])).ok()
    })
}

fn first(texts: [Option<String>; 3]) -> String {
    texts.into_iter().flatten().next().unwrap_or_default()
}

#[derive(Debug, Default)]
struct Fields {
    message: Option<String>,
    upper_message: Option<String>,
    error_message: Option<String>,
    original_message: Option<String>,
    type_name: Option<String>,
    code: Option<String>,
    upper_code: Option<String>,
    original_status: Option<u16>,
    resource_name: Option<String>,
}

struct Seed<'a>(&'a mut Fields);

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let fields = self.0;
        while let Some(name) = map.next_key::<String>()? {
            let text = match name.as_str() {
                "message" => &mut fields.message,
                "Message" => &mut fields.upper_message,
                "errorMessage" => &mut fields.error_message,
                "originalMessage" => &mut fields.original_message,
                "__type" => &mut fields.type_name,
                "resourceName" => &mut fields.resource_name,
                "code" => &mut fields.code,
                "Code" => &mut fields.upper_code,
                "originalStatusCode" => {
                    let value: &RawValue = map.next_value()?;
                    fields.original_status = value.get().parse().ok();
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            // A value of another type is ignored: the field stays empty.
            let value: &RawValue = map.next_value()?;
            *text = serde_json::from_str(value.get()).ok();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_what_came_before_it() {
        let body =
            ErrorBody::read(br#"{"__type":"a#ThrottlingException","message":"slow down","x":[1,2"#);
        assert_eq!(body.code.as_deref(), Some("a#ThrottlingException"));
        assert_eq!(body.message, "slow down");
    }

    #[test]
    fn a_message_that_is_cut_keeps_its_start() {
        for (piece, text) in [
            ("long ", "long "),
            ("長", "長"),
            (r"\ud83d\ude00", "😀"),
            (r#"\"\\"#, "\"\\"),
        ] {
            let whole = format!(r#"{{"Message" : "{}"#, piece.repeat(2_000));
            for cut in 0..14 {
                let body = ErrorBody::read(&whole.as_bytes()[..whole.len() - cut]);
                assert!(
                    text.repeat(2_000).starts_with(&body.message),
                    "{piece} {cut}"
                );
                assert!(body.message.len() > 1_000, "{piece} {cut}");
            }
        }
    }

    /// Checks that deep or wide JSON is skipped without building a tree.
    #[test]
    fn what_is_not_needed_is_skipped() {
        let deep = format!(
            r#"{{"x":{}1{},"message":"m"}}"#,
            "[".repeat(30_000),
            "]".repeat(30_000)
        );
        assert_eq!(ErrorBody::read(deep.as_bytes()).message, "m");
        let wide = format!(r#"{{"x":[{}0],"message":"m"}}"#, "0,".repeat(30_000));
        assert_eq!(ErrorBody::read(wide.as_bytes()).message, "m");
    }

    #[test]
    fn what_is_not_an_object_says_nothing() {
        for text in ["", "<html>", "[1]", "null", "\"text\"", "{", "{\"message\""] {
            let body = ErrorBody::read(text.as_bytes());
            assert_eq!((body.message.as_str(), body.code), ("", None), "{text}");
        }
    }
}
