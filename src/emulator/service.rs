//! One HTTP request in, one answer out: the log, authentication, then the operation.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Either, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::{
    auth,
    calls::{Call, CallLog, End, Record},
    control,
    error::WireError,
    exchange::{Answer, Asked, complete, refuse},
    fault::Fault,
    inspect,
    options::Options,
    playback::ResetSwitch,
    runtime,
    uri::Operation,
};

/// The largest body that is read. Converse takes 20 images of 3.75 MB, a third more in base64.
const MAX_BODY: usize = 128 << 20;
/// Headers that the log leaves out: they hold what may be a secret.
const NEVER_LOGGED: [&str; 2] = ["authorization", "x-amz-security-token"];

/// What all connections share.
pub(super) struct Service {
    options: Options,
    fault: Mutex<Option<Fault>>,
    log: Arc<CallLog>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    pub(super) fn new(options: Options) -> Self {
        Self {
            fault: Mutex::new(options.fault),
            log: CallLog::new(options.keep_calls),
            options,
        }
    }

    pub(super) const fn log(&self) -> &Arc<CallLog> {
        &self.log
    }

    pub(super) const fn max_concurrent_streams(&self) -> u32 {
        self.options.max_concurrent_streams
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Answers one request. `reset` is the switch of its connection.
    pub(super) async fn handle(
        &self,
        request: Request<Incoming>,
        reset: ResetSwitch,
    ) -> Result<Answer, Infallible> {
        let (parts, body) = request.into_parts();
        let operation = Operation::of(&parts.method, parts.uri.path());
        if operation == Operation::Calls {
            return Ok(inspect::answer(&parts.method, &self.log).map(Either::Left));
        }
        let body = Limited::new(body, MAX_BODY).collect().await;
        let (body, unreadable) = match body {
            Ok(body) => (body.to_bytes(), None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        let request_id = uuid::Uuid::new_v4().to_string();
        let region = auth::region(&parts.headers).unwrap_or_else(|| self.options.region.clone());
        let call = Call {
            id: 0,
            request_id: request_id.clone(),
            operation: operation.name(),
            model_id: operation.identifier().to_owned(),
            region: region.clone(),
            http_version: format!("{:?}", parts.version),
            headers: logged(&parts.headers),
            body: body.clone(),
            status: None,
            events_sent: 0,
            end: None,
        };
        let mut record = self.log.begin(call);
        let mut answer = match unreadable {
            Some(error) if error.is::<LengthLimitError>() => refuse(&too_large(), record),
            Some(_) => {
                // The client left while it sent: nobody reads this answer.
                record.end(End::ClientGone);
                refuse(&too_large(), record)
            }
            None => {
                let asked = Asked {
                    parts,
                    body,
                    region,
                    operation,
                    reset,
                };
                self.operate(asked, record).await
            }
        };
        if let Ok(id) = HeaderValue::try_from(request_id) {
            answer.headers_mut().insert("x-amzn-requestid", id);
        }
        Ok(answer)
    }

    async fn operate(&self, asked: Asked, record: Record) -> Answer {
        let now = (self.options.clock)();
        if let Err(error) = auth::check(&self.options.credentials, &asked.parts, &asked.body, now) {
            return refuse(&error, record);
        }
        match asked.operation {
            Operation::Converse(_) | Operation::ConverseStream(_) => {
                let default = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
                runtime::answer(&self.options, default, asked, record).await
            }
            _ => {
                let query = asked.parts.uri.query().unwrap_or_default();
                match control::answer(&asked.operation, query, &asked.region) {
                    Ok(response) => complete(response, record),
                    Err(error) => refuse(&error, record),
                }
            }
        }
    }
}

fn too_large() -> WireError {
    let message = format!("The request body is larger than {MAX_BODY} bytes.");
    WireError::front_door(413, "RequestEntityTooLargeException", message)
}

fn logged(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = headers
        .iter()
        .filter(|(name, _)| !NEVER_LOGGED.contains(&name.as_str()));
    shown
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}
