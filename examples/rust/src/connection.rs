//! A channel to the gateway, set up as docs/clients.md advises, and what a service config does elsewhere.

use std::time::Duration;

use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint},
};

use crate::pb::{
    StreamInvokeRequest, StreamInvokeResponse, inference_service_client::InferenceServiceClient,
};

const MAX_ANSWER_BYTES: usize = 32 << 20;
const MAX_ATTEMPTS: usize = 3;
const PUSHBACK: &str = "grpc-retry-pushback-ms";

pub type Client = InferenceServiceClient<Channel>;

pub fn connect(address: &str, keepalive: Duration) -> Result<Client, tonic::transport::Error> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        // h2 counts small frames that nobody has read yet against this window: many streams that are read slowly need a large one.
        // And never `http2_adaptive_window(true)`, which makes it small.
        .initial_connection_window_size(64 << 20)
        // A connection that died without a word is noticed after both.
        .http2_keep_alive_interval(keepalive)
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .connect_timeout(Duration::from_secs(3))
        .connect_lazy();
    // One delta of a tool's input or an image can be larger than the default of 4 MB.
    Ok(Client::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// Asks, and asks again as long as nothing of an answer came and the gateway says when: an error before the first event comes from here,
/// a later one from the stream.
pub async fn stream_invoke(
    client: &Client,
    request: &StreamInvokeRequest,
    deadline: Option<Duration>,
) -> Result<tonic::Streaming<StreamInvokeResponse>, Status> {
    let mut attempt = 1;
    loop {
        let mut request = Request::new(request.clone());
        if let Some(deadline) = deadline {
            // Tells the gateway; the caller's own timer has to end the stream.
            request.set_timeout(deadline);
        }
        let status = match client.clone().stream_invoke(request).await {
            Ok(response) => return Ok(Response::into_inner(response)),
            Err(status) => status,
        };
        let Some(wait) = retry_after(&status).filter(|_| attempt < MAX_ATTEMPTS) else {
            return Err(status);
        };
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

fn retry_after(status: &Status) -> Option<Duration> {
    match status.code() {
        Code::Unavailable => {
            let pushback = status.metadata().get(PUSHBACK)?.to_str().ok()?;
            // Negative: not again.
            pushback.parse().ok().map(Duration::from_millis)
        }
        // The connection had been told to go away (GOAWAY): the next one is fresh. Nobody else cancels, as a Rust caller drops the future.
        Code::Cancelled => Some(Duration::ZERO),
        _ => None,
    }
}
