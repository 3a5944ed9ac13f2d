//! Runs the service under test, and returns what its caller receives.

use std::{cell::OnceCell, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName};
use prost::Message as _;
use tonic::{Code, Status, body::Body};

use super::{http::Http, peer::Played};
use crate::{
    access::{
        Rules, Snapshot,
        limits::{InProcess, Names, UsageAccounting},
    },
    bedrock::{Bedrock, Sdk, memory},
    bounds::{Shares, WorkQueue},
    config::Config,
    grpc::{Generation, Generations, Parts, context::CallContext, inference::Inference},
    pb::{self, StreamInvokeResponse, stream_invoke_response::Event},
    routing::Router,
    telemetry::{Metrics, Traces},
};

const TARGET: &str = "a.model";

/// What the caller of a call receives.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The messages, without heartbeats and without values that differ from call to call.
    pub(super) messages: Vec<StreamInvokeResponse>,
    /// The whole answer of `Invoke`, without values that differ from call to call.
    pub(super) answer: Option<pb::InvokeResponse>,
    /// The code, the message and the reason.
    pub(super) status: (Code, String, String),
    pub(super) heartbeats: usize,
    /// When each of the messages arrived, on the paused clock.
    pub(super) arrivals: Vec<Duration>,
    /// The duration of the call on the paused clock.
    pub(super) took: Duration,
    /// The samples of the metrics for the times of tokens, after the call.
    pub(super) token_times: Vec<String>,
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        (&self.messages, &self.answer, &self.status)
            == (&other.messages, &other.answer, &other.status)
    }
}

impl Outcome {
    pub(super) fn is_ok(&self) -> bool {
        self.status.0 == Code::Ok
    }

    /// Returns whether Bedrock's usage arrived.
    pub(super) fn has_usage(&self) -> bool {
        let of_stream = self.messages.last().and_then(|last| match &last.event {
            Some(Event::Metadata(event)) => event.metadata.as_ref(),
            _ => None,
        });
        let metadata = self
            .answer
            .as_ref()
            .and_then(|answer| answer.metadata.as_ref());
        metadata
            .or(of_stream)
            .is_some_and(|metadata| metadata.usage.is_some())
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config.bedrock.region = Some("us-east-1".to_owned());
    config.bedrock.endpoint_url = Some("http://memory.invalid".to_owned());
    config.targets.allowed_model_ids = vec!["*".to_owned()];
    config.limits.default_deadline = config.limits.max_deadline;
    config.limits.max_attempts = 1;
    config
}

thread_local! {
    static SDK: OnceCell<Sdk> = const { OnceCell::new() };
}

/// Creates a service without connections.
pub(super) fn service() -> Inference {
    let config = config();
    let sdk = SDK.with(|sdk| {
        let sdk = sdk.get_or_init(|| {
            Sdk::with_credentials("AKIDEXAMPLE", "not-a-real-secret", &config.bedrock).unwrap()
        });
        sdk.clone()
    });
    let parts = Parts {
        router: Router::new(config.targets.clone(), Some("us-east-1")),
        rules: Rules::new(&config.access, Snapshot::default(), Vec::new()),
        accounts: UsageAccounting::new(
            &config.access,
            std::iter::empty(),
            &Names::default(),
            Arc::new(InProcess::default()),
            Arc::default(),
        ),
        budgets: Arc::from([]),
        sdk: sdk.clone(),
        traces: Traces::default(),
        tls: None,
    };
    let generation = Generation::new(1, String::new(), &config, parts, &Default::default());
    Inference {
        bedrock: Bedrock::new(&sdk),
        generations: Generations::new(generation),
        budget: Default::default(),
        metrics: Arc::new(Metrics::default()),
        memory: Shares::new("memory", 1 << 20, Default::default()),
        // All requests in these tests are small, so no thread is needed.
        medium_messages: WorkQueue::start("medium", 0, 1).unwrap(),
        large_messages: WorkQueue::start("large", 0, 1).unwrap(),
        cut: Default::default(),
    }
}

/// Returns a request with this message, encoded as clients send it.
fn request(message: &impl prost::Message) -> http::Request<Body> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    let framed = [&[0][..], &length.to_be_bytes(), &message].concat();
    http::Request::new(Body::new(http_body_util::Full::new(Bytes::from(framed))))
}

fn input() -> Option<pb::ConverseInput> {
    let content = pb::content_block::Content::Text("Hello".to_owned());
    Some(pb::ConverseInput {
        messages: vec![pb::Message {
            role: pb::Role::User.into(),
            content: vec![pb::ContentBlock {
                content: Some(content),
            }],
        }],
        ..pb::ConverseInput::default()
    })
}

/// Runs a call against a simulated Bedrock that plays this script.
fn run<T>(played: &Played, call: impl AsyncFnOnce(Inference) -> T) -> (T, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let played = played.clone();
    runtime.block_on(async {
        memory::listen(move |peer| {
            let http2 = played.http == Http::Two;
            tokio::spawn(played.clone().serve(peer));
            http2
        });
        let begun = tokio::time::Instant::now();
        let result = call(service()).await;
        (result, begun.elapsed())
    })
}

/// Calls `StreamInvoke` and reads the answer to its end.
pub(super) fn stream_invoke(played: &Played) -> Outcome {
    stream_invoke_coalesced(played, Duration::ZERO)
}

/// Calls `StreamInvoke` with this interval for joining deltas, and reads the answer to its end.
pub(super) fn stream_invoke_coalesced(played: &Played, coalesce: Duration) -> Outcome {
    stream_invoke_with(played, coalesce, HeaderMap::new())
}

/// Calls `StreamInvoke` like [`stream_invoke_coalesced`], with this timeout of the client.
pub(super) fn stream_invoke_within(
    played: &Played,
    coalesce: Duration,
    timeout: Duration,
) -> Outcome {
    let timeout = format!("{}m", timeout.as_millis()).parse().unwrap();
    let headers = HeaderMap::from_iter([(HeaderName::from_static("grpc-timeout"), timeout)]);
    stream_invoke_with(played, coalesce, headers)
}

fn stream_invoke_with(played: &Played, coalesce: Duration, headers: HeaderMap) -> Outcome {
    let (mut outcome, took) = run(played, async |service| {
        let mut outcome = Outcome {
            messages: Vec::new(),
            answer: None,
            status: (Code::Ok, String::new(), String::new()),
            heartbeats: 0,
            arrivals: Vec::new(),
            took: Duration::ZERO,
            token_times: Vec::new(),
        };
        let metrics = Arc::clone(&service.metrics);
        let mut request = request(&pb::StreamInvokeRequest {
            target: TARGET.to_owned(),
            input: input(),
            coalesce: prost_types::Duration::try_from(coalesce).ok(),
            ..pb::StreamInvokeRequest::default()
        });
        let context = CallContext::read(&headers, service.generations.current());
        request.extensions_mut().insert(context);
        let (messages, _watchdog, _limits, _rooms) = match service.stream_invoke(request).await {
            Ok(answer) => answer,
            Err(status) => {
                outcome.status = told(&status);
                return outcome;
            }
        };
        let mut messages = std::pin::pin!(messages);
        let begun = tokio::time::Instant::now();
        while let Some(message) = messages.next().await {
            match message {
                Ok(message) if matches!(message.event, Some(Event::Heartbeat(_))) => {
                    outcome.heartbeats += 1;
                }
                Ok(message) => {
                    outcome.messages.push(comparable(message));
                    outcome.arrivals.push(begun.elapsed());
                }
                Err(status) => outcome.status = told(&status),
            }
        }
        let encoded = metrics.encode();
        let of_tokens = |sample: &&str| {
            sample.starts_with("bedrock_grpc_inter_token_gap")
                || sample.starts_with("bedrock_grpc_time_to_first_token")
        };
        outcome.token_times = encoded
            .lines()
            .filter(of_tokens)
            .map(str::to_owned)
            .collect();
        outcome
    });
    outcome.took = took;
    outcome
}

/// Calls `StreamInvoke`, which joins deltas, and disconnects after this number of messages. Returns
/// the status code that the metrics recorded for the call.
pub(super) fn left_after(played: &Played, coalesce: Duration, messages: usize) -> &'static str {
    let (code, _took) = run(played, async |service| {
        let metrics = Arc::clone(&service.metrics);
        let request = request(&pb::StreamInvokeRequest {
            target: TARGET.to_owned(),
            input: input(),
            coalesce: prost_types::Duration::try_from(coalesce).ok(),
            ..pb::StreamInvokeRequest::default()
        });
        let (answer, _watchdog, _limits, _rooms) = service.stream_invoke(request).await.unwrap();
        let mut answer = Box::pin(answer);
        for _ in 0..messages {
            answer.next().await.unwrap().unwrap();
        }
        drop(answer);
        let text = metrics.encode();
        let codes = ["CANCELLED", "INTERNAL", "OK"];
        let counted = |code: &&str| text.contains(&format!("code=\"{code}\""));
        codes.into_iter().find(counted).unwrap()
    });
    code
}

/// Calls `Invoke`.
pub(super) fn invoke(played: &Played) -> Outcome {
    let (result, took) = run(played, async |service| {
        let request = request(&pb::InvokeRequest {
            target: TARGET.to_owned(),
            input: input(),
        });
        service.invoke(request).await
    });
    let (answer, status) = match result {
        Ok((mut answer, _watchdog, _limits, _held)) => {
            answer.request_id.clear();
            answer.attempts.clear();
            (Some(answer), (Code::Ok, String::new(), String::new()))
        }
        Err(status) => (None, told(&status)),
    };
    Outcome {
        messages: Vec::new(),
        answer,
        status,
        heartbeats: 0,
        arrivals: Vec::new(),
        took,
        token_times: Vec::new(),
    }
}

fn comparable(mut message: StreamInvokeResponse) -> StreamInvokeResponse {
    if let Some(Event::MessageStart(start)) = &mut message.event {
        start.request_id.clear();
        start.attempts.clear();
    }
    message
}

/// Returns the code, the message and the reason of a status.
fn told(status: &Status) -> (Code, String, String) {
    let details = tonic_types::Status::decode(status.details())
        .unwrap()
        .details;
    let info = details
        .iter()
        .find(|any| any.type_url.ends_with("google.rpc.ErrorInfo"));
    let info = tonic_types::pb::ErrorInfo::decode(&*info.unwrap().value).unwrap();
    let phase = info.metadata.get("phase").cloned().unwrap_or_default();
    (
        status.code(),
        status.message().to_owned(),
        format!("{} {phase}", info.reason),
    )
}
