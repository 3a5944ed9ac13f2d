//! The emulator's encoder, tested with the SDK's decoder.

use aws_smithy_eventstream::frame::read_message_from;
use bedrock_emulator::frame;
use bytes::BytesMut;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        headers in proptest::collection::vec(("[:a-z-]{1,40}", "\\PC{0,80}"), 0..6),
        payload in proptest::collection::vec(any::<u8>(), 0..4096),
        before in proptest::collection::vec(any::<u8>(), 0..32),
    ) {
        let mut out = BytesMut::from(&before[..]);
        let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        frame::encode(&mut out, &pairs, &payload);
        prop_assert_eq!(&out[..before.len()], &before[..]);
        let message = read_message_from(&out[before.len()..]).expect("a frame");
        prop_assert_eq!(&message.payload()[..], &payload[..]);
        let decoded: Vec<_> = message.headers().iter().map(|header| {
            (header.name().as_str(), header.value().as_string().expect("a string").as_str())
        }).collect();
        prop_assert_eq!(decoded, pairs);
    }

    #[test]
    fn one_changed_bit_is_seen(payload in proptest::collection::vec(any::<u8>(), 0..256), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut out = BytesMut::new();
        frame::encode(&mut out, &[(":message-type", "event")], &payload);
        // Wrong lengths make the decoder read past the end, so its error is a different one.
        let at = at.index(out.len());
        out[at] ^= 1 << bit;
        prop_assert!(read_message_from(&out[..]).is_err());
    }
}

#[test]
fn an_event_is_padded_and_sorted_as_bedrock_s_are() {
    let mut out = BytesMut::new();
    let payload = serde_json::json!({"role": "assistant"});
    frame::event(
        &mut out,
        "messageStart",
        payload.as_object().expect("an object").clone(),
    );
    let message = read_message_from(&out[..]).expect("a frame");
    let names: Vec<_> = message
        .headers()
        .iter()
        .map(|header| header.name().as_str().to_owned())
        .collect();
    assert_eq!(names, [":event-type", ":content-type", ":message-type"]);
    let text = String::from_utf8(message.payload().to_vec()).expect("text");
    assert!(
        text.starts_with(r#"{"p":"abcd"#) && text.ends_with(r#"","role":"assistant"}"#),
        "{text}"
    );
}
