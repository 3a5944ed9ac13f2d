//! Records the metadata of a call that Bedrock answers with one message.

use super::CallReport;
use crate::pb::{MetadataEvent, StreamInvokeResponse, stream_invoke_response::Event};

impl CallReport {
    /// Records Bedrock's metadata about a call without events. Returns it with the cost of the
    /// call.
    pub(crate) fn metadata(&mut self, metadata: MetadataEvent) -> Option<MetadataEvent> {
        let mut response = StreamInvokeResponse {
            event: Some(Event::Metadata(metadata)),
            ..StreamInvokeResponse::default()
        };
        self.event(&mut response);
        match response.event {
            Some(Event::Metadata(metadata)) => Some(metadata),
            _ => None,
        }
    }
}
