//! Implements AWS STS: AssumeRole and GetCallerIdentity, with the query protocol and answers in
//! XML.

mod form;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;

use self::form::Form;
use super::{
    exchange::Asked,
    sessions::{self, Principal, Refused},
    state::State,
    timestamp,
};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// The range of lifetimes that can be requested, and the default, in seconds.
const LIFETIMES: std::ops::RangeInclusive<u64> = 900..=43_200;
const DEFAULT_LIFETIME: u64 = 3_600;
/// The maximum lifetime if one role assumes another (role chaining), in seconds.
const LONGEST_CHAINED: u64 = 3_600;
const MOST_TAGS: usize = 50;

/// An error of STS.
struct Fault {
    status: u16,
    code: &'static str,
    message: String,
}

impl Fault {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: "ValidationError",
            message: message.into(),
        }
    }

    fn denied(message: String) -> Self {
        Self {
            status: 403,
            code: "AccessDenied",
            message,
        }
    }
}

/// Returns the action in a request's body. Empty if there is none.
pub(super) fn action(body: &[u8]) -> String {
    Form::parse(body).text("Action").unwrap_or_default()
}

/// Returns the ARN of the role that a request's body names. Empty if there is none.
pub(super) fn role_arn(body: &[u8]) -> String {
    Form::parse(body).text("RoleArn").unwrap_or_default()
}

/// Answers a call of STS. If it fails, also returns the code of the error.
pub(super) fn answer(
    asked: &Asked,
    principal: &Principal,
    state: &State,
    request_id: &str,
) -> (Response<Full<Bytes>>, Option<&'static str>) {
    let form = Form::parse(&asked.body);
    let action = form.text("Action").unwrap_or_default();
    let result = match action.as_str() {
        "AssumeRole" => assume_role(&form, principal, state),
        "GetCallerIdentity" => Ok(caller_identity(principal)),
        _ => Err(Fault {
            status: 400,
            code: "InvalidAction",
            message: format!("Could not find operation {action} for version 2011-06-15"),
        }),
    };
    match result {
        Ok(result) => {
            let body = format!(
                "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
            );
            (xml(200, body), None)
        }
        Err(fault) => (
            error(fault.status, fault.code, &fault.message, request_id),
            Some(fault.code),
        ),
    }
}

/// Creates an error in STS's format.
pub(super) fn error(
    status: u16,
    code: &str,
    message: &str,
    request_id: &str,
) -> Response<Full<Bytes>> {
    let body = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        escaped(message)
    );
    xml(status, body)
}

fn assume_role(form: &Form, principal: &Principal, state: &State) -> Result<String, Fault> {
    let arn = form
        .text("RoleArn")
        .ok_or_else(|| Fault::invalid("RoleArn is required"))?;
    let account = sessions::account_of(&arn)
        .ok_or_else(|| Fault::invalid(format!("{arn} is invalid")))?
        .to_owned();
    let name = form.text("RoleSessionName").unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(Fault::invalid(format!(
            "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        )));
    }
    let tags = form.tags();
    let is_tag = |text: &str, longest| {
        text.chars().count() <= longest
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c))
    };
    if tags.len() > MOST_TAGS
        || !tags
            .iter()
            .all(|(key, value)| !key.is_empty() && is_tag(key, 128) && is_tag(value, 256))
    {
        return Err(Fault::invalid("Tags are invalid."));
    }
    let seconds = match form.text("DurationSeconds") {
        None => DEFAULT_LIFETIME,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| LIFETIMES.contains(seconds))
            .ok_or_else(|| Fault::invalid(format!("DurationSeconds {text} is invalid")))?,
    };
    if principal.is_session() && seconds > LONGEST_CHAINED {
        return Err(Fault::invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    let now = (state.options.clock)();
    let lifetime = state
        .options
        .session_lifetime
        .unwrap_or(std::time::Duration::from_secs(seconds));
    let session = state
        .sessions
        .assume(&arn, form.text("ExternalId").as_deref(), |number| {
            sessions::Session::new(&arn, &account, &name, tags, now, lifetime, number)
        })
        .map_err(|Refused| {
            Fault::denied(format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                principal.arn()
            ))
        })?;
    Ok(format!(
        "<AssumedRoleUser><Arn>{}</Arn><AssumedRoleId>{}:{name}</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>",
        escaped(&session.arn),
        "AROAEMULATOREMULATOR",
        session.key_id,
        session.secret,
        session.token,
        timestamp::iso8601_millis(session.expiry),
    ))
}

fn caller_identity(principal: &Principal) -> String {
    format!(
        "<Arn>{}</Arn><UserId>EMULATOR</UserId><Account>{}</Account>",
        escaped(&principal.arn()),
        principal.account()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn xml(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_static("text/xml");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
