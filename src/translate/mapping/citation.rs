//! Contains the tables for citations and search results.

use crate::translate::table::{
    codec::{List, Optional, Required, RequiredList},
    object, union,
};

object!(CitationsConfig {
    "enabled" => enabled: Required,
});

object!(CitationsContentBlock {
    "content" => content: List,
    "citations" => citations: List,
});

union!(citation_generated_content::Content in CitationGeneratedContent.content {
    "text" => Text,
});

// The citation delta of ConverseStream has the same members.
object!(Citation {
    "title" => title: Optional,
    "source" => source: Optional,
    "sourceContent" => source_content: List,
    "location" => location: Optional,
});

union!(citation_source_content::Content in CitationSourceContent.content {
    "text" => Text,
});

union!(citation_location::Location in CitationLocation.location {
    "web" => Web,
    "documentChar" => DocumentChar,
    "documentPage" => DocumentPage,
    "documentChunk" => DocumentChunk,
    "searchResultLocation" => SearchResultLocation,
});

object!(WebLocation {
    "url" => url: Optional,
    "domain" => domain: Optional,
});

object!(DocumentRange {
    "documentIndex" => document_index: Optional,
    "start" => start: Optional,
    "end" => end: Optional,
});

object!(SearchResultLocation {
    "searchResultIndex" => search_result_index: Optional,
    "start" => start: Optional,
    "end" => end: Optional,
});

object!(SearchResultBlock {
    "source" => source: Required,
    "title" => title: Required,
    "content" => content: RequiredList,
    "citations" => citations: Optional,
});

object!(SearchResultContentBlock {
    "text" => text: Required,
});
