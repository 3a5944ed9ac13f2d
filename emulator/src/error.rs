//! Creates errors in Bedrock's wire format.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value};

use super::script::ApiError;

/// The suffix of the code in `x-amzn-errortype` for errors of Bedrock itself, as in recorded
/// answers.
const BEDROCK: &str = "http://internal.amazon.com/coral/com.amazon.bedrock/";
/// The suffix for errors of the front end: invalid signatures or tokens, and unknown paths.
const FRONT_DOOR: &str = "http://internal.amazon.com/coral/com.amazon.coral.service/";

/// An error response: a status, a code, a message and additional data.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WireError {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Additional members of the body, such as `originalStatusCode`.
    pub(super) members: Map<String, Value>,
    /// Additional headers, such as `retry-after`.
    pub(super) header: Option<(&'static str, &'static str)>,
    namespace: &'static str,
}

impl WireError {
    /// Creates an error of Bedrock itself.
    pub(super) fn bedrock(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            members: Map::new(),
            header: None,
            namespace: BEDROCK,
        }
    }

    /// Creates an error of the front end.
    pub(super) fn front_door(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            namespace: FRONT_DOOR,
            ..Self::bedrock(status, code, message)
        }
    }

    /// Creates the error for a signature or token that is not accepted.
    pub(super) fn denied(code: &'static str, message: impl Into<String>) -> Self {
        Self::front_door(403, code, message)
    }

    /// Creates the error for a body that is not JSON.
    pub(super) fn no_json(error: &serde_json::Error) -> Self {
        let message = format!("The request body is not JSON: {error}");
        Self::bedrock(400, "SerializationException", message)
    }

    /// Returns the error's body as JSON.
    pub(super) fn payload(&self) -> Value {
        let mut members = self.members.clone();
        members.insert("message".to_owned(), Value::from(self.message.as_str()));
        Value::Object(members)
    }

    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let mut response = json(self.status, &self.payload());
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::try_from(format!("{}:{}", self.code, self.namespace)) {
            headers.insert("x-amzn-errortype", value);
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<ApiError> for WireError {
    fn from(error: ApiError) -> Self {
        Self::bedrock(error.status, error.code, error.message)
    }
}

/// Creates a JSON response.
pub(super) fn json(status: u16, body: &Value) -> Response<Full<Bytes>> {
    raw_json(status, Bytes::from(body.to_string()))
}

/// Creates a JSON response from JSON text.
pub(super) fn raw_json(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
