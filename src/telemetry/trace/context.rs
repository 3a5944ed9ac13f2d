//! Implements W3C Trace Context: parses the span context that a client sends, and formats the span
//! context that is sent to Bedrock.
//!
//! Source: <https://www.w3.org/TR/trace-context/>.

use std::sync::Arc;

use http::HeaderMap;
pub use opentelemetry::trace::{SpanId, TraceId};

/// The header that contains the trace ID and the ID of the parent span.
pub const TRACEPARENT: &str = "traceparent";
/// The header that contains vendor-specific data of tracing systems.
pub const TRACESTATE: &str = "tracestate";

/// The maximum length of `tracestate`, in bytes. Longer values are dropped. The specification
/// requires at least 512 bytes.
const MAX_STATE_BYTES: usize = 4 << 10;

/// The identity of a span in a trace. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The ID of the trace.
    pub trace_id: TraceId,
    /// The ID of the span.
    pub span_id: SpanId,
    /// The ID of the parent span. `None` for a root span.
    pub parent: Option<SpanId>,
    /// Whether the span is sampled. Until the sampler decides, this is the decision of the client.
    pub sampled: bool,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// Returns the context of a call with these headers. It is a child of the client's span or,
    /// without one, begins a new trace. Invalid headers are ignored.
    pub fn of_call(headers: &HeaderMap) -> Self {
        let caller = sole(headers, TRACEPARENT).and_then(read);
        let (trace_id, parent, sampled) = match caller {
            Some((trace_id, span_id, sampled)) => (trace_id, Some(span_id), sampled),
            None => (TraceId::from(fastrand::u128(1..)), None, false),
        };
        Self {
            trace_id,
            span_id: new_span_id(),
            parent,
            sampled,
            state: parent.and_then(|_| state(headers)),
        }
    }

    /// Returns the context of a child span.
    #[must_use]
    pub fn child(&self, span_id: SpanId) -> Self {
        Self {
            span_id,
            parent: Some(self.span_id),
            ..self.clone()
        }
    }

    /// Returns the value of `traceparent` for calls within this span.
    pub fn traceparent(&self) -> String {
        let flags = u8::from(self.sampled);
        format!("00-{}-{}-{flags:02x}", self.trace_id, self.span_id)
    }

    /// Returns the headers of calls within this span.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let state = self
            .tracestate()
            .map(|state| (TRACESTATE, state.to_owned()));
        [(TRACEPARENT, self.traceparent())].into_iter().chain(state)
    }

    /// Returns the value of `tracestate`, if there is one.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Returns a new span ID.
pub fn new_span_id() -> SpanId {
    SpanId::from(fastrand::u64(1..))
}

/// Returns a header's value. `None` unless the header occurs exactly once.
fn sole<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let only = values.next()?;
    values.next().is_none().then_some(only)?.to_str().ok()
}

/// Parses `traceparent`. Later versions of the format may have further fields, after another dash.
fn read(text: &str) -> Option<(TraceId, SpanId, bool)> {
    let mut parts = text.splitn(5, '-');
    let version = hexadecimal(parts.next()?, 2)?;
    let trace_id = hexadecimal(parts.next()?, 32)?;
    let span_id = hexadecimal(parts.next()?, 16)?;
    let flags = hexadecimal(parts.next()?, 2)?;
    let is_known = match (version, parts.next()) {
        (0xff, _) | (0, Some(_)) => false,
        (_, _) => true,
    };
    let is_valid = is_known && trace_id != 0 && span_id != 0;
    let span_id = u64::try_from(span_id).ok()?;
    is_valid.then(|| (trace_id.into(), span_id.into(), flags & 1 == 1))
}

/// Parses a number with exactly this many lower-case hexadecimal digits.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != digits || !text.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

/// Joins the values of all `tracestate` headers into one list.
fn state(headers: &HeaderMap) -> Option<Arc<str>> {
    let lists = headers.get_all(TRACESTATE).iter();
    let lists: Option<Vec<_>> = lists.map(|list| list.to_str().ok()).collect();
    let state = lists?.join(",");
    let is_usable = !state.trim().is_empty() && state.len() <= MAX_STATE_BYTES;
    is_usable.then(|| state.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_call_is_a_part_of_its_callers_span() {
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            let parent = format!("00-{TRACE}-{SPAN}-{flags}");
            let context = TraceContext::of_call(&headers(&[
                (TRACEPARENT, &parent),
                (TRACESTATE, "a=1,b=2"),
                (TRACESTATE, "c=3"),
            ]));
            assert_eq!(context.trace_id.to_string(), TRACE);
            assert_eq!(context.parent.unwrap().to_string(), SPAN);
            assert_ne!(context.span_id.to_string(), SPAN);
            assert_eq!(context.sampled, sampled, "{flags}");
            assert_eq!(context.tracestate(), Some("a=1,b=2,c=3"));
        }
    }

    /// Checks that of a later version, only the fields of this version are read.
    #[test]
    fn a_later_version_is_read_as_this_one() {
        for more in ["", "-", "-what-is-more"] {
            let parent = format!("cc-{TRACE}-{SPAN}-01{more}");
            let context = TraceContext::of_call(&headers(&[(TRACEPARENT, &parent)]));
            assert_eq!(context.trace_id.to_string(), TRACE, "{parent}");
        }
    }

    #[test]
    fn what_is_malformed_begins_a_trace() {
        for bad in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("cc-{TRACE}-{SPAN}-01more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            let context =
                TraceContext::of_call(&headers(&[(TRACEPARENT, &bad), (TRACESTATE, "a=1")]));
            assert_ne!(context.trace_id.to_string(), TRACE, "{bad:?}");
            assert_eq!(context.parent, None, "{bad:?}");
            assert!(!context.sampled, "{bad:?}");
            assert_eq!(context.tracestate(), None, "{bad:?}");
        }
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let twice = headers(&[(TRACEPARENT, &parent), (TRACEPARENT, &parent)]);
        assert_eq!(TraceContext::of_call(&twice).parent, None);
    }

    #[test]
    fn a_state_that_is_too_long_is_left_out() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let long = format!("a={}", "x".repeat(MAX_STATE_BYTES));
        let context =
            TraceContext::of_call(&headers(&[(TRACEPARENT, &parent), (TRACESTATE, &long)]));
        assert_eq!(context.tracestate(), None);
        assert!(context.parent.is_some());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let written = TraceContext {
                trace_id: trace.into(),
                span_id: span.into(),
                parent: None,
                sampled,
                state: None,
            };
            let read = TraceContext::of_call(&headers(&[(TRACEPARENT, &written.traceparent())]));
            prop_assert_eq!(read.trace_id, written.trace_id);
            prop_assert_eq!(read.parent, Some(written.span_id));
            prop_assert_eq!(read.sampled, sampled);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[ -~]{0,80}", state in "[ -~]{0,80}") {
            let _ = TraceContext::of_call(&headers(&[(TRACEPARENT, &text), (TRACESTATE, &state)]));
        }

        /// One character of a valid header is replaced, so that the text is almost valid.
        #[test]
        fn what_is_read_was_all_hexadecimal(at in 0_usize..55, other in proptest::char::range(' ', '~')) {
            let mut text: Vec<char> = format!("00-{TRACE}-{SPAN}-01").chars().collect();
            text[at] = other;
            let text: String = text.into_iter().collect();
            let context = TraceContext::of_call(&headers(&[(TRACEPARENT, &text)]));
            let right = text.split('-').map(str::len).eq([2, 32, 16, 2])
                && text.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c));
            prop_assert_eq!(context.parent.is_some(), right, "{}", text);
        }
    }
}
