//! Records answers that are not streams of ConverseStream events.

use super::CallReport;
use crate::{
    access::limits::GuardrailUnits,
    pb::{MetadataEvent, StreamInvokeResponse, UnknownEvent, stream_invoke_response::Event},
    stream::native_units::AnsweredUnits,
};

impl CallReport {
    /// Records Bedrock's metadata about a call without events. Returns the metadata with the cost
    /// of the call.
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

    /// Records what an answer says about its units.
    pub(crate) fn answered_units(&mut self, answered: AnsweredUnits) {
        if let Some(bill) = &mut self.bill {
            bill.answered(answered);
        }
    }

    /// Records the units that a guardrail reports.
    pub(crate) fn guardrail_units(&mut self, units: GuardrailUnits) {
        if let Some(bill) = &mut self.bill {
            bill.guardrail(units);
        }
    }

    /// Records output in the model's own format, of this size in bytes.
    pub(crate) fn output(&mut self, bytes: usize) {
        if let Some(bill) = &mut self.bill {
            bill.output(bytes);
        }
    }

    /// Records an event of a type that this version does not support.
    pub(crate) fn unknown(&mut self, event: &UnknownEvent) {
        self.warn_of_unknown(&event.r#type);
        self.count_unknown("event", 1);
    }
}
