//! Rules for images, documents, video, audio, and their sources.

use super::common::{UnknownNumber, Word, longer_than, required_text};
use super::path::{Shown, Violations};
use crate::pb;

/// The maximum length of an S3 URI, in characters. Source: Bedrock's service model.
const MAX_URI_CHARS: usize = 1024;

/// The rule for a document's name. Bedrock accepts `_`, although its documentation does not list
/// it.
const DOCUMENT_NAME: Word = Word {
    max: 200,
    set: "letters, digits, single spaces and `-_()[]`",
    allowed: |c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '(' | ')' | '[' | ']'),
};

/// The rule for a format's name. Only the characters are checked, because Bedrock decides which
/// formats exist.
const FORMAT_NAME: Word = Word {
    max: 64,
    set: "lower-case letters, digits and `._+-`",
    allowed: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._+-".contains(c),
};

pub(super) fn image(block: &pb::ImageBlock, out: &mut Violations) {
    format(
        &Format::of::<pb::ImageFormat>(block.format, &block.format_name),
        out,
    );
    source(block.source.as_ref(), out);
}

/// Checks an image that a guardrail assesses. Guardrails accept fewer formats than models, and only
/// bytes as the source.
pub(super) fn guard_image(block: &pb::GuardrailConverseImageBlock, out: &mut Violations) {
    const RIGHT: &str = "guardrails support PNG and JPEG only";
    let name = block.format_name.as_str();
    match pb::ImageFormat::try_from(block.format) {
        Ok(pb::ImageFormat::Gif | pb::ImageFormat::Webp) => out.add_at("format", RIGHT),
        _ if matches!(name, "gif" | "webp") => out.add_at("format_name", RIGHT),
        _ => format(&Format::of::<pb::ImageFormat>(block.format, name), out),
    }
    if let Some(pb::MediaSource {
        source: Some(pb::media_source::Source::S3Location(_)),
    }) = &block.source
    {
        out.field("source", |out| {
            out.add_at(
                "s3_location",
                "Amazon S3 is not supported for guardrails: use `bytes`",
            );
        });
    } else {
        source(block.source.as_ref(), out);
    }
}

pub(super) fn video(block: &pb::VideoBlock, out: &mut Violations) {
    format(
        &Format::of::<pb::VideoFormat>(block.format, &block.format_name),
        out,
    );
    source(block.source.as_ref(), out);
}

pub(super) fn audio(block: &pb::AudioBlock, out: &mut Violations) {
    format(
        &Format::of::<pb::AudioFormat>(block.format, &block.format_name),
        out,
    );
    source(block.source.as_ref(), out);
}

pub(super) fn document(block: &pb::DocumentBlock, out: &mut Violations) {
    use pb::document_source::Source;

    let source = block
        .source
        .as_ref()
        .and_then(|source| source.source.as_ref());
    let format_is_known = matches!(source, Some(Source::Text(_) | Source::Content(_)));
    if !(format_is_known && block.format == 0 && block.format_name.is_empty()) {
        format(
            &Format::of::<pb::DocumentFormat>(block.format, &block.format_name),
            out,
        );
    }

    DOCUMENT_NAME.required("name", &block.name, out);
    if block.name.contains("  ") {
        out.add_at(
            "name",
            format_args!("{} has more than one space in a row", Shown(&block.name)),
        );
    }

    out.field("source", |out| match source {
        None => out.missing("is required: set one of bytes, s3_location, text, content"),
        Some(Source::Bytes(content)) => bytes(content, out),
        Some(Source::S3Location(location)) => s3_location(location, out),
        // The service model does not limit the length of this text.
        Some(Source::Text(_)) => {}
        Some(Source::Content(content)) => out.field("content", |out| chunks(content, out)),
    });
}

fn chunks(content: &pb::DocumentContent, out: &mut Violations) {
    if content.blocks.is_empty() {
        out.no_items_at("blocks", "is required: add at least one chunk");
    }
    out.items("blocks", &content.blocks, |block, out| {
        if block.content.is_none() {
            out.missing("is empty: set `text`");
        }
    });
}

fn source(source: Option<&pb::MediaSource>, out: &mut Violations) {
    use pb::media_source::Source;

    out.field("source", |out| {
        match source.and_then(|source| source.source.as_ref()) {
            None => out.missing("is required: set one of bytes, s3_location"),
            Some(Source::Bytes(content)) => bytes(content, out),
            Some(Source::S3Location(location)) => s3_location(location, out),
        }
    });
}

/// Checks that a file is not empty. Bedrock checks the maximum size, which depends on the model and
/// the format.
fn bytes(content: &[u8], out: &mut Violations) {
    if content.is_empty() {
        out.add_at("bytes", "is empty: send the bytes of the file");
    }
}

fn s3_location(location: &pb::S3Location, out: &mut Violations) {
    out.field("s3_location", |out| {
        let uri = location.uri.as_str();
        if uri.is_empty() {
            required_text("uri", uri, out);
        } else if longer_than(uri, MAX_URI_CHARS) {
            out.add_at(
                "uri",
                format_args!("is too long: at most {MAX_URI_CHARS} characters are allowed"),
            );
        } else if !is_s3_uri(uri) {
            out.add_at(
                "uri",
                format_args!(
                    "{} is not an Amazon S3 URI: use `s3://bucket/key`",
                    Shown(uri)
                ),
            );
        }
        if let Some(owner) = &location.bucket_owner
            && !(owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit()))
        {
            out.add_at(
                "bucket_owner",
                format_args!("{} is not an AWS account ID: use 12 digits", Shown(owner)),
            );
        }
    });
}

/// Returns whether a text is the URI of an object in Amazon S3.
///
/// Source: Bedrock's service model, `s3://[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9](/.*)?`, where `.` does
/// not match line breaks.
fn is_s3_uri(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("s3://") else {
        return false;
    };
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let at_the_ends = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inside = |byte: &u8| at_the_ends(byte) || matches!(byte, b'.' | b'-');
    let bucket = bucket.as_bytes();
    (3..=63).contains(&bucket.len())
        && bucket.iter().all(inside)
        && bucket.first().is_some_and(at_the_ends)
        && bucket.last().is_some_and(at_the_ends)
        && !key.contains(char::is_control)
}

/// A format in a request: an enum number, Bedrock's name for the format, or both.
struct Format<'a> {
    /// The name of the enum value in the proto, without its prefix. `Err` contains the number if it
    /// is unknown.
    number: Result<Option<&'static str>, i32>,
    name: &'a str,
}

/// An enum of formats, whose values are named `<PREFIX>_<NAME>`.
trait FormatEnum: TryFrom<i32> {
    const PREFIX: &'static str;
    fn proto_name(&self) -> &'static str;
}

macro_rules! format_enums {
    ($($name:ident $prefix:literal),*) => {$(
        impl FormatEnum for pb::$name {
            const PREFIX: &'static str = $prefix;
            fn proto_name(&self) -> &'static str {
                self.as_str_name()
            }
        }
    )*};
}
format_enums!(ImageFormat "IMAGE_FORMAT_", DocumentFormat "DOCUMENT_FORMAT_", VideoFormat "VIDEO_FORMAT_", AudioFormat "AUDIO_FORMAT_");

impl<'a> Format<'a> {
    fn of<E: FormatEnum>(number: i32, name: &'a str) -> Self {
        let number = match E::try_from(number) {
            _ if number == 0 => Ok(None),
            Ok(known) => Ok(known.proto_name().strip_prefix(E::PREFIX)),
            Err(_) => Err(number),
        };
        Self { number, name }
    }
}

fn format(format: &Format<'_>, out: &mut Violations) {
    let name = format.name;
    match format.number {
        Err(number) => out.add_at(
            "format",
            format_args!(
                "{}: use `format_name` for formats that this gateway does not know",
                UnknownNumber(number)
            ),
        ),
        Ok(None) if name.is_empty() => out.missing_at(
            "format",
            "is required: set the format of the file here or, as Bedrock names it, in `format_name`",
        ),
        Ok(Some(suffix)) if !name.is_empty() && !is_word_of(suffix, name) => out.add_at(
            "format_name",
            format_args!("{} contradicts `format`: set only one of them", Shown(name)),
        ),
        Ok(_) if !FORMAT_NAME.fits(name) => FORMAT_NAME.required("format_name", name, out),
        Ok(_) => {}
    }
}

/// Returns whether `word` is Bedrock's name for the enum value whose name ends with `suffix`.
fn is_word_of(suffix: &str, word: &str) -> bool {
    match suffix {
        // Only in this name does a hyphen correspond to the underscore of the enum value.
        "X_AAC" => word == "x-aac",
        _ => word.eq_ignore_ascii_case(suffix) && FORMAT_NAME.fits(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_formats() {
        for (suffix, word, same) in [
            ("PNG", "png", true),
            ("PNG", "PNG", false),
            ("PNG", "jpeg", false),
            ("THREE_GP", "three_gp", true),
            ("THREE_GP", "three-gp", false),
            ("X_AAC", "x-aac", true),
            ("X_AAC", "x_aac", false),
        ] {
            assert_eq!(is_word_of(suffix, word), same, "{suffix} {word}");
        }
    }

    #[test]
    fn s3_uris() {
        for good in [
            "s3://abc",
            "s3://a.b-c/",
            "s3://bucket/some key/ü.pdf",
            "s3://0bucket9/a",
        ] {
            assert!(is_s3_uri(good), "{good}");
        }
        let long = format!("s3://{}/a", "a".repeat(64));
        for bad in [
            "s3:/abc/a",
            "https://abc/a",
            "s3://ab/a",
            "s3://-bc/a",
            "s3://ab./a",
            "s3://Bucket/a",
            "s3://bucket/a\nb",
            "s3://",
            &long,
        ] {
            assert!(!is_s3_uri(bad), "{bad}");
        }
    }
}
