//! Messages: roles, guarded content, citations.

use bedrock_grpc::pb::{self, Role, citation_location::Location, content_block::Content};

use super::request::{
    Accepted, Case, block, bytes, cache_point, citations, copy, guard_content, guard_image,
    guard_text, input, reasoning, search_result, text, tool_addition, tool_removal, video,
};

fn location(r: &mut pb::StreamInvokeRequest, location: Option<Location>) {
    citations(input(r)).citations[0].location = Some(pb::CitationLocation { location });
}

const NEGATIVE: Option<i32> = Some(-1);

pub(crate) const CASES: &[Case] = &[
    // Messages
    ("input.messages[0].role", &["required", "ROLE_USER"], |r| {
        input(r).messages[0].role = 0
    }),
    ("input.messages[0].role", &["42", "ROLE_USER"], |r| {
        input(r).messages[0].role = 42
    }),
    ("input.messages[2].content", &["at least one block"], |r| {
        input(r).messages[2].content.clear()
    }),
    (
        "input.messages[0].content[0]",
        &["empty", "tool_use"],
        |r| input(r).messages[0].content[0].content = None,
    ),
    ("input.messages[1].content[1].text", &["empty"], |r| {
        input(r).messages[1].content[1] = text("")
    }),
    // Content that each role allows
    (
        "input.messages[1].content[4].document",
        &["ROLE_ASSISTANT", "only in one of ROLE_USER"],
        |r| copy(r, (0, 2), 1),
    ),
    (
        "input.messages[1].content[4].video",
        &["ROLE_ASSISTANT"],
        |r| copy(r, (0, 3), 1),
    ),
    (
        "input.messages[3].content[2].audio",
        &["ROLE_SYSTEM"],
        |r| copy(r, (0, 4), 3),
    ),
    (
        "input.messages[1].content[4].search_result",
        &["ROLE_USER"],
        |r| copy(r, (0, 5), 1),
    ),
    (
        "input.messages[0].content[9].reasoning_content",
        &["ROLE_ASSISTANT"],
        |r| copy(r, (1, 0), 0),
    ),
    (
        "input.messages[0].content[9].citations_content",
        &["ROLE_ASSISTANT"],
        |r| copy(r, (1, 2), 0),
    ),
    (
        "input.messages[0].content[9].tool_use",
        &["ROLE_ASSISTANT"],
        |r| copy(r, (1, 3), 0),
    ),
    (
        "input.messages[0].content[9].tool_addition",
        &["only in one of ROLE_SYSTEM"],
        |r| copy(r, (3, 0), 0),
    ),
    (
        "input.messages[1].content[4].tool_removal",
        &["only in one of ROLE_SYSTEM"],
        |r| copy(r, (3, 1), 1),
    ),
    // Content for the guardrail
    (
        "input.messages[0].content[6].guard_content",
        &["empty", "image"],
        |r| guard_content(input(r)).content = None,
    ),
    (
        "input.messages[0].content[6].guard_content.text.text",
        &["required"],
        |r| guard_text(input(r)).text.clear(),
    ),
    (
        "input.messages[0].content[6].guard_content.text.qualifiers[0]",
        &["required", "QUERY"],
        |r| guard_text(input(r)).qualifiers[0] = 0,
    ),
    (
        "input.messages[0].content[6].guard_content.text.qualifiers[1]",
        &["8", "QUERY"],
        |r| guard_text(input(r)).qualifiers.push(8),
    ),
    (
        "input.messages[0].content[7].guard_content.image.format",
        &["PNG and JPEG"],
        |r| guard_image(input(r)).format = pb::ImageFormat::Gif.into(),
    ),
    (
        "input.messages[0].content[7].guard_content.image.format_name",
        &["PNG and JPEG"],
        |r| {
            guard_image(input(r)).format = 0;
            guard_image(input(r)).format_name = "webp".into();
        },
    ),
    (
        "input.messages[0].content[7].guard_content.image.format",
        &["required"],
        |r| guard_image(input(r)).format = 0,
    ),
    (
        "input.messages[0].content[7].guard_content.image.source",
        &["required"],
        |r| guard_image(input(r)).source = None,
    ),
    (
        "input.messages[0].content[7].guard_content.image.source.bytes",
        &["empty"],
        |r| guard_image(input(r)).source = bytes(0),
    ),
    (
        "input.messages[0].content[7].guard_content.image.source.s3_location",
        &["Amazon S3"],
        |r| {
            guard_image(input(r)).source = video(input(r)).source.clone();
        },
    ),
    // Other rules
    (
        "input.messages[0].content[8].cache_point.type",
        &["2"],
        |r| cache_point(input(r)).r#type = 2,
    ),
    (
        "input.messages[0].content[8].cache_point.ttl",
        &["3"],
        |r| cache_point(input(r)).ttl = 3,
    ),
    (
        "input.messages[1].content[0].reasoning_content",
        &["empty", "reasoning_text"],
        |r| reasoning(input(r)).content = None,
    ),
    (
        "input.messages[1].content[2].citations_content.content[0]",
        &["text"],
        |r| citations(input(r)).content[0].content = None,
    ),
    (
        "input.messages[1].content[2].citations_content.citations[0].source_content[0]",
        &["text"],
        |r| {
            citations(input(r)).citations[0].source_content[0].content = None;
        },
    ),
    (
        "input.messages[1].content[2].citations_content.citations[0].location",
        &["web"],
        |r| location(r, None),
    ),
    (
        "input.messages[1].content[2].citations_content.citations[0].location.document_page.document_index",
        &["-1", "negative"],
        |r| {
            location(
                r,
                Some(Location::DocumentPage(pb::DocumentRange {
                    document_index: NEGATIVE,
                    ..Default::default()
                })),
            );
        },
    ),
    (
        "input.messages[1].content[2].citations_content.citations[0].location.document_chunk.start",
        &["negative"],
        |r| {
            location(
                r,
                Some(Location::DocumentChunk(pb::DocumentRange {
                    start: NEGATIVE,
                    ..Default::default()
                })),
            );
        },
    ),
    (
        "input.messages[1].content[2].citations_content.citations[0].location.document_char.end",
        &["negative"],
        |r| {
            location(
                r,
                Some(Location::DocumentChar(pb::DocumentRange {
                    end: NEGATIVE,
                    ..Default::default()
                })),
            );
        },
    ),
    (
        "input.messages[1].content[2].citations_content.citations[0].location.search_result_location.search_result_index",
        &["negative"],
        |r| {
            location(
                r,
                Some(Location::SearchResultLocation(pb::SearchResultLocation {
                    search_result_index: NEGATIVE,
                    ..Default::default()
                })),
            );
        },
    ),
    (
        "input.messages[0].content[5].search_result.source",
        &["required"],
        |r| search_result(input(r)).source.clear(),
    ),
    (
        "input.messages[0].content[5].search_result.title",
        &["required"],
        |r| search_result(input(r)).title.clear(),
    ),
    (
        "input.messages[0].content[5].search_result.content",
        &["at least one"],
        |r| search_result(input(r)).content.clear(),
    ),
    (
        "input.messages[0].content[5].search_result.content[0].text",
        &["required"],
        |r| search_result(input(r)).content[0].text.clear(),
    ),
    (
        "input.messages[3].content[0].tool_addition.tool",
        &["required"],
        |r| tool_addition(input(r)).tool = None,
    ),
    (
        "input.messages[3].content[0].tool_addition.tool.type",
        &["empty"],
        |r| {
            tool_addition(input(r)).tool.get_or_insert_default().r#type = Some(String::new());
        },
    ),
    (
        "input.messages[3].content[1].tool_removal.tool.name",
        &["128"],
        |r| {
            tool_removal(input(r)).tool.get_or_insert_default().name = Some("x".repeat(129));
        },
    ),
    (
        "input.messages[3].content[1].tool_removal.tool.server_name",
        &["128"],
        |r| {
            tool_removal(input(r))
                .tool
                .get_or_insert_default()
                .server_name = Some("x".repeat(129));
        },
    ),
];

pub(crate) const ACCEPTED: &[Accepted] = &[
    ("an image in an answer", |r| copy(r, (0, 1), 1)),
    ("an answer without blocks", |r| {
        input(r).messages[1].content.clear()
    }),
    ("two messages of the same role", |r| {
        input(r).messages.push(pb::Message {
            role: Role::System.into(),
            content: vec![text("x")],
        })
    }),
    ("white space as text", |r| {
        input(r).messages[0].content[0] = text(" ")
    }),
    ("a document beside guarded text", |r| {
        input(r).messages[0].content.remove(0);
    }),
    ("a tool result of a tool that Bedrock ran", |r| {
        copy(r, (2, 0), 1)
    }),
    ("redacted reasoning", |r| {
        reasoning(input(r)).content = Some(pb::reasoning_content_block::Content::RedactedContent(
            vec![1].into(),
        ));
    }),
    ("a citation from the web", |r| {
        location(r, Some(Location::Web(Default::default())))
    }),
    ("a citation without a location", |r| {
        citations(input(r)).citations[0].location = None
    }),
    ("an empty reference of a tool", |r| {
        tool_addition(input(r)).tool = Some(Default::default())
    }),
    ("a cache point for the assistant", |r| {
        let point = Content::CachePoint(Default::default());
        input(r).messages[1].content.push(block(point));
    }),
];
