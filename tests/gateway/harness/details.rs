//! The details of a status.

use std::collections::BTreeMap;

use bedrock_grpc::pb::UpstreamError;
use prost::Message;
use tonic::Status;
use tonic_types::pb::{
    BadRequest, ErrorInfo, Help, QuotaFailure, RequestInfo, ResourceInfo, RetryInfo,
};

/// The maximum size of the details.
const MAX_BYTES: usize = 4 << 10;

/// The details of a valid status: nothing twice, nothing too large, an ErrorInfo of the gateway.
#[derive(Debug)]
pub(crate) struct Details {
    by_name: BTreeMap<String, Vec<u8>>,
    /// `grpc-retry-pushback-ms`.
    pub(crate) pushback_ms: Option<i64>,
}

impl Details {
    #[track_caller]
    pub(crate) fn of(status: &Status) -> Self {
        assert!(
            status.details().len() <= MAX_BYTES,
            "{} bytes of details",
            status.details().len()
        );
        let encoded = tonic_types::Status::decode(status.details()).unwrap();
        assert_eq!(encoded.code, i32::from(status.code()));
        assert_eq!(encoded.message, status.message());
        let mut by_name = BTreeMap::new();
        for any in encoded.details {
            let name = any.type_url.rsplit('/').next().unwrap().to_owned();
            assert!(!by_name.contains_key(&name), "{name} twice");
            by_name.insert(name, any.value.to_vec());
        }
        let details = Self {
            by_name,
            pushback_ms: status
                .metadata()
                .get("grpc-retry-pushback-ms")
                .map(|value| value.to_str().unwrap().parse().unwrap()),
        };
        assert_eq!(details.info().domain, "bedrock-grpc", "{status:?}");
        details
    }

    fn get<T: Message + Default>(&self, name: &str) -> Option<T> {
        let bytes = self.by_name.get(name)?;
        Some(T::decode(bytes.as_slice()).unwrap())
    }

    #[track_caller]
    pub(crate) fn info(&self) -> ErrorInfo {
        match self.get("google.rpc.ErrorInfo") {
            Some(info) => info,
            None => panic!("no ErrorInfo in {self:?}"),
        }
    }

    pub(crate) fn reason(&self) -> String {
        self.info().reason
    }

    pub(crate) fn phase(&self) -> String {
        self.info()
            .metadata
            .get("phase")
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn retry(&self) -> Option<RetryInfo> {
        self.get("google.rpc.RetryInfo")
    }

    pub(crate) fn quota(&self) -> Option<QuotaFailure> {
        self.get("google.rpc.QuotaFailure")
    }

    pub(crate) fn resource(&self) -> Option<ResourceInfo> {
        self.get("google.rpc.ResourceInfo")
    }

    pub(crate) fn help(&self) -> Option<Help> {
        self.get("google.rpc.Help")
    }

    pub(crate) fn request(&self) -> Option<RequestInfo> {
        self.get("google.rpc.RequestInfo")
    }

    pub(crate) fn upstream(&self) -> Option<UpstreamError> {
        self.get("bedrock.inference.v1.UpstreamError")
    }

    /// The invalid fields, in order.
    pub(crate) fn fields(&self) -> Vec<String> {
        let bad: BadRequest = self.get("google.rpc.BadRequest").unwrap_or_default();
        bad.field_violations
            .into_iter()
            .map(|violation| violation.field)
            .collect()
    }
}
