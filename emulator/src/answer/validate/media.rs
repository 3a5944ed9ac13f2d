//! Checks images, documents, videos and audio. Most rules depend on the model. The limits are from
//! the documentation of Converse, Claude and Nova.

use serde_json::Value;

use super::{
    super::json::{at, list, member, text_at},
    sampling::claude_version,
    text::document_name,
};

/// The maximum number of images for Claude. Bedrock itself has no limit.
const MAX_CLAUDE_IMAGES: usize = 20;
/// The maximum size of an image for Claude: 3.75 MB.
const MAX_CLAUDE_IMAGE_BYTES: usize = 3_932_160;
const MAX_DOCUMENTS: usize = 5;
/// The maximum number of documents in Amazon S3 for Nova.
const MAX_NOVA_S3_DOCUMENTS: usize = 1_000;
/// The maximum size of a document: 4.5 MB.
const MAX_DOCUMENT_BYTES: usize = 4_718_592;
/// The maximum size of a video or audio file in the body: 25 MB.
const LARGEST_MEDIA: usize = 25_000_000;

/// A media block, and its position in the request.
struct Item<'a> {
    kind: &'static str,
    content: &'a Value,
    place: String,
}

pub(super) fn check(model_id: &str, request: &Value) -> Result<(), String> {
    let family = Family::of(model_id);
    let items = items(request);
    let of_kind = |kind| items.iter().filter(move |item| item.kind == kind);
    if matches!(family, Family::Claude(_)) && of_kind("image").count() > MAX_CLAUDE_IMAGES {
        return Err(format!(
            "You can't include more than {MAX_CLAUDE_IMAGES} images in a request."
        ));
    }
    let in_s3 = of_kind("document")
        .filter(|item| at(item.content, &["source", "s3Location"]).is_some())
        .count();
    let in_request = of_kind("document").count() - in_s3;
    let (counted, most) = match family {
        Family::Nova if in_request <= MAX_DOCUMENTS => (in_s3, MAX_NOVA_S3_DOCUMENTS),
        Family::Nova => (in_request, MAX_DOCUMENTS),
        Family::Claude(_) | Family::Other => (in_request + in_s3, MAX_DOCUMENTS),
    };
    if counted > most {
        return Err(format!(
            "You can't include more than {most} documents in a request."
        ));
    }
    for item in &items {
        size(family, item)?;
        if item.kind == "document" {
            document(item)?;
        }
    }
    let names: Vec<&str> = items
        .iter()
        .filter(|item| item.kind == "document")
        .filter_map(|item| text_at(item.content, &["name"]))
        .collect();
    match names.iter().enumerate().any(|(index, name)| names.iter().take(index).any(|other| other == name)) {
        true => Err("Messages can't contain duplicate document names. Rename the document and retry your request.".to_owned()),
        false => Ok(()),
    }
}

/// The model families with special rules.
#[derive(Clone, Copy)]
enum Family {
    /// Claude, and whether it is Claude 4 or later.
    Claude(bool),
    Nova,
    Other,
}

impl Family {
    fn of(model_id: &str) -> Self {
        if model_id.contains("anthropic.") {
            Self::Claude(claude_version(model_id).is_none_or(|version| version >= (4, 0)))
        } else if model_id.contains("amazon.nova") {
            Self::Nova
        } else {
            Self::Other
        }
    }
}

/// Returns the media blocks in messages and in tool results.
fn items(request: &Value) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    for (index, message) in list(request, "messages").iter().enumerate() {
        for (position, block) in list(message, "content").iter().enumerate() {
            let place = format!("messages.{index}.content.{position}");
            collect(block, &place, &mut items);
            for (inner, block) in at(block, &["toolResult"])
                .map_or(&[][..], |result| list(result, "content"))
                .iter()
                .enumerate()
            {
                collect(
                    block,
                    &format!("{place}.toolResult.content.{inner}"),
                    &mut items,
                );
            }
        }
    }
    items
}

fn collect<'a>(block: &'a Value, place: &str, items: &mut Vec<Item<'a>>) {
    for kind in ["image", "document", "video", "audio"] {
        if let Some(content) = member(block, kind) {
            items.push(Item {
                kind,
                content,
                place: format!("{place}.{kind}"),
            });
        }
    }
}

fn size(family: Family, item: &Item<'_>) -> Result<(), String> {
    let format = text_at(item.content, &["format"]).unwrap_or_default();
    let largest = match (item.kind, family, format) {
        ("image", Family::Claude(_), _) => MAX_CLAUDE_IMAGE_BYTES,
        ("image", Family::Nova | Family::Other, _) => usize::MAX,
        ("document", Family::Claude(true), "pdf") => usize::MAX,
        ("document", Family::Nova, "pdf" | "docx") => usize::MAX,
        ("document", _, _) => MAX_DOCUMENT_BYTES,
        _ => LARGEST_MEDIA,
    };
    let encoded = text_at(item.content, &["source", "bytes"]).unwrap_or_default();
    let bytes = encoded.trim_end_matches('=').len() / 4 * 3
        + encoded.trim_end_matches('=').len() % 4 * 3 / 4;
    if bytes > largest {
        return Err(format!(
            "The {} at {} has {bytes} bytes, which is more than the maximum of {largest} bytes. Reduce its size, and try again.",
            item.kind, item.place
        ));
    }
    Ok(())
}

fn document(Item { content, place, .. }: &Item<'_>) -> Result<(), String> {
    if !text_at(content, &["name"]).is_some_and(document_name) {
        return Err("The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and \
                    square brackets. The name can't contain more than one consecutive whitespace character. Check that the file name \
                    conforms to these restrictions and retry your request."
            .to_owned());
    }
    let source = member(content, "source").unwrap_or(&Value::Null);
    let in_text = ["text", "content"]
        .iter()
        .any(|kind| member(source, kind).is_some());
    let cites = at(content, &["citations", "enabled"])
        .and_then(Value::as_bool)
        .unwrap_or(false);
    if in_text && !cites {
        return Err(format!(
            "DocumentSource object at {place}.source must set one of the following keys: bytes, s3Location."
        ));
    }
    if !in_text && member(content, "format").is_none() {
        return Err(format!(
            "The format field in the DocumentBlock object at {place} is required when the source is bytes or s3Location."
        ));
    }
    Ok(())
}
