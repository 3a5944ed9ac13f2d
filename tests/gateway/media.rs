//! Images and documents: the gateway does not limit their number and size, because Bedrock does.

use bedrock_grpc::{
    config::s3::S3Locations,
    pb::{
        ContentBlock, DocumentBlock, DocumentFormat, DocumentSource, ImageBlock, ImageFormat,
        MediaSource, S3Location, StreamInvokeRequest, content_block::Content, document_source,
        media_source,
    },
};
use bytes::Bytes;
use tonic::Code;

use crate::harness::{Gateway, MODEL, ask};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const OLD_CLAUDE: &str = "us.anthropic.claude-3-7-sonnet-20250219-v1:0";

fn with(target: &str, blocks: impl IntoIterator<Item = Content>) -> StreamInvokeRequest {
    let mut request = ask(target);
    let input = request.input.get_or_insert_default();
    let blocks = blocks.into_iter().map(|content| ContentBlock {
        content: Some(content),
    });
    input.messages[0].content.extend(blocks);
    request
}

fn document(number: usize, source: document_source::Source) -> Content {
    Content::Document(DocumentBlock {
        format: DocumentFormat::Pdf.into(),
        name: format!("document {number}"),
        source: Some(DocumentSource {
            source: Some(source),
        }),
        ..DocumentBlock::default()
    })
}

fn large_document() -> Content {
    let bytes = Bytes::from(vec![b'x'; 6_000_000]);
    document(0, document_source::Source::Bytes(bytes))
}

fn documents_in_s3(count: usize) -> impl Iterator<Item = Content> {
    (0..count).map(|number| {
        let location = S3Location {
            uri: format!("s3://bucket/{number}.pdf"),
            bucket_owner: None,
        };
        document(number, document_source::Source::S3Location(location))
    })
}

fn images(count: usize, size: usize) -> impl Iterator<Item = Content> {
    (0..count).map(move |_| {
        Content::Image(ImageBlock {
            format: ImageFormat::Png.into(),
            source: Some(MediaSource {
                source: Some(media_source::Source::Bytes(vec![0; size].into())),
            }),
            ..ImageBlock::default()
        })
    })
}

#[tokio::test]
async fn what_a_model_accepts_reaches_it_and_what_it_refuses_is_refused_by_it() {
    let gateway = Gateway::with(|config, _| {
        config.targets.policy.s3_locations = Some(S3Locations::everywhere());
    })
    .await;
    for request in [
        with(MODEL, [large_document()]),
        with(CLAUDE, [large_document()]),
        with(MODEL, documents_in_s3(8)),
        with(MODEL, documents_in_s3(1_000)),
        with(MODEL, images(25, 100)),
        with(MODEL, images(1, 5_000_000)),
    ] {
        gateway.stream(request).await.is_whole();
    }
    for request in [
        with(OLD_CLAUDE, [large_document()]),
        with(CLAUDE, documents_in_s3(8)),
        with(CLAUDE, images(25, 100)),
        with(CLAUDE, images(1, 5_000_000)),
    ] {
        let target = request.target.clone();
        let answer = gateway.stream(request).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{target}");
        assert_eq!(answer.details().reason(), "UPSTREAM_VALIDATION", "{target}");
    }
    assert_eq!(gateway.ended(10).await.len(), 10);
}
