//! Enforces the rules for fields in bodies in the model's own format, too. They apply to S3
//! locations anywhere in the body, guardrail tags and service tiers. If the format has it, they
//! also apply to the maximum number of output tokens.
//!
//! If a setting would have to be applied to a body, but the gateway cannot parse the body or does
//! not support its format, the body is refused.

use std::borrow::Cow;

use super::{Enforced, native_units::BodyUnits, raw_json::Rules};
use crate::{
    aws::{MaxTokens, NativeFormat},
    bounds::Stop,
    config::s3::S3Locations,
    error::{Failure, Reason, Violation},
    pb::ConverseInput,
    translate::{
        json::{MAX_DEPTH, NotJson, Reader, Syntax, ValueKind, check_until},
        visit_json,
    },
    validate::{Shown, Violations},
};

/// The members of known formats that contain content and tool definitions. Their values are not
/// parameters.
const CONTENT: [&str; 4] = ["messages", "system", "toolConfig", "tools"];
/// Those that contain tool definitions, or the format of the output. A schema in them can have a
/// property such as `image`, but they contain no media.
const SCHEMAS: [&str; 5] = [
    "toolConfig",
    "tools",
    "output_config",
    "output_format",
    "response_format",
];

/// A body that complies with the operator's settings.
#[derive(Debug)]
pub(in crate::grpc) struct NativeBody<'b> {
    pub(in crate::grpc) json: Cow<'b, str>,
    /// The maximum number of output tokens, if it is known.
    pub(in crate::grpc) max_tokens: Option<u64>,
    /// What Bedrock bills in addition to tokens.
    pub(in crate::grpc) units: BodyUnits,
}

/// The facts about the models that may be called.
pub(in crate::grpc) struct NativeModels<'a> {
    /// The format, if it is known and the same for all models.
    pub(in crate::grpc) format: Option<NativeFormat>,
    /// The model ID for error messages.
    pub(in crate::grpc) model_id: &'a str,
    /// The target's name for error messages.
    pub(in crate::grpc) target: &'a str,
    /// Whether a cost limit applies to the call, and the price is for one result.
    pub(in crate::grpc) one_result: bool,
}

impl Enforced<'_> {
    /// Applies all rules to the settings of a request that HTTP carries in headers. Only the fields
    /// of these settings are set in `settings`.
    ///
    /// # Errors
    /// Returns all settings that the operator does not allow.
    pub(in crate::grpc) fn apply_to_settings(
        &self,
        settings: &mut ConverseInput,
    ) -> Result<(), Failure> {
        self.apply(settings).map_err(|mut violations| {
            for violation in &mut violations {
                if let Some(field) = violation.field.strip_prefix("input.") {
                    violation.field = field.to_owned();
                }
            }
            Failure::invalid_request(violations)
        })
    }

    /// Applies all rules to a body.
    ///
    /// # Errors
    /// Fails if the body contains anything that the operator does not allow, or if a setting cannot
    /// be applied to it.
    pub(in crate::grpc) fn apply_to_body<'b>(
        &self,
        models: &NativeModels<'_>,
        body: &'b [u8],
        stop: &Stop,
    ) -> Result<NativeBody<'b>, Failure> {
        let json = std::str::from_utf8(body).map_err(|_| self.unreadable("it is not UTF-8"))?;
        check_until(json, stop).map_err(|why| match why {
            NotJson::Stopped => Failure::new(Reason::Cancelled, "the client cancelled the call"),
            NotJson::TooDeep | NotJson::Malformed { .. } => self.unreadable(&why.to_string()),
        })?;
        let mut out = Violations::until(stop.clone());
        let mut walked = Ok(Found::Other);
        let mut places = Places::default();
        let mut units = BodyUnits::new(models.format);
        out.field("body", |out| {
            walked = self.check_body(models, json, (&mut places, &mut units), out);
        });
        out.finish()
            .map_err(|violations| Failure::invalid_request(places.name(violations)))?;
        let found = walked.map_err(|syntax| self.unreadable(syntax.what))?;
        let known = |max_tokens: Option<u64>, units: BodyUnits| NativeBody {
            json: Cow::Borrowed(json),
            max_tokens,
            units,
        };
        let Some(ceiling) = self.policy.max_tokens else {
            return Ok(known(found.max_tokens(), units));
        };
        let ceiling = u64::from(ceiling.unsigned_abs());
        let Some(format) = models.format else {
            return Err(refused(format!(
                "limits.max_tokens or a limit on tokens or money applies to this call, but the gateway does not know the format of {}; use InferenceService, or ask the operator to set targets.{}.body_format",
                models.model_id, models.target
            )));
        };
        let Some(MaxTokens { path, alternative }) = format.max_tokens() else {
            return Ok(known(Some(0), units));
        };
        let name = path.join(".");
        match found {
            Found::Number(number) => Ok(known(Some(number), units)),
            Found::Absent(at) => Ok(NativeBody {
                json: Cow::Owned(insert(json, at, path, ceiling)),
                max_tokens: Some(ceiling),
                units,
            }),
            Found::Twice => {
                let other = alternative.map_or_else(String::new, |other| format!(" or `{other}`"));
                Err(refused(format!(
                    "limits.max_tokens cannot be applied: the body has `{name}`{other} twice; send it once"
                )))
            }
            Found::Other => Err(refused(format!(
                "limits.max_tokens cannot be applied: `{name}` must be an integer from 1 to {ceiling}, without a fraction or an exponent, and the body must be an object"
            ))),
        }
    }

    /// Checks all values of a body, and finds its maximum number of output tokens.
    fn check_body(
        &self,
        models: &NativeModels<'_>,
        json: &str,
        (places, units): (&mut Places, &mut BodyUnits),
        out: &mut Violations,
    ) -> Result<Found, Syntax> {
        let none = S3Locations::default();
        let rules = Rules {
            enforced: self,
            locations: self.policy.s3_locations.as_ref().unwrap_or(&none),
        };
        let maximum = models.format.and_then(NativeFormat::max_tokens);
        let path = maximum.map_or(&[][..], |maximum| maximum.path);
        let alternative = maximum.and_then(|maximum| maximum.alternative);
        let value = |(in_fields, in_schemas): (bool, bool),
                     name: &str,
                     leaf: visit_json::Leaf<'_>,
                     units: &mut BodyUnits,
                     out: &mut Violations| {
            rules.value(in_fields, name, leaf, out);
            if !in_schemas {
                units.media.see(name, leaf);
            }
            if !in_fields {
                return;
            }
            units.value(name, leaf);
            if models.one_result && BodyUnits::asks_for_several(name, leaf) {
                out.add("a limit on money applies to this call, and the configured price is for one result: request only one");
            }
        };
        let mut reader = Reader::with_limit(json, MAX_DEPTH);
        if reader.peek()? != ValueKind::Object {
            places.visit("", json, "", out, |name, leaf, out| {
                value((true, false), name, leaf, units, out);
            });
            return Ok(Found::Other);
        }
        reader.enter_object()?;
        let mut found = Found::Absent(Place {
            at: reader.offset(),
            depth: 0,
            is_empty: true,
        });
        let mut first = true;
        let mut is_empty = true;
        while let Some(name) = reader.member(&mut first)? {
            is_empty = false;
            reader.peek()?;
            let start = reader.offset();
            let text = reader.skip()?;
            // Names are compared exactly and unescaped, as Bedrock's models compare them.
            let in_fields = !CONTENT.contains(&name.as_ref());
            // In an unknown format, any member can contain media.
            let in_schemas = models.format.is_some() && SCHEMAS.contains(&name.as_ref());
            places.visit(&name, text, &name, out, |name, leaf, out| {
                value((in_fields, in_schemas), name, leaf, units, out);
            });
            units.member(&name, text)?;
            if path.first().is_some_and(|known| *known == name) || alternative == Some(&*name) {
                let next = find(text, start, path.get(1..).unwrap_or_default(), 1)?;
                found = found.then(next);
            }
        }
        if let Found::Absent(place) = &mut found
            && place.depth == 0
        {
            place.is_empty = is_empty;
        }
        Ok(found)
    }

    fn unreadable(&self, why: &str) -> Failure {
        let mut settings = Vec::new();
        if self.policy.s3_locations.is_some() {
            settings.push("s3_locations");
        }
        if self.policy.max_tokens.is_some() {
            settings.push("limits.max_tokens");
        }
        if self.policy.enforced_guardrail().is_some() {
            settings.push("guardrail");
        }
        if self.policy.service_tiers.is_some() {
            settings.push("service_tiers");
        }
        let problem = if settings.is_empty() {
            "the gateway cannot check the body for objects in Amazon S3".to_owned()
        } else {
            format!("{} cannot be applied", settings.join(", "))
        };
        refused(format!(
            "{problem}: the body is not JSON: {why}; send JSON in UTF-8"
        ))
    }
}

fn refused(message: String) -> Failure {
    Failure::new(Reason::BodyNotEnforceable, message)
}

/// The maximum number of violations whose position in the body is looked up. Each lookup takes
/// another pass over a member.
const MAX_PLACES: usize = 4;

/// The positions of violations in a body.
#[derive(Debug, Default)]
struct Places {
    /// The index in the list of violations, and the JSON Pointer.
    found: Vec<(usize, String)>,
}

impl Places {
    /// Visits the values of a member, and records the positions of violations that `value` adds.
    /// The pointer of the whole body is empty.
    fn visit(
        &mut self,
        member: &str,
        json: &str,
        name: &str,
        out: &mut Violations,
        mut value: impl FnMut(&str, visit_json::Leaf<'_>, &mut Violations),
    ) {
        let mut index = 0;
        visit_json::visit(json, name, &mut |name, leaf| {
            let before = out.listed();
            value(name, leaf, out);
            if out.listed() > before && self.found.len() < MAX_PLACES {
                let mut pointer = match member {
                    "" => String::new(),
                    member => visit_json::step(member),
                };
                pointer.push_str(&visit_json::pointer(json, index));
                self.found.push((before, pointer));
            }
            index += 1;
        });
    }

    /// Adds the positions to the descriptions of violations.
    fn name(self, mut violations: Vec<Violation>) -> Vec<Violation> {
        for (at, pointer) in self.found {
            if let Some(violation) = violations.get_mut(at)
                && !pointer.is_empty()
            {
                violation.description = format!("{}: {}", Shown(&pointer), violation.description);
            }
        }
        violations
    }
}

/// The position at which a member can be added.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// The offset after the opening brace of the object.
    at: usize,
    /// The number of steps of the path that lead to the object.
    depth: usize,
    is_empty: bool,
}

/// The value at the path of the maximum number of output tokens in a body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Absent(Place),
    /// A whole number of at least 1. The rules have already compared it with the operator's
    /// maximum.
    Number(u64),
    /// The path exists twice. Models differ in which value they use.
    Twice,
    /// Another value, such as null. A model may treat it as absent.
    Other,
}

impl Found {
    /// Combines this result with that of another member of the same name.
    fn then(self, next: Self) -> Self {
        match self {
            Self::Absent(Place { depth: 0, .. }) => next,
            _ => Self::Twice,
        }
    }

    const fn max_tokens(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// Finds the remaining path in a value. `start` is the offset of the value's text in the body.
fn find(text: &str, start: usize, path: &[&str], depth: usize) -> Result<Found, Syntax> {
    let mut reader = Reader::with_limit(text, MAX_DEPTH);
    let kind = reader.peek()?;
    let Some((wanted, rest)) = path.split_first() else {
        let number = match kind {
            ValueKind::Number => reader.number()?.parse().ok().filter(|number| *number > 0),
            _ => None,
        };
        return Ok(number.map_or(Found::Other, Found::Number));
    };
    if kind != ValueKind::Object {
        return Ok(Found::Other);
    }
    reader.enter_object()?;
    let at = start + reader.offset();
    let mut found = None;
    let (mut first, mut is_empty) = (true, true);
    while let Some(name) = reader.member(&mut first)? {
        is_empty = false;
        reader.peek()?;
        let inner = start + reader.offset();
        let text = reader.skip()?;
        if name == *wanted {
            found = Some(match found {
                None => find(text, inner, rest, depth + 1)?,
                Some(_) => Found::Twice,
            });
        }
    }
    Ok(found.unwrap_or(Found::Absent(Place {
        at,
        depth,
        is_empty,
    })))
}

/// Returns a body with the maximum added. All other bytes are unchanged.
fn insert(json: &str, place: Place, path: &[&str], ceiling: u64) -> String {
    let rest = path.get(place.depth..).unwrap_or_default();
    let mut member = String::new();
    for name in rest {
        if !member.is_empty() {
            member.push('{');
        }
        member.push_str(&format!("\"{name}\":"));
    }
    member.push_str(&ceiling.to_string());
    member.push_str(&"}".repeat(rest.len().saturating_sub(1)));
    if !place.is_empty {
        member.push(',');
    }
    let mut with = String::with_capacity(json.len() + member.len());
    with.push_str(json.get(..place.at).unwrap_or_default());
    with.push_str(&member);
    with.push_str(json.get(place.at..).unwrap_or_default());
    with
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::limits::ModelUnits,
        aws::ModelIdKind,
        config::{ImageQuality, RequestPolicy},
    };

    const MESSAGES: NativeFormat = NativeFormat::Anthropic;
    const OPENAI: NativeFormat = NativeFormat::OpenAi;
    const TITAN: NativeFormat = NativeFormat::TitanText;

    /// Returns the body that is sent. If it is refused, returns the reason and the message.
    fn applied(format: Option<NativeFormat>, body: &[u8]) -> Result<String, String> {
        let policy = RequestPolicy {
            max_tokens: Some(50),
            ..RequestPolicy::default()
        };
        let enforced = Enforced {
            policy: &policy,
            attribution: super::super::Attribution::default(),
            kind: ModelIdKind::OnDemand,
        };
        let models = NativeModels {
            format,
            model_id: "a.model",
            target: "t",
            one_result: false,
        };
        let applied = enforced.apply_to_body(&models, body, &Stop::never());
        applied
            .map(|body| body.json.into_owned())
            .map_err(|failure| format!("{}: {}", failure.reason.as_str(), failure.message))
    }

    #[test]
    fn a_missing_maximum_is_added_and_nothing_else_changes() {
        for (format, body, expected) in [
            (MESSAGES, "{}", r#"{"max_tokens":50}"#),
            (
                MESSAGES,
                r#" { "a" : 1 }"#,
                r#" {"max_tokens":50, "a" : 1 }"#,
            ),
            (MESSAGES, r#"{"max_tokens":50}"#, r#"{"max_tokens":50}"#),
            // A number in the input of a tool is content, not a parameter.
            (
                MESSAGES,
                r#"{"messages":[{"max_tokens":900}],"max_tokens":1}"#,
                r#"{"messages":[{"max_tokens":900}],"max_tokens":1}"#,
            ),
            (
                TITAN,
                r#"{"inputText":"x"}"#,
                r#"{"textGenerationConfig":{"maxTokenCount":50},"inputText":"x"}"#,
            ),
            (
                TITAN,
                r#"{"textGenerationConfig": {},"inputText":"x"}"#,
                r#"{"textGenerationConfig": {"maxTokenCount":50},"inputText":"x"}"#,
            ),
            (
                TITAN,
                r#"{"inputText":"x","textGenerationConfig":{"topP":1}}"#,
                r#"{"inputText":"x","textGenerationConfig":{"maxTokenCount":50,"topP":1}}"#,
            ),
            (OPENAI, "{}", r#"{"max_completion_tokens":50}"#),
            (OPENAI, r#"{"max_tokens":7}"#, r#"{"max_tokens":7}"#),
            (
                OPENAI,
                r#"{"max_completion_tokens":7}"#,
                r#"{"max_completion_tokens":7}"#,
            ),
            // The other name of OpenAI is not that of this format.
            (
                MESSAGES,
                r#"{"max_completion_tokens":7}"#,
                r#"{"max_tokens":50,"max_completion_tokens":7}"#,
            ),
            (
                NativeFormat::TitanEmbedding,
                r#"{"inputText":"x"}"#,
                r#"{"inputText":"x"}"#,
            ),
        ] {
            let sent = applied(Some(format), body.as_bytes());
            assert_eq!(sent.as_deref(), Ok(expected), "{body}");
        }
    }

    /// Returns the units of a body.
    fn units(format: NativeFormat, body: &str) -> (ModelUnits, bool) {
        let policy = RequestPolicy::default();
        let enforced = Enforced {
            policy: &policy,
            attribution: super::super::Attribution::default(),
            kind: ModelIdKind::OnDemand,
        };
        let models = NativeModels {
            format: Some(format),
            model_id: "a.model",
            target: "t",
            one_result: false,
        };
        let stop = Stop::never();
        let applied = enforced.apply_to_body(&models, body.as_bytes(), &stop);
        let units = applied.unwrap().units;
        (units.units(500), units.has_timed_media())
    }

    #[test]
    fn images_of_a_body_have_a_number_a_size_and_a_quality() {
        use ImageQuality::{Premium, Standard};

        for (config, expected) in [
            ("", (1, None, Some(Standard))),
            (
                r#""numberOfImages":3,"width":512,"height":768,"quality":"premium""#,
                (3, Some(768), Some(Premium)),
            ),
            // A size needs both sides, and an unknown quality has no tier.
            (
                r#""numberOfImages":1.5,"width":512,"quality":"best""#,
                (2, None, None),
            ),
            // The highest number applies, however it is written. Two widths have no tier.
            (
                r#""numberOfImages":"4","numberOfImages":2,"width":9,"width":2048,"height":1"#,
                (4, None, Some(Standard)),
            ),
            (
                r#""quality":"premium","quality":"standard","n":-7,"width":-1,"height":0"#,
                (1, None, None),
            ),
            (
                r#""numberOfImages":1e400"#,
                (u64::MAX, None, Some(Standard)),
            ),
            (r#""numberOfImages":null"#, (1, None, Some(Standard))),
        ] {
            let body = format!(
                r#"{{"taskType":"TEXT_IMAGE","textToImageParams":{{"text":"4 images"}},"imageGenerationConfig":{{{config}}}}}"#
            );
            let (units, _) = units(NativeFormat::AmazonImage, &body);
            let found = (units.images, units.image_side, units.image_quality);
            assert_eq!(found, expected, "{config}");
            assert_eq!((units.queries, units.input_images), (0, 0), "{config}");
        }
    }

    #[test]
    fn queries_have_up_to_100_documents() {
        let body = |documents: &[String], query: &str| {
            let documents = documents.join(",");
            format!(r#"{{"query":"{query}","documents":[{documents}]}}"#)
        };
        let texts =
            |count: usize, length: usize| vec![format!(r#""{}""#, "x".repeat(length)); count];
        for (documents, query, queries) in [
            (texts(1, 1), 1, 1),
            (texts(0, 1), 1, 1),
            (texts(100, 10), 10, 1),
            (texts(101, 10), 10, 2),
            (texts(350, 10), 10, 4),
            // Two quotes of each text count, too.
            (texts(100, 396), 100, 1),
            (texts(100, 397), 100, 2),
            (vec![r#"{"text":"x"}"#.to_owned(); 101], 1, 2),
        ] {
            let body = body(&documents, &"q".repeat(query));
            let (units, _) = units(NativeFormat::Rerank, &body);
            assert_eq!(units.queries, queries, "{} {query}", documents.len());
        }
        let (twice, _) = units(
            NativeFormat::Rerank,
            &format!(
                r#"{{"documents":[{0}],"documents":[{0}]}}"#,
                texts(60, 1).join(",")
            ),
        );
        assert_eq!(twice.queries, 2);
    }

    #[test]
    fn images_and_media_of_embeddings_are_counted() {
        use NativeFormat::{CohereEmbedding, NovaEmbedding, TitanEmbedding};

        for (format, body, expected) in [
            (TitanEmbedding, r#"{"inputText":"x"}"#, (0, false)),
            (TitanEmbedding, r#"{"inputImage":"aGk="}"#, (1, false)),
            (CohereEmbedding, r#"{"images":["a","b"]}"#, (2, false)),
            (
                CohereEmbedding,
                r#"{"inputs":[{"content":[{"type":"image_url","image_url":"a"},{"type":"text","text":"images"},{"type":"image_url","image_url":{"url":"b"}}]}]}"#,
                (2, false),
            ),
            (
                NovaEmbedding,
                r#"{"singleEmbeddingParams":{"image":{"format":"png","source":{"bytes":"a"}}}}"#,
                (1, false),
            ),
            (
                NovaEmbedding,
                r#"{"singleEmbeddingParams":{"video":{"source":{"bytes":"a"}}}}"#,
                (0, true),
            ),
        ] {
            let (units, timed) = units(format, body);
            assert_eq!((units.input_images, timed), expected, "{body}");
        }
    }

    #[test]
    fn a_maximum_that_cannot_be_applied_is_refused() {
        for (format, body, words) in [
            (
                Some(MESSAGES),
                &br#"{"max_tokens":51}"#[..],
                "INVALID_REQUEST",
            ),
            (Some(MESSAGES), br#"{"max_tokens":"51"}"#, "INVALID_REQUEST"),
            (Some(MESSAGES), br#"{"max_tokens":5e9}"#, "INVALID_REQUEST"),
            (
                Some(MESSAGES),
                br#"{"max_\u0074okens":51}"#,
                "INVALID_REQUEST",
            ),
            (
                Some(MESSAGES),
                br#"{"max_tokens":5,"MaxTokens":51}"#,
                "INVALID_REQUEST",
            ),
            (
                Some(MESSAGES),
                br#"{"max_tokens":5,"max_tokens":6}"#,
                "`max_tokens` twice",
            ),
            (
                Some(MESSAGES),
                br#"{"max_tokens":5,"max_\u0074okens":6}"#,
                "twice",
            ),
            (
                Some(MESSAGES),
                br#"{"max_tokens":null}"#,
                "must be an integer",
            ),
            (Some(MESSAGES), br#"{"max_tokens":0}"#, "must be an integer"),
            (
                Some(MESSAGES),
                br#"{"max_tokens":{}}"#,
                "must be an integer",
            ),
            (Some(MESSAGES), br#"[1]"#, "must be an object"),
            (Some(MESSAGES), br#"{"a":1"#, "is not JSON"),
            (Some(MESSAGES), b"{\"a\":\"\xff\"}", "not UTF-8"),
            (Some(MESSAGES), b"\xef\xbb\xbf{}", "is not JSON"),
            (
                Some(TITAN),
                br#"{"textGenerationConfig":{"maxTokenCount":5},"textGenerationConfig":{}}"#,
                "`textGenerationConfig.maxTokenCount` twice",
            ),
            (
                Some(TITAN),
                br#"{"textGenerationConfig":{"maxTokenCount":5,"maxTokenCount":5}}"#,
                "twice",
            ),
            (
                Some(TITAN),
                br#"{"textGenerationConfig":null}"#,
                "must be an integer",
            ),
            (
                Some(OPENAI),
                br#"{"max_tokens":5,"max_completion_tokens":5}"#,
                "`max_completion_tokens` or `max_tokens` twice",
            ),
            (Some(OPENAI), br#"{"max_tokens":51}"#, "INVALID_REQUEST"),
            (None, b"{}", "does not know the format of a.model"),
            (None, b"{}", "set targets.t.body_format"),
        ] {
            let refused = applied(format, body).expect_err(&String::from_utf8_lossy(body));
            assert!(refused.contains(words), "{refused}");
        }
    }
}
