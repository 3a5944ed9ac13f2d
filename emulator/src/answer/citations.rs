//! Generates answers with citations, if the request enables citations of documents or search
//! results.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    draft::Content,
    json::{at, list, member, text_at},
    request::Request,
    text::{excerpt, sentences, words},
};

/// The maximum number of passages that an answer cites from each source.
const PASSAGES: usize = 2;

/// A passage of a source, and its position in the source.
struct Passage {
    text: String,
    citation: Value,
}

/// Returns the answer in pieces of text. Each piece that a source supports has a citation. `None`
/// if nothing should be cited.
pub(super) fn blocks(request: &Request<'_>) -> Option<Vec<Content>> {
    let passages = passages(request);
    if passages.is_empty() {
        return None;
    }
    let mut blocks = vec![Content::text(match request.prompt.trim() {
        "" => "According to your sources: ".to_owned(),
        prompt => format!("On \"{}\", your sources say this: ", excerpt(prompt, 10)),
    })];
    let count = passages.len();
    for (index, Passage { text, citation }) in passages.into_iter().enumerate() {
        let words = text.trim().trim_end_matches(['.', '!', '?', '。']);
        blocks.push(Content::Text {
            text: words.to_owned(),
            citations: vec![citation],
        });
        blocks.push(Content::text(if index + 1 == count {
            "."
        } else {
            ". Also: "
        }));
    }
    Some(blocks)
}

/// Returns the passages that match the prompt best, in the order of the request. Their indices
/// count the sources of the whole conversation.
fn passages(request: &Request<'_>) -> Vec<Passage> {
    let mut found = Vec::new();
    let (mut documents, mut results) = (0, 0);
    for block in request
        .messages()
        .iter()
        .flat_map(|message| list(message, "content"))
    {
        let inner = member(block, "toolResult").map_or(&[][..], |result| list(result, "content"));
        for block in std::iter::once(block).chain(inner) {
            if let Some(document) = member(block, "document") {
                if cites(document) {
                    found.extend(best(
                        document_passages(document, documents),
                        &request.prompt,
                    ));
                }
                documents += 1;
            }
            if let Some(result) = member(block, "searchResult") {
                if cites(result) {
                    found.extend(best(search_passages(result, results), &request.prompt));
                }
                results += 1;
            }
        }
    }
    found
}

fn cites(source: &Value) -> bool {
    at(source, &["citations", "enabled"])
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

fn best(mut passages: Vec<Passage>, prompt: &str) -> Vec<Passage> {
    let asked: HashSet<String> = words(prompt).into_iter().collect();
    let shared = |passage: &Passage| {
        words(&passage.text)
            .iter()
            .filter(|word| asked.contains(*word))
            .count()
    };
    let highest = passages.iter().map(shared).max().unwrap_or(0);
    passages.retain(|passage| !passage.text.trim().is_empty() && shared(passage) == highest);
    passages.truncate(PASSAGES);
    passages
}

fn document_passages(document: &Value, index: usize) -> Vec<Passage> {
    let title = text_at(document, &["name"]).unwrap_or_default();
    let passage = |text: &str, location: Value| Passage {
        text: text.to_owned(),
        citation: json!({"title": title, "sourceContent": [{"text": text}], "location": location}),
    };
    let source = member(document, "source").unwrap_or(&Value::Null);
    if let Some(text) = text_at(source, &["text"]) {
        return in_text(text)
            .map(|(start, end, sentence)| {
                passage(
                    sentence,
                    json!({"documentChar": {"documentIndex": index, "start": start, "end": end}}),
                )
            })
            .collect();
    }
    let chunks = list(source, "content");
    if !chunks.is_empty() {
        let chunk = |(number, chunk): (usize, &Value)| {
            let text = text_at(chunk, &["text"])?;
            Some(passage(
                text,
                json!({"documentChunk": {"documentIndex": index, "start": number, "end": number + 1}}),
            ))
        };
        return chunks.iter().enumerate().filter_map(chunk).collect();
    }
    let text = text_at(source, &["bytes"])
        .and_then(|bytes| STANDARD.decode(bytes).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.contains('\0') && !text.starts_with("%PDF"));
    match text {
        Some(text) => in_text(&text)
            .map(|(start, end, sentence)| {
                passage(
                    sentence,
                    json!({"documentChar": {"documentIndex": index, "start": start, "end": end}}),
                )
            })
            .collect(),
        // The emulator does not read PDF files or S3 objects, so it uses only their names.
        None => vec![passage(
            &format!("The first page of {title}."),
            json!({"documentPage": {"documentIndex": index, "start": 1, "end": 2}}),
        )],
    }
}

/// Returns the sentences of a text, each with its start and end in characters from 0. The end is
/// exclusive.
fn in_text(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let mut start = 0;
    sentences(text).map(move |sentence| {
        let end = start + sentence.chars().count();
        let place = (start, end, sentence);
        start = end;
        place
    })
}

fn search_passages(result: &Value, index: usize) -> Vec<Passage> {
    let member = |name| text_at(result, &[name]).unwrap_or_default();
    let (title, source) = (member("title"), member("source"));
    let passage = |(number, block): (usize, &Value)| {
        let text = text_at(block, &["text"])?;
        let location = json!({"searchResultLocation": {"searchResultIndex": index, "start": number, "end": number + 1}});
        Some(Passage {
            text: text.to_owned(),
            citation: json!({"title": title, "source": source, "sourceContent": [{"text": text}], "location": location}),
        })
    };
    list(result, "content")
        .iter()
        .enumerate()
        .filter_map(passage)
        .collect()
}
