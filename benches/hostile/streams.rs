//! The well-behaved streams, and the arrival times of their tokens.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bedrock_grpc::pb::{
    ContentBlock, ConverseInput, Message, Role, StreamInvokeRequest, content_block::Content,
    inference_service_client::InferenceServiceClient, stream_invoke_response::Event,
};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

use crate::Error;

/// The pace of each stream.
pub(crate) const TOKENS_PER_SECOND: f64 = 10.0;
/// The target of the well-behaved streams, whose Region has a separate emulator.
const TARGET: &str = "arn:aws:bedrock:us-west-2::foundation-model/amazon.nova-lite-v1:0";
/// The Region in [`TARGET`].
pub(crate) const REGION: &str = "us-west-2";
/// The number of streams on one connection.
const PER_CONNECTION: usize = 50;

/// A token: its stream, its number, and its arrival time.
#[derive(Clone, Copy)]
pub(crate) struct Token {
    pub(crate) stream: usize,
    pub(crate) number: u32,
    pub(crate) at: Duration,
}

/// The tokens that have arrived, and why a stream failed.
#[derive(Default)]
struct Seen {
    tokens: Vec<Token>,
    failure: Option<String>,
}

/// Open streams.
pub(crate) struct Streams {
    begun: Instant,
    seen: Arc<Mutex<Seen>>,
    _readers: JoinSet<()>,
}

impl Streams {
    /// Opens streams, and waits until each has begun.
    pub(crate) async fn open(gateway: SocketAddr, count: usize) -> Result<Self, Error> {
        let begun = Instant::now();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut readers = JoinSet::new();
        let endpoint = Endpoint::from_shared(format!("http://{gateway}"))?
            .initial_connection_window_size(64 << 20);
        let mut channel = endpoint.connect().await?;
        for stream in 0..count {
            if stream % PER_CONNECTION == 0 && stream > 0 {
                channel = endpoint.connect().await?;
            }
            let mut client = InferenceServiceClient::new(channel.clone());
            let mut messages = client.stream_invoke(request()).await?.into_inner();
            let seen = Arc::clone(&seen);
            readers.spawn(async move {
                let mut number = 0;
                let why = loop {
                    match messages.message().await {
                        Ok(Some(message)) => {
                            if let Some(Event::ContentBlockDelta(_)) = message.event {
                                let at = begun.elapsed();
                                let token = Token { stream, number, at };
                                lock(&seen).tokens.push(token);
                                number += 1;
                            }
                        }
                        Ok(None) => break "it ended".to_owned(),
                        Err(status) => break format!("{status:?}"),
                    }
                };
                lock(&seen).failure.get_or_insert(why);
            });
        }
        Ok(Self {
            begun,
            seen,
            _readers: readers,
        })
    }

    /// Returns the time since the streams were opened.
    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Returns the tokens that arrived between these times.
    pub(crate) fn tokens(&self, from: Duration, to: Duration) -> Vec<Token> {
        let seen = lock(&self.seen);
        let within = |token: &&Token| token.at >= from && token.at < to;
        seen.tokens.iter().filter(within).copied().collect()
    }

    /// Returns why the first stream failed, if any has.
    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.seen).failure.clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a request whose answer is as long as the emulator's pace allows.
pub(crate) fn request() -> StreamInvokeRequest {
    StreamInvokeRequest {
        target: TARGET.to_owned(),
        input: Some(ConverseInput {
            messages: vec![Message {
                role: Role::User.into(),
                content: vec![ContentBlock {
                    content: Some(Content::Text("Tell me a long story.".to_owned())),
                }],
            }],
            ..ConverseInput::default()
        }),
        ..StreamInvokeRequest::default()
    }
}
