//! A channel that implements a service config: deadline, retries before the response begins, and
//! retry throttling.

use std::{
    fs,
    future::{Future, pending, poll_fn},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tonic::{Code, Status, body::Body, client::GrpcService};

use crate::{
    pods::Pods,
    service_config::{MethodConfig, Next, ServiceConfig, was_never_taken},
};

const TIMEOUT: &str = "grpc-timeout";
const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";
/// How often to resend a call that the gateway never accepted. The first retry may use the closing
/// connection again, which hyper has not dropped yet.
const MOST_SENT_ANEW: u32 = 3;

/// For calls with one request message, which is kept so that it can be sent again.
#[derive(Clone)]
pub struct ConfiguredChannel {
    pods: Pods,
    config: Arc<ServiceConfig>,
    /// The file of the token to send.
    token_file: Option<Arc<Path>>,
    /// State of retry throttling.
    tokens: Arc<Mutex<f64>>,
}

impl ConfiguredChannel {
    pub fn new(pods: Pods, config: ServiceConfig, token_file: Option<PathBuf>) -> Self {
        let tokens = config.retry_throttling.map_or(0.0, |it| it.max_tokens);
        Self {
            pods,
            config: Arc::new(config),
            token_file: token_file.map(Into::into),
            tokens: Arc::new(Mutex::new(tokens)),
        }
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Timed>, Status> {
        let config = self.config.method(request.uri().path());
        let asked = request.headers().get(TIMEOUT).and_then(parse_timeout);
        let configured = config.and_then(|it| it.timeout);
        let deadline = asked.into_iter().chain(configured).min();
        let deadline = deadline.map(|limit| Instant::now() + limit);
        tokio::select! {
            biased;
            () = until(deadline) => Err(out_of_time()),
            answer = self.attempts(request, config, deadline) => Ok(answer?.map(|body| Timed {
                body,
                deadline: deadline.map(|at| Box::pin(sleep_until(at))),
            })),
        }
    }

    async fn attempts(
        &self,
        request: Request<Body>,
        config: Option<&MethodConfig>,
        deadline: Option<Instant>,
    ) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let message = body.collect().await?.to_bytes();
        let policy = config.and_then(|it| it.retry_policy.as_ref());
        let (mut attempt, mut sent_anew) = (1, 0);
        loop {
            let body = Body::new(Full::new(message.clone()));
            let mut request = Request::from_parts(parts.clone(), body);
            tell(request.headers_mut(), attempt, deadline);
            let status = match self.attempt(request).await {
                Ok(response) => {
                    self.succeeded();
                    return Ok(response);
                }
                Err(status) => status,
            };
            if was_never_taken(&status) && sent_anew < MOST_SENT_ANEW {
                sent_anew += 1;
                continue;
            }
            let next = policy.map_or(Next::Final, |it| it.next(attempt, &status));
            let may_retry = next != Next::Final && self.failed();
            match next {
                Next::After(wait) if may_retry => sleep(wait).await,
                _ => return Err(status),
            }
            attempt += 1;
        }
    }

    /// A response that has begun, or the status in its place.
    async fn attempt(&self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        if let Some(file) = &self.token_file {
            let token = bearer(file).map_err(Status::unauthenticated)?;
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        let no_pod = || Status::unavailable("DNS names no pod");
        let mut channel = self.pods.next().ok_or_else(no_pod)?;
        let failed = |error| Status::from_error(Box::new(error));
        poll_fn(|context| channel.poll_ready(context))
            .await
            .map_err(failed)?;
        let response = channel.call(request).await.map_err(failed)?;
        match Status::from_header_map(response.headers()) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ => Ok(response),
        }
    }

    fn succeeded(&self) {
        if let Some(throttling) = self.config.retry_throttling {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            *tokens = (*tokens + throttling.token_ratio).min(throttling.max_tokens);
        }
    }

    /// Whether retries are allowed now.
    fn failed(&self) -> bool {
        let Some(throttling) = self.config.retry_throttling else {
            return true;
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        *tokens = (*tokens - 1.0).max(0.0);
        *tokens > throttling.max_tokens / 2.0
    }
}

/// Reads a token. Its file is replaced before the token expires, so each attempt reads it.
fn bearer(file: &Path) -> Result<HeaderValue, String> {
    let token = fs::read_to_string(file).map_err(|error| format!("the token's file: {error}"))?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| "the token's file does not hold a token".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

impl tonic::codegen::Service<Request<Body>> for ConfiguredChannel {
    type Response = Response<Timed>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Each attempt waits for the channel.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}

/// The rest of a response. It ends at the deadline, even if the gateway does not end it. tonic
/// itself relies on the gateway.
pub struct Timed {
    body: Body,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // The bytes that have arrived before are returned first.
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let deadline = self.deadline.as_mut();
        if frame.is_pending() && deadline.is_some_and(|it| it.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Some(Err(out_of_time())));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

fn out_of_time() -> Status {
    Status::deadline_exceeded("the deadline has passed")
}

/// The metadata that tells the gateway about the attempt: the remaining time, and the number of
/// earlier attempts.
fn tell(headers: &mut HeaderMap, attempt: u32, deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        // gRPC allows eight digits: in milliseconds, a day. Rounded up, so that no other timer
        // fires before this one.
        let left = deadline.saturating_duration_since(Instant::now());
        let millis = left.as_micros().div_ceil(1000).min(99_999_999);
        if let Ok(value) = HeaderValue::try_from(format!("{millis}m")) {
            headers.insert(TIMEOUT, value);
        }
    }
    if attempt > 1 {
        headers.insert(PREVIOUS_ATTEMPTS, (attempt - 1).into());
    }
}

/// Returns the time as `Request::set_timeout` formats it: up to eight digits and a unit.
fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u32 = digits.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit * amount)
}
