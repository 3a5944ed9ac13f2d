//! Logs the details of a failure at Bedrock.

use crate::{error::Failure, routing::Route};

/// Logs the details of a failure that the caller does not receive: hosts, causes, the gateway's
/// identity. The caller receives the request ID, which identifies the log line.
pub(crate) fn log_detail(failure: &Failure, request_id: &str, route: &Route) {
    if failure.detail.is_empty() {
        return;
    }
    tracing::warn!(
        request_id,
        source_region = %route.source_region,
        account = %route.account,
        reason = failure.reason.as_str(),
        detail = %failure.detail,
        "call to Bedrock failed"
    );
}
