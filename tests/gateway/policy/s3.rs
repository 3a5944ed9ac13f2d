//! Objects in Amazon S3, which Bedrock reads with the gateway's role.

use bedrock_grpc::pb::{
    AudioBlock, AudioFormat, ContentBlock, DocumentBlock, DocumentFormat, DocumentSource,
    ImageBlock, ImageFormat, MediaSource, S3Location, StreamInvokeRequest, ToolResultBlock,
    ToolResultContentBlock, VideoBlock, VideoFormat, content_block::Content, document_source,
    media_source, tool_result_content_block,
};

use super::{gateway, refused, sent, with_fields, with_raw};
use crate::harness::ask;

const ALLOWED: &str = "
s3_locations: ['s3://shared/', 's3://media']
targets:
  t: {model_id: 'amazon.nova-lite-v1:0', s3_locations: ['s3://shared/team-a/']}
";
const NOTHING: &str = "targets: {t: {model_id: 'amazon.nova-lite-v1:0'}}";

fn at(uri: &str) -> S3Location {
    S3Location {
        uri: uri.to_owned(),
        bucket_owner: None,
    }
}

fn media(uri: &str) -> Option<MediaSource> {
    Some(MediaSource {
        source: Some(media_source::Source::S3Location(at(uri))),
    })
}

fn image(uri: &str) -> ImageBlock {
    ImageBlock {
        format: ImageFormat::Png.into(),
        source: media(uri),
        ..ImageBlock::default()
    }
}

fn document(uri: &str) -> DocumentBlock {
    DocumentBlock {
        format: DocumentFormat::Pdf.into(),
        name: "a".to_owned(),
        source: Some(DocumentSource {
            source: Some(document_source::Source::S3Location(at(uri))),
        }),
        ..DocumentBlock::default()
    }
}

fn video(uri: &str) -> VideoBlock {
    VideoBlock {
        format: VideoFormat::Mp4.into(),
        source: media(uri),
        ..VideoBlock::default()
    }
}

fn with(content: Content) -> StreamInvokeRequest {
    let mut request = ask("t");
    let input = request.input.get_or_insert_default();
    input.messages[0].content.push(ContentBlock {
        content: Some(content),
    });
    request
}

/// All fields that can hold a location, with the path of each.
fn everywhere(uri: &str) -> Vec<(StreamInvokeRequest, &'static str)> {
    use tool_result_content_block::Content as Part;
    let in_result = |part| {
        with(Content::ToolResult(ToolResultBlock {
            tool_use_id: "a".to_owned(),
            content: vec![ToolResultContentBlock {
                content: Some(part),
            }],
            ..ToolResultBlock::default()
        }))
    };
    vec![
        (with(Content::Image(image(uri))), "image"),
        (with(Content::Document(document(uri))), "document"),
        (with(Content::Video(video(uri))), "video"),
        (
            with(Content::Audio(AudioBlock {
                format: AudioFormat::Mp3.into(),
                source: media(uri),
                ..AudioBlock::default()
            })),
            "audio",
        ),
        (
            in_result(Part::Image(image(uri))),
            "tool_result.content[0].image",
        ),
        (
            in_result(Part::Document(document(uri))),
            "tool_result.content[0].document",
        ),
        (
            in_result(Part::Video(video(uri))),
            "tool_result.content[0].video",
        ),
    ]
}

#[tokio::test]
async fn without_a_setting_no_object_may_be_named() {
    let gateway = gateway(NOTHING).await;
    for (request, path) in everywhere("s3://media/a.png") {
        let field = format!("input.messages[0].content[1].{path}.source.s3_location.uri");
        refused(&gateway, request, &field).await;
    }
}

#[tokio::test]
async fn only_objects_that_all_levels_allow_may_be_named() {
    let gateway = gateway(ALLOWED).await;
    sent(
        &gateway,
        with(Content::Image(image("s3://shared/team-a/a.png"))),
    )
    .await;
    for uri in [
        "s3://media/a.png",
        "s3://shared/team-ab/a.png",
        "s3://shared/team-a",
        "s3://shared/team-a/../team-b/a.png",
        "s3://shared/team-a/%2E%2e/team-b/a.png",
        "s3://shared.evil/team-a/a.png",
        "s3://evil/shared/team-a/a.png",
    ] {
        for (request, path) in everywhere(uri) {
            let field = format!("input.messages[0].content[1].{path}.source.s3_location.uri");
            refused(&gateway, request, &field).await;
        }
    }
}

#[tokio::test]
async fn what_callers_write_themselves_names_no_other_object() {
    let gateway = gateway(ALLOWED).await;
    for (pointer, json) in [
        (
            "/messages/0/content/-",
            "{\"image\":{\"format\":\"png\",\"source\":{\"s3Location\":{\"uri\":\"s3://evil/a\"}}}}",
        ),
        ("/messages/0/content/1", "{\"new\":[[\"s3:\\/\\/evil/a\"]]}"),
        (
            "/messages/0/content/-",
            "{\"a\":\"s3://shared/team-a/b\",\"a\":\"s3://evil/b\"}",
        ),
        ("/newMember", "\"\\u0073\\u0033://evil/a\""),
        ("/newMember", "\" S3://evil/a\""),
        ("/newMember", "\"arn:aws:s3:::evil/a\""),
        (
            "/additionalModelRequestFields",
            "{\"mediaSource\":{\"s3Location\":{\"uri\":\"s3://evil/a\"}}}",
        ),
    ] {
        refused(
            &gateway,
            with_raw(&[(pointer, json)]),
            "input.raw_members[0].json",
        )
        .await;
    }
    let below = [
        ("/newMember", "{}"),
        ("/newMember/s3Location", "{}"),
        ("/newMember/s3Location/uri", "\"s3://evil/a\""),
    ];
    refused(&gateway, with_raw(&below), "input.raw_members[2].json").await;
    for fields in [
        "{\"mediaSource\":{\"s3Location\":{\"uri\":\"s3://evil/a\"}}}",
        "{\"images\":[\"s3://shared/team-a/b\",\"s3://evil/b\"]}",
    ] {
        let [text, structure] = with_fields(fields);
        refused(&gateway, text, "input.additional_model_request_fields_json").await;
        refused(
            &gateway,
            structure,
            "input.additional_model_request_fields_struct",
        )
        .await;
    }
    for request in
        with_fields("{\"mediaSource\":{\"s3Location\":{\"uri\":\"s3://shared/team-a/b\"}}}")
    {
        sent(&gateway, request).await;
    }
    // A location in the text of a message is not a reference to an object.
    let mut request = ask("t");
    let input = request.input.get_or_insert_default();
    input.messages[0].content = vec![crate::harness::text("s3://evil/a")];
    sent(&gateway, request).await;
}
