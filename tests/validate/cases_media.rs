//! Images, documents, video and audio.

use bedrock_grpc::pb::{self, Role, document_source, media_source};

use super::request::{Accepted, Case, audio, bytes, copy, document, image, input, s3, video};

fn image_uri(r: &mut pb::StreamInvokeRequest, uri: &str, owner: Option<&str>) {
    image(input(r)).source = Some(pb::MediaSource {
        source: Some(media_source::Source::S3Location(s3(uri, owner))),
    });
}

fn document_source(r: &mut pb::StreamInvokeRequest, source: document_source::Source) {
    document(input(r)).source = Some(pb::DocumentSource {
        source: Some(source),
    });
}

pub(crate) const CASES: &[Case] = &[
    // Images
    (
        "input.messages[0].content[1].image.format",
        &["required", "format_name"],
        |r| image(input(r)).format = 0,
    ),
    (
        "input.messages[0].content[1].image.format",
        &["77", "format_name"],
        |r| image(input(r)).format = 77,
    ),
    (
        "input.messages[0].content[1].image.format_name",
        &["\"jpeg\"", "contradicts"],
        |r| image(input(r)).format_name = "jpeg".into(),
    ),
    (
        "input.messages[0].content[1].image.format_name",
        &["image/png", "invalid value"],
        |r| {
            image(input(r)).format = 0;
            image(input(r)).format_name = "image/png".into();
        },
    ),
    (
        "input.messages[0].content[1].image.source",
        &["required", "bytes"],
        |r| image(input(r)).source = None,
    ),
    (
        "input.messages[0].content[1].image.source",
        &["required", "bytes"],
        |r| image(input(r)).source = Some(Default::default()),
    ),
    (
        "input.messages[0].content[1].image.source.bytes",
        &["empty"],
        |r| image(input(r)).source = bytes(0),
    ),
    (
        "input.messages[0].content[1].image.source.s3_location.uri",
        &["required"],
        |r| image_uri(r, "", None),
    ),
    (
        "input.messages[0].content[1].image.source.s3_location.uri",
        &["s3://bucket/key"],
        |r| image_uri(r, "https://bucket/x", None),
    ),
    (
        "input.messages[0].content[1].image.source.s3_location.uri",
        &["1024"],
        |r| image_uri(r, &format!("s3://bucket/{}", "x".repeat(1024)), None),
    ),
    (
        "input.messages[0].content[1].image.source.s3_location.bucket_owner",
        &["12 digits"],
        |r| image_uri(r, "s3://bucket/x", Some("1234")),
    ),
    (
        "input.messages[0].content[1].image.source.s3_location.bucket_owner",
        &["12 digits"],
        |r| image_uri(r, "s3://bucket/x", Some("")),
    ),
    // Documents
    (
        "input.messages[0].content[2].document.format",
        &["required"],
        |r| document(input(r)).format = 0,
    ),
    (
        "input.messages[0].content[2].document.format_name",
        &["contradicts"],
        |r| document(input(r)).format_name = "txt".into(),
    ),
    (
        "input.messages[0].content[2].document.name",
        &["required", "200"],
        |r| document(input(r)).name.clear(),
    ),
    (
        "input.messages[0].content[2].document.name",
        &["200"],
        |r| document(input(r)).name = "x".repeat(201),
    ),
    (
        "input.messages[0].content[2].document.name",
        &["report.pdf", "single spaces"],
        |r| document(input(r)).name = "report.pdf".into(),
    ),
    (
        "input.messages[0].content[2].document.name",
        &[r"a\tb"],
        |r| document(input(r)).name = "a\tb".into(),
    ),
    (
        "input.messages[0].content[2].document.name",
        &["space in a row"],
        |r| document(input(r)).name = "a  b".into(),
    ),
    (
        "input.messages[0].content[2].document.source",
        &["required", "content"],
        |r| document(input(r)).source = None,
    ),
    (
        "input.messages[0].content[2].document.source.bytes",
        &["empty"],
        |r| document_source(r, document_source::Source::Bytes(Default::default())),
    ),
    (
        "input.messages[0].content[2].document.source.s3_location.uri",
        &["s3://"],
        |r| {
            document_source(r, document_source::Source::S3Location(s3("bucket/x", None)));
        },
    ),
    (
        "input.messages[0].content[2].document.source.content.blocks",
        &["at least one"],
        |r| {
            document_source(r, document_source::Source::Content(Default::default()));
        },
    ),
    (
        "input.messages[0].content[2].document.source.content.blocks[0]",
        &["text"],
        |r| {
            let blocks = vec![Default::default()];
            document_source(
                r,
                document_source::Source::Content(pb::DocumentContent { blocks }),
            );
        },
    ),
    ("input.messages[4].content", &["text block"], |r| {
        let block = input(r).messages[0].content[2].clone();
        input(r).messages.push(pb::Message {
            role: Role::User.into(),
            content: vec![block],
        });
    }),
    // Video and sound
    (
        "input.messages[0].content[3].video.format",
        &["required"],
        |r| {
            *video(input(r)) = pb::VideoBlock {
                source: bytes(1),
                ..Default::default()
            }
        },
    ),
    (
        "input.messages[0].content[3].video.source",
        &["required"],
        |r| video(input(r)).source = None,
    ),
    ("input.messages[0].content[4].audio.format", &["99"], |r| {
        audio(input(r)).format = 99
    }),
    (
        "input.messages[0].content[4].audio.format_name",
        &["contradicts"],
        |r| audio(input(r)).format_name = "x_aac".into(),
    ),
    (
        "input.messages[0].content[4].audio.source.bytes",
        &["empty"],
        |r| audio(input(r)).source = bytes(0),
    ),
];

pub(crate) const ACCEPTED: &[Accepted] = &[
    ("a format that is new", |r| {
        image(input(r)).format = 0;
        image(input(r)).format_name = "avif".into();
    }),
    ("an image of any size", |r| {
        image(input(r)).source = bytes(10_000_000)
    }),
    ("any number of images", |r| {
        (0..100).for_each(|_| copy(r, (0, 1), 2))
    }),
    ("a document of any size", |r| {
        document_source(r, document_source::Source::Bytes(vec![0; 6_000_000].into()));
    }),
    ("any number of documents", |r| {
        (0..100).for_each(|_| copy(r, (0, 2), 0));
    }),
    ("a bucket without a key", |r| {
        image_uri(r, "s3://my-bucket.x", None)
    }),
    ("a document as text, without a format", |r| {
        document(input(r)).format = 0;
        document_source(r, document_source::Source::Text("x".into()));
    }),
    ("a document as text, with a format", |r| {
        document(input(r)).format_name = "pdf".into();
        document_source(r, document_source::Source::Text("x".into()));
    }),
    ("a document in chunks", |r| {
        let content = Some(pb::document_content_block::Content::Text("x".into()));
        let blocks = vec![pb::DocumentContentBlock { content }];
        document(input(r)).format = 0;
        document_source(
            r,
            document_source::Source::Content(pb::DocumentContent { blocks }),
        );
    }),
    ("the longest document name", |r| {
        document(input(r)).name = "x".repeat(200)
    }),
    ("spaces around a document name", |r| {
        document(input(r)).name = " a b ".into()
    }),
];
