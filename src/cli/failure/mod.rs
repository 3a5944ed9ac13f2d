//! A failed call, with everything that the gateway has reported about it.

mod causes;
mod detail;
mod hint;
mod json;
mod lines;
mod print;

use std::{error::Error as _, time::Duration};

use prost::Message;
use tonic::{Code, Status};

pub use self::causes::{cause, find};
use self::detail::Detail;
use super::exit::Exit;

/// Why a call failed.
#[derive(Clone, Debug)]
pub struct Failure {
    code: Code,
    message: String,
    details: Vec<Detail>,
    origin: Origin,
    /// Whether the gateway has reported that a retry does not help.
    retry_vetoed: bool,
}

/// Which program reported the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The gateway, in a gRPC status.
    Gateway,
    /// No program: the connection to the gateway failed.
    Connection,
    /// This client.
    Client,
}

impl Failure {
    /// Creates the failure of a call. `address` is that of the gateway.
    pub fn of_call(status: &Status, address: &str) -> Self {
        let Some(source) = status.source() else {
            return Self::of_gateway(status);
        };
        if find::<tonic::TimeoutExpired>(source).is_some() {
            return Self::deadline();
        }
        let cause = cause(source);
        let message = if find::<tonic::ConnectError>(source).is_some() {
            let hint = hint::of_unreachable(source, address);
            format!("the gateway at {address} cannot be reached: {cause}; {hint}")
        } else {
            let hint = hint::of_broken(address);
            format!("the connection to the gateway at {address} broke: {cause}; {hint}")
        };
        Self::own(Code::Unavailable, message, Origin::Connection)
    }

    /// Creates the failure for a call whose deadline has passed.
    pub fn deadline() -> Self {
        let message = "the deadline set by --deadline was exceeded";
        Self::own(Code::DeadlineExceeded, message.to_owned(), Origin::Client)
    }

    /// Creates the failure for a stream that ended with the status OK, but without its last event.
    pub fn truncated() -> Self {
        let message = "the stream ended without `metadata`: the answer is truncated";
        Self::own(Code::DataLoss, message.to_owned(), Origin::Client)
    }

    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self.code {
            _ if self.origin == Origin::Connection => Exit::Unavailable,
            Code::Unauthenticated | Code::PermissionDenied => Exit::NotAllowed,
            _ if self.is_temporary() => Exit::Temporary,
            _ => Exit::Failed,
        }
    }

    fn of_gateway(status: &Status) -> Self {
        let details = tonic_types::Status::decode(status.details())
            .map(|status| status.details)
            .unwrap_or_default();
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            details: details.into_iter().map(Detail::from_any).collect(),
            origin: Origin::Gateway,
            retry_vetoed: pushback.is_some_and(|value| value.as_bytes().starts_with(b"-")),
        }
    }

    fn own(code: Code, message: String, origin: Origin) -> Self {
        Self {
            code,
            message,
            details: Vec::new(),
            origin,
            retry_vetoed: false,
        }
    }

    /// Returns whether a retry may help. If the failure contains Bedrock's error, this error says
    /// so. If not, a retry delay means that it may help. If there is no delay either, the status
    /// code decides.
    fn is_temporary(&self) -> bool {
        let upstream = self.details.iter().find_map(|detail| match detail {
            Detail::Upstream(upstream) => Some(upstream.retryable),
            _ => None,
        });
        upstream.unwrap_or_else(|| {
            self.retry_delay().is_some() || (self.code == Code::Unavailable && !self.retry_vetoed)
        })
    }

    fn reason(&self) -> Option<&str> {
        self.details.iter().find_map(|detail| match detail {
            Detail::ErrorInfo(info) => Some(info.reason.as_str()),
            _ => None,
        })
    }

    fn retry_delay(&self) -> Option<Duration> {
        self.details.iter().find_map(|detail| match detail {
            Detail::RetryInfo(info) => info.retry_delay?.try_into().ok(),
            _ => None,
        })
    }

    /// Returns the code's name as gRPC spells it, such as `UNAVAILABLE`.
    fn code_name(&self) -> &'static str {
        match self.code {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}
