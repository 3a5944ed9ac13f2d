//! What Bedrock gets, and what comes of its answers.

use bedrock_grpc::{
    config::bedrock::Options,
    error::{Phase, Reason},
};
use bytes::Bytes;
use tokio::time::timeout;

use super::server::{Reply, SOON, Server, Setup, event, frame};

const MODEL: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"temperature":0.7},"z":1,"a":2}"#;

fn answer() -> Vec<u8> {
    [
        event("messageStart", r#"{"role":"assistant"}"#),
        event(
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#,
        ),
        event("somethingNew", "{}"),
        event("messageStop", r#"{"stopReason":"end_turn"}"#),
    ]
    .concat()
}

#[tokio::test]
async fn the_body_arrives_to_the_byte_and_the_events_come_back() {
    for tls in [false, true] {
        let mut server = Server::start(Setup {
            tls,
            reply: Some(Reply::stream(answer())),
            ..Setup::default()
        })
        .await;
        let body = Bytes::from_static(BODY.as_bytes());
        let mut answer = server
            .bedrock()
            .converse_stream("us-east-1", MODEL, body)
            .await
            .expect("an answer");
        assert_eq!(answer.request_id, "req-1");
        let mut events = Vec::new();
        while let Some(frame) = timeout(SOON, answer.frames.next())
            .await
            .expect("a frame comes")
        {
            events.push(frame.expect("a good frame"));
        }
        let types: Vec<&str> = events.iter().map(|event| &*event.event_type).collect();
        assert_eq!(
            types,
            [
                "messageStart",
                "contentBlockDelta",
                "somethingNew",
                "messageStop"
            ]
        );
        assert_eq!(&*events[0].payload, br#"{"role":"assistant"}"#);

        let call = server.call().await;
        assert_eq!(call.head.method, "POST");
        assert_eq!(call.body, BODY);
        assert_eq!(call.header("content-length"), BODY.len().to_string());
        assert_eq!(call.header("content-type"), "application/json");
        assert!(
            call.header("authorization")
                .starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        );
        assert!(
            call.header("authorization")
                .contains("/us-east-1/bedrock/aws4_request")
        );
        let agent = call.header("user-agent");
        assert!(agent.contains("app/bedrock-grpc"), "{agent}");
        assert!(
            agent.contains(concat!("lib/bedrock-grpc/", env!("CARGO_PKG_VERSION"))),
            "{agent}"
        );
    }
}
