//! Rules for citations in the history, and for search results that the model can cite.

use super::common::required_text;
use super::path::Violations;
use crate::pb;

pub(super) fn citations_content(block: &pb::CitationsContentBlock, out: &mut Violations) {
    out.items("content", &block.content, |content, out| {
        if content.content.is_none() {
            out.missing("is empty: set `text`");
        }
    });
    out.items("citations", &block.citations, |citation, out| {
        out.items(
            "source_content",
            &citation.source_content,
            |content, out| {
                if content.content.is_none() {
                    out.missing("is empty: set `text`");
                }
            },
        );
        if let Some(place) = &citation.location {
            out.field("location", |out| location(place, out));
        }
    });
}

fn location(place: &pb::CitationLocation, out: &mut Violations) {
    use pb::citation_location::Location;

    match &place.location {
        None => out.missing(
            "is empty: set one of web, document_char, document_page, document_chunk, search_result_location",
        ),
        Some(Location::Web(_)) => {}
        Some(Location::DocumentChar(range)) => out.field("document_char", |out| document(range, out)),
        Some(Location::DocumentPage(range)) => out.field("document_page", |out| document(range, out)),
        Some(Location::DocumentChunk(range)) => out.field("document_chunk", |out| document(range, out)),
        Some(Location::SearchResultLocation(range)) => out.field("search_result_location", |out| {
            count("search_result_index", range.search_result_index, out);
            count("start", range.start, out);
            count("end", range.end, out);
        }),
    }
}

fn document(range: &pb::DocumentRange, out: &mut Violations) {
    count("document_index", range.document_index, out);
    count("start", range.start, out);
    count("end", range.end, out);
}

fn count(field: &'static str, value: Option<i32>, out: &mut Violations) {
    if let Some(value) = value.filter(|value| *value < 0) {
        out.add_at(field, format_args!("{value} is negative: count from 0"));
    }
}

pub(super) fn search_result(block: &pb::SearchResultBlock, out: &mut Violations) {
    required_text("source", &block.source, out);
    required_text("title", &block.title, out);
    if block.content.is_empty() {
        out.no_items_at("content", "is required: give at least one part");
    }
    out.items("content", &block.content, |part, out| {
        required_text("text", &part.text, out);
    });
}
