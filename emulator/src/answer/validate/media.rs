//! Rules of images, documents, videos and sounds. The figures are from Bedrock's documentation of Converse.

use serde_json::Value;

use super::{
    super::json::{at, list, member, text_at},
    text::document_name,
};

const MOST_IMAGES: usize = 20;
const MOST_DOCUMENTS: usize = 5;
/// 3.75 MB.
const LARGEST_IMAGE: usize = 3_932_160;
/// 4.5 MB.
const LARGEST_DOCUMENT: usize = 4_718_592;
/// 25 MB, for videos and sounds that are sent in the body.
const LARGEST_MEDIA: usize = 25_000_000;

/// A block of media and where it stands.
struct Item<'a> {
    kind: &'static str,
    content: &'a Value,
    place: String,
}

pub(super) fn check(request: &Value) -> Result<(), String> {
    let items = items(request);
    let count = |kind| items.iter().filter(|item| item.kind == kind).count();
    if count("image") > MOST_IMAGES {
        return Err(format!(
            "You can't include more than {MOST_IMAGES} images in a request."
        ));
    }
    if count("document") > MOST_DOCUMENTS {
        return Err(format!(
            "You can't include more than {MOST_DOCUMENTS} documents in a request."
        ));
    }
    for item in &items {
        size(item)?;
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

/// Media in messages and in tool results.
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

fn size(item: &Item<'_>) -> Result<(), String> {
    let largest = match item.kind {
        "image" => LARGEST_IMAGE,
        "document" => LARGEST_DOCUMENT,
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
