//! Answers one HTTP request: logs it, authenticates it, and runs the operation.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, request::Parts};
use http_body_util::{BodyExt, Either, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::{
    auth,
    calls::{Call, End, Record},
    catalogue, control, count,
    error::WireError,
    exchange::{Answer, Asked, complete, refuse, stall},
    fault::Effect,
    guardrail, hosts, inspect,
    playback::{Broken, ResetSwitch, abort},
    regions::Condition,
    runtime,
    sessions::Principal,
    state::State,
    sts,
    uri::{self, Operation},
};

/// The maximum size of a body, in bytes. Converse accepts 20 images of 3.75 MB, and base64 adds a
/// third.
const MAX_BODY: usize = 128 << 20;
/// Headers that are not logged, because they may contain secrets.
const NEVER_LOGGED: [&str; 2] = ["authorization", "x-amz-security-token"];

/// Answers the requests of all connections.
pub(super) struct Service {
    state: Arc<State>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    pub(super) const fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    pub(super) fn max_concurrent_streams(&self) -> u32 {
        self.state.options.max_concurrent_streams
    }

    /// Answers one request. `reset` is the switch of the request's connection.
    pub(super) async fn handle(
        &self,
        request: Request<Incoming>,
        reset: ResetSwitch,
    ) -> Result<Answer, Broken> {
        let (parts, body) = request.into_parts();
        if self.state.options.loopback_hosts_only && !hosts::is_loopback(&parts) {
            return Ok(hosts::refusal().map(Either::Left));
        }
        let operation = Operation::of(&parts.method, parts.uri.path());
        let body = Limited::new(body, MAX_BODY).collect().await;
        let (body, unreadable) = match body {
            Ok(body) => (body.to_bytes(), None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        if let Operation::Own(path) = &operation {
            return Ok(inspect::answer(&parts.method, path, &body, &self.state).map(Either::Left));
        }
        let request_id = uuid::Uuid::new_v4().to_string();
        let call = self.call(&request_id, &operation, &parts, &body);
        let region = call.region.clone();
        let mut record = self.state.log.begin(call);
        let mut answer = match unreadable {
            Some(error) if error.is::<LengthLimitError>() => refuse(&too_large(), record),
            Some(_) => {
                // The client disconnected while it was sending the request, so it will not receive
                // this answer.
                record.end(End::ClientGone);
                refuse(&too_large(), record)
            }
            None => {
                let (condition, outage) = self.state.regions.enter(&region);
                let asked = Asked {
                    parts,
                    body,
                    region,
                    operation,
                    outage,
                    reset,
                    principal: Principal::Own,
                };
                self.operate(asked, condition, &request_id, record).await?
            }
        };
        if let Ok(id) = HeaderValue::try_from(request_id) {
            answer.headers_mut().insert("x-amzn-requestid", id);
        }
        Ok(answer)
    }

    fn call(&self, request_id: &str, operation: &Operation, parts: &Parts, body: &Bytes) -> Call {
        let region = auth::region(&parts.headers);
        let (name, identifier) = match operation {
            Operation::Sts => (sts_operation(body), sts::role_arn(body)),
            _ => (operation.name(), operation.identifier().to_owned()),
        };
        let session = match auth::session(&parts.headers, &self.state.sessions) {
            Some(Principal::Session(session)) => Some(session),
            _ => None,
        };
        let account = session
            .as_ref()
            .map_or(catalogue::ACCOUNT, |own| &own.account);
        Call {
            id: 0,
            request_id: request_id.to_owned(),
            operation: name,
            model_id: identifier,
            project: None,
            account: account.to_owned(),
            assumed_role: session.as_ref().map(|session| session.arn.clone()),
            session_tags: session.map_or_else(Vec::new, |session| session.tags.clone()),
            time: (self.state.options.clock)(),
            region: region.unwrap_or_else(|| self.state.options.region.clone()),
            inference_region: None,
            http_version: format!("{:?}", parts.version),
            headers: logged(&parts.headers),
            body: body.clone(),
            status: None,
            error_code: None,
            events_sent: 0,
            end: None,
        }
    }

    async fn operate(
        &self,
        mut asked: Asked,
        condition: Option<Condition>,
        request_id: &str,
        mut record: Record,
    ) -> Result<Answer, Broken> {
        let condition = condition.filter(|_| !runtime::names_a_fault(&asked));
        if let Some(Condition::Down { .. }) = condition {
            return Err(abort(&asked.reset, &mut record));
        }
        let now = (self.state.options.clock)();
        let service = match asked.operation {
            Operation::Sts => auth::Service::Sts,
            _ => auth::Service::Bedrock,
        };
        let sessions = &self.state.sessions;
        let principal = self.state.with_credentials(|credentials| {
            let (parts, body) = (&asked.parts, &asked.body);
            auth::check(credentials, sessions, service, parts, body, now)
        });
        let principal = principal.and_then(|principal| {
            let action = asked.operation.name();
            sessions.check(&principal, action).map(|()| principal)
        });
        let principal = match principal {
            Ok(principal) => principal,
            Err(error) if asked.operation == Operation::Sts => {
                record.refused(error.code);
                let answer = sts::error(error.status, error.code, &error.message, request_id);
                return Ok(complete(answer, record));
            }
            Err(error) => return Ok(refuse(&error, record)),
        };
        asked.principal = principal;
        match asked.operation {
            Operation::Sts => {
                let (answer, code) = sts::answer(&asked, &asked.principal, &self.state, request_id);
                if let Some(code) = code {
                    record.refused(code);
                }
                Ok(complete(answer, record))
            }
            _ if asked.operation.runs_model() => {
                runtime::answer(&self.state, condition, asked, record).await
            }
            _ => self.answer_at_once(condition, asked, record).await,
        }
    }

    /// Answers a call that has no stream: a call of the control plane, CountTokens or
    /// ApplyGuardrail.
    async fn answer_at_once(
        &self,
        condition: Option<Condition>,
        mut asked: Asked,
        mut record: Record,
    ) -> Result<Answer, Broken> {
        if let Some(Condition::Fault(fault)) = condition {
            match fault.effect() {
                Effect::StallBeforeHeaders => return Err(stall(asked, record).await),
                Effect::Refuse(_) => {
                    let error = fault.error(asked.operation.identifier());
                    record.end(End::Faulted);
                    return Ok(refuse(&error, record));
                }
                _ => {}
            }
        }
        if let Some(Condition::Latency(latency)) = condition
            && goes_down(&mut asked, latency).await
        {
            return Err(abort(&asked.reset, &mut record));
        }
        let answered = match &asked.operation {
            Operation::CountTokens(model_id) => count::answer(model_id, &asked),
            Operation::ApplyGuardrail(identifier, version) => {
                guardrail::answer(identifier, version, &asked)
            }
            _ => {
                let query = asked.parts.uri.query().unwrap_or_default();
                let project = uri::query(query, "projectIdentifier");
                record.names(project.as_deref());
                control::answer(&asked, project.as_deref(), &self.state)
            }
        };
        Ok(match answered {
            Ok(response) => complete(response, record),
            Err(error) => refuse(&error, record),
        })
    }
}

/// Returns the name of an STS action. Empty for an unknown action.
fn sts_operation(body: &[u8]) -> &'static str {
    match sts::action(body).as_str() {
        "AssumeRole" => "AssumeRole",
        "GetCallerIdentity" => "GetCallerIdentity",
        _ => "",
    }
}

/// Waits for this time, or until the call's Region goes down. Returns whether the Region went down.
async fn goes_down(asked: &mut Asked, within: Duration) -> bool {
    tokio::time::timeout(within, &mut asked.outage)
        .await
        .is_ok()
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
