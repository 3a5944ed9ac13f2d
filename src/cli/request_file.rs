//! Reads Converse requests from files, in the formats that `invoke` and `count` accept.

use std::{
    fmt, fs,
    io::{self, Read},
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A request: its body and, if the file contains one, its model ID. Members that belong to other
/// APIs are removed from the body; nothing else is changed.
#[derive(Debug)]
pub(super) struct RequestFile {
    pub(super) model_id: Option<String>,
    pub(super) body: String,
}

impl RequestFile {
    /// Reads a file, or standard input if `path` is `-`. Returns the request, and a name for the
    /// file in messages. Fails with a message that says what is wrong.
    pub(super) fn read(path: &str) -> Result<(&str, Self), String> {
        let (name, text) = bytes(path)?;
        let file = Self::parse(&text).map_err(|error| {
            format!("{name}: is not a request in JSON, such as {{\"messages\": […]}}: {error}")
        })?;
        Ok((name, file))
    }

    /// Parses a body, a body with the member `modelId`, or an object with `modelId` and `body`.
    /// Fails if the text is not a JSON object, or if `modelId` is not a string.
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let mut members = serde_json::from_slice::<Members<'_>>(text)?.0;
        let model_id = members
            .iter()
            .position(|(name, _)| name == "modelId")
            .map(|at| serde_json::from_str(members.remove(at).1.get()))
            .transpose()?;
        let enveloped = members.iter().find(|(name, _)| name == "body");
        let body = match enveloped {
            Some((_, body)) => body.get().to_owned(),
            None => write(&members)?,
        };
        Ok(Self { model_id, body })
    }
}

/// Reads a file, or standard input if `path` is `-`. Returns the bytes, and a name for the file in
/// messages. Fails with a message that says what is wrong.
pub(super) fn bytes(path: &str) -> Result<(&str, Vec<u8>), String> {
    let name = match path {
        "-" => "standard input",
        path => path,
    };
    let bytes = read(path).map_err(|error| unreadable(name, &error))?;
    Ok((name, bytes))
}

/// Returns the message for a file that cannot be read.
pub(super) fn unreadable(name: impl fmt::Display, error: &io::Error) -> String {
    format!("{name}: cannot be read: {error}; check the path and the permissions")
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    if path != "-" {
        return fs::read(path);
    }
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

fn write(members: &[(String, &RawValue)]) -> Result<String, serde_json::Error> {
    let mut body = String::from("{");
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(&serde_json::to_string(name)?);
        body.push(':');
        body.push_str(value.get());
    }
    body.push('}');
    Ok(body)
}

/// The members of an object, in their original order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a Converse request: a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::RequestFile;

    fn parse(text: &str) -> (Option<String>, String) {
        let file = RequestFile::parse(text.as_bytes()).unwrap();
        (file.model_id, file.body)
    }

    #[test]
    fn a_bare_body_keeps_its_order_and_numbers() {
        let body = r#"{"z":{"b":1.0,"a":90071992547409931},"messages":[]}"#;
        assert_eq!(parse(body), (None, body.to_owned()));
    }

    #[test]
    fn a_model_id_may_be_in_the_body() {
        let (model_id, body) = parse(r#"{"messages":[], "modelId":"us.m", "system":[ ]}"#);
        assert_eq!(model_id.as_deref(), Some("us.m"));
        assert_eq!(body, r#"{"messages":[],"system":[ ]}"#);
    }

    #[test]
    fn an_envelope_is_opened() {
        let (model_id, body) = parse(r#"{"modelId":"us.m","path":"/x","body":{"messages":[ ]}}"#);
        assert_eq!(model_id.as_deref(), Some("us.m"));
        assert_eq!(body, r#"{"messages":[ ]}"#);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for wrong in ["", "[]", "{", "{\"modelId\":1}", "{} {}"] {
            assert!(RequestFile::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
