//! The client receives each token before Bedrock sends the next one, so nothing on the path waits
//! for more bytes.

use serde_json::json;
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    harness::{Gateway, ask},
    support::{Client, STREAM_INVOKE, Upstream},
};

const TOKENS: usize = 20;

/// Streams in which Bedrock sends each token after the client has received the previous one.
async fn step_by_step(streams: usize) {
    let mut upstream = Upstream::start().await;
    let endpoint_url = upstream.endpoint_url();
    let gateway = Gateway::with(|config, _| config.bedrock.endpoint_url = Some(endpoint_url)).await;
    let mut client = Client::connect(gateway.address).await;
    let mut steps = JoinSet::new();
    for _ in 0..streams {
        let mut call = client.call(STREAM_INVOKE, &[], &ask("nova")).await;
        let mut exchange = upstream.exchange().await;
        steps.spawn(async move {
            exchange
                .send("messageStart", json!({"role": "assistant"}))
                .await;
            call.read_messages(1).await;
            for token in 0..TOKENS {
                exchange.token("word").await;
                // The start of the block arrives with its first token.
                call.read_messages(token + 3).await;
                assert_eq!(call.messages.len(), token + 3);
            }
            exchange.finish().await;
            assert_eq!(call.status().await.status.code(), Code::Ok);
        });
    }
    assert_eq!(steps.join_all().await.len(), streams);
}

#[tokio::test]
async fn of_one_stream() {
    step_by_step(1).await;
}

#[tokio::test]
async fn of_a_hundred_streams_on_one_connection() {
    step_by_step(100).await;
}
