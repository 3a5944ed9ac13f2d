//! Defines the inputs of control-plane calls that have a body, as in the service model (botocore
//! 1.44.8).

use super::super::{
    catalogue::Arn,
    shape::{
        Shape,
        Shape::{List, Structure, Union},
        Size, Text, may, must,
    },
};

/// The input of CreateInferenceProfile.
pub(super) static CREATE_INFERENCE_PROFILE: Shape = Structure(&[
    must(
        "inferenceProfileName",
        &Shape::String(Text::length(1, 64).matching("([0-9a-zA-Z][ _-]?)+", name)),
    ),
    may(
        "description",
        &Shape::String(Text::length(1, 200).matching("([0-9a-zA-Z:.][ _-]?)+", description)),
    ),
    may(
        "clientRequestToken",
        &Shape::String(
            Text::length(1, 256).matching("[a-zA-Z0-9]([-a-zA-Z0-9]{0,254}[a-zA-Z0-9])?", token),
        ),
    ),
    must(
        "modelSource",
        &Union(
            "InferenceProfileModelSource",
            &[may(
                "copyFrom",
                &Shape::String(Text::length(1, 2048).matching(SOURCE, source)),
            )],
        ),
    ),
    may("tags", &TAGS),
]);

/// The input of ListTagsForResource.
pub(super) static LIST_TAGS: Shape = Structure(&[must("resourceARN", &RESOURCE)]);
/// The input of TagResource.
pub(super) static TAG: Shape = Structure(&[must("resourceARN", &RESOURCE), must("tags", &TAGS)]);
/// The input of UntagResource.
pub(super) static UNTAG: Shape = Structure(&[
    must("resourceARN", &RESOURCE),
    must("tagKeys", &List(&TAG_KEY, Size(0, 200))),
]);

const SOURCE: &str = "arn:aws(|-us-gov|-cn|-iso|-iso-b):bedrock:(|[0-9a-z-]{0,20}):(|[0-9]{12}):(inference-profile|foundation-model)/[a-zA-Z0-9-:.]+";
const TAG_TEXT: &str = "[a-zA-Z0-9\\s._:/=+@-]*";

static RESOURCE: Shape = Shape::String(Text::length(20, 1011));
static TAGS: Shape = List(
    &Structure(&[must("key", &TAG_KEY), must("value", &TAG_VALUE)]),
    Size(0, 200),
);
static TAG_KEY: Shape = Shape::String(Text::length(1, 128).matching(TAG_TEXT, tag_text));
static TAG_VALUE: Shape = Shape::String(Text::length(0, 256).matching(TAG_TEXT, tag_text));

/// Returns whether a text consists of characters for which `alone` is true, each optionally
/// followed by one space, `_` or `-`.
fn words(text: &str, alone: impl Fn(char) -> bool) -> bool {
    let mut after_one = false;
    for c in text.chars() {
        let one = alone(c);
        let joins = after_one && " _-".contains(c);
        if !(one || joins) {
            return false;
        }
        after_one = one;
    }
    !text.is_empty()
}

fn name(text: &str) -> bool {
    words(text, |c| c.is_ascii_alphanumeric())
}

fn description(text: &str) -> bool {
    words(text, |c| c.is_ascii_alphanumeric() || ":.".contains(c))
}

fn token(text: &str) -> bool {
    let at_ends = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(at_ends)
        && text.ends_with(at_ends)
        && text.chars().all(|c| at_ends(c) || c == '-')
}

fn source(text: &str) -> bool {
    Arn::parse(text).is_some_and(|arn| {
        matches!(arn.kind, "inference-profile" | "foundation-model")
            && (arn.account.is_empty() || arn.is_owned())
            && !arn.id.is_empty()
            && arn
                .id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-:.".contains(c))
    })
}

fn tag_text(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || c.is_whitespace() || "._:/=+@-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_service_model_says() {
        for (text, good) in [
            ("search-team", true),
            ("Search team_2-", true),
            ("a  b", false),
            ("-a", false),
            ("a.b", false),
            ("", false),
        ] {
            assert_eq!(name(text), good, "{text:?}");
        }
        assert!(description("Routes: to v1.0 of it."));
        assert!(token("a") && token("3f-b") && !token("-a") && !token("a-") && !token("a_b"));
        assert!(source(
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"
        ));
        assert!(!source(
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/emulator0001"
        ));
    }
}
