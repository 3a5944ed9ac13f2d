//! The details of a gRPC status: messages of google.rpc and of the gateway.

use prost::Message;
use prost_types::Any;
use tonic_types::pb as rpc;

use crate::pb::UpstreamError;

/// A detail of a status.
#[derive(Clone, Debug)]
pub(super) enum Detail {
    ErrorInfo(rpc::ErrorInfo),
    RetryInfo(rpc::RetryInfo),
    BadRequest(rpc::BadRequest),
    QuotaFailure(rpc::QuotaFailure),
    PreconditionFailure(rpc::PreconditionFailure),
    ResourceInfo(rpc::ResourceInfo),
    RequestInfo(rpc::RequestInfo),
    Help(rpc::Help),
    LocalizedMessage(rpc::LocalizedMessage),
    Upstream(UpstreamError),
    /// A detail of a type that this client does not support, or that is malformed.
    Unknown(Any),
}

impl Detail {
    pub(super) fn from_any(any: Any) -> Self {
        let name = any.type_url.rsplit('/').next().unwrap_or_default();
        let known = match name {
            "google.rpc.ErrorInfo" => decode(&any, Self::ErrorInfo),
            "google.rpc.RetryInfo" => decode(&any, Self::RetryInfo),
            "google.rpc.BadRequest" => decode(&any, Self::BadRequest),
            "google.rpc.QuotaFailure" => decode(&any, Self::QuotaFailure),
            "google.rpc.PreconditionFailure" => decode(&any, Self::PreconditionFailure),
            "google.rpc.ResourceInfo" => decode(&any, Self::ResourceInfo),
            "google.rpc.RequestInfo" => decode(&any, Self::RequestInfo),
            "google.rpc.Help" => decode(&any, Self::Help),
            "google.rpc.LocalizedMessage" => decode(&any, Self::LocalizedMessage),
            "bedrock.inference.v1.UpstreamError" => decode(&any, Self::Upstream),
            _ => None,
        };
        known.unwrap_or(Self::Unknown(any))
    }
}

fn decode<M: Message + Default>(any: &Any, detail: fn(M) -> Detail) -> Option<Detail> {
    M::decode(any.value.as_ref()).ok().map(detail)
}
