//! For any bytes of a request, validation does not panic, and its result is limited and repeatable.

use bedrock_grpc::{
    pb,
    validate::{self, MAX_VIOLATIONS},
};
use proptest::prelude::*;
use prost::Message;

use super::request::full;

/// Checks a request twice: the result must be limited in size, and the same both times.
fn judge(request: &pb::StreamInvokeRequest) -> Result<(), TestCaseError> {
    let verdict = validate::stream_invoke(request, &request.target);
    prop_assert_eq!(&verdict, &validate::stream_invoke(request, &request.target));
    if let Err(found) = verdict {
        prop_assert!(!found.is_empty() && found.len() <= MAX_VIOLATIONS);
        for violation in found {
            prop_assert!(!violation.field.is_empty() && !violation.description.is_empty());
            prop_assert!(violation.field.len() + violation.description.len() < 2_000);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes of a valid request, some of them changed: most still decode, to something odd.
    #[test]
    fn changed_bytes_are_judged(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = full().encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(request) = pb::StreamInvokeRequest::decode(&bytes[..]) {
            judge(&request)?;
        }
    }

    /// Any text as a target: if it passes, it needs no escaping in a URL, except for `/` and `:`.
    #[test]
    fn targets_that_pass_lead_nowhere_else(target in "\\PC{0,40}|(arn:)?[a-z0-9.:/?#%\\\\ -]{0,60}|arn:aws:bedrock:[a-z0-9-]{1,21}:[0-9]{12}:[a-z-]{1,9}/[a-z0-9./:]{1,12}") {
        let request = pb::StreamInvokeRequest { target: target.clone(), ..full() };
        if validate::stream_invoke(&request, &request.target).is_ok() {
            prop_assert!(target.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/@+".contains(c)), "{}", target);
            prop_assert!(!target.contains("..") && !target.contains("//") && !target.starts_with('/'));
        }
        judge(&request)?;
    }

    /// Any text as JSON: validation accepts exactly the texts that a JSON parser accepts.
    #[test]
    fn json_that_passes_is_json(json in "[\\[\\]{}:,\" \\\\a0-9.eE+-]{0,12}|(true|null|\"a\"|[0-9]{1,3}|\\{\"a\":|\\[|\\]|\\}|,){0,8}") {
        let mut request = full();
        super::request::input(&mut request).raw_members[0].json.clone_from(&json);
        let is_json = serde_json::from_str::<serde_json::Value>(&json).is_ok();
        prop_assert_eq!(validate::stream_invoke(&request, &request.target).is_ok(), is_json, "{}", json);
    }

    /// Valid parts, in any number and order, make a valid request.
    #[test]
    fn valid_requests_pass(
        temperature in prop::option::of(0.0..=1.0_f64),
        max_tokens in prop::option::of(1..=i32::MAX),
        stop_sequences in prop::collection::vec("\\PC{1,9}", 0..9),
        texts in prop::collection::vec("(?s).{1,40}", 1..9),
        metadata in prop::collection::hash_map("[a-zA-Z0-9 :_@$#=/+,.-]{1,256}", "[a-zA-Z0-9 :_@$#=/+,.-]{0,256}", 0..=16),
        name in "[a-zA-Z0-9()_-]{1,100}( [a-zA-Z0-9\\[\\]]{1,99})?",
        shuffled in Just((0..4).collect::<Vec<usize>>()).prop_shuffle(),
        seconds in 1..=1_000_000_i64,
    ) {
        let mut request = full();
        request.heartbeat_interval = super::request::duration(seconds, 0);
        let input = super::request::input(&mut request);
        let inference = super::request::inference_config(input);
        inference.temperature = temperature;
        inference.max_tokens = max_tokens;
        inference.stop_sequences = stop_sequences;
        super::request::document(input).name = name;
        input.messages[1].content.extend(texts.iter().map(|text| super::request::text(text)));
        input.request_metadata = metadata;
        input.messages = shuffled.iter().map(|at| input.messages[*at].clone()).collect();
        prop_assert_eq!(validate::stream_invoke(&request, &request.target), Ok(()));
    }
}
