//! Properties of every request and every payload.

use bedrock_grpc::{
    pb,
    translate::{event, fold::Fold, json, request, response},
};
use proptest::prelude::*;

use crate::generate::converse_input;

const EVENTS: [&str; 7] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "unheardOf",
];

fn temperature_as_sent(temperature: f64) -> String {
    let input = pb::ConverseInput {
        inference_config: Some(pb::InferenceConfiguration {
            temperature: Some(temperature),
            ..Default::default()
        }),
        ..Default::default()
    };
    let body = String::from_utf8(request::to_converse(&input).unwrap().to_vec()).unwrap();
    let number = body.strip_prefix(r#"{"inferenceConfig":{"temperature":"#);
    number
        .and_then(|rest| rest.strip_suffix("}}"))
        .unwrap()
        .to_owned()
}

proptest! {
    #[test]
    fn a_request_survives_the_way_to_json_and_back(mut input in converse_input()) {
        let body = request::to_converse(&input).unwrap();
        let mut back = request::from_converse(&body).unwrap();
        prop_assert_eq!(&request::to_converse(&back).unwrap(), &body);
        // The order of members with caller-defined names has no meaning.
        input.raw_members.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        back.raw_members.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        prop_assert_eq!(back, input);
        prop_assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok());
    }

    #[test]
    fn temperatures_are_the_shortest_decimals(temperature in 0.0..=1.0) {
        let sent = temperature_as_sent(temperature);
        prop_assert_eq!(sent.parse::<f64>().unwrap(), temperature);
        let shortest = serde_json::to_string(&temperature).unwrap();
        prop_assert!(sent.len() <= shortest.len(), "{} is longer than {}", sent, shortest);
    }

    #[test]
    fn decimals_of_people_stay_as_they_are(hundredths in 0..=100_i32) {
        let written = format!("{}", f64::from(hundredths) / 100.0);
        prop_assert_eq!(temperature_as_sent(written.parse().unwrap()), written);
    }

    #[test]
    fn garbage_is_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = request::from_converse(&body);
        for kind in EVENTS {
            let _ = event::from_bedrock(kind, &body);
        }
    }

    #[test]
    fn json_like_garbage_is_read_without_a_panic(
        body in r#"([\{\}\[\],:" \\]|"(contentBlockIndex|delta|text|usage|role|p)":|-?[0-9]{1,3}|[eE.+]|true|null|\\u[dD][89a-f][0-9]{2}){0,60}"#
    ) {
        let serde = serde_json::from_str::<&serde_json::value::RawValue>(&body);
        prop_assert_eq!(json::check(&body).is_ok(), serde.is_ok());
        let _ = request::from_converse(body.as_bytes());
        for kind in EVENTS {
            if let Ok(event) = event::from_bedrock(kind, body.as_bytes()) {
                let line = event::to_bedrock(&event);
                prop_assert!(json::check(&line).is_ok(), "{}", line);
                let mut fold = Fold::default();
                fold.push(event);
                let answer = response::to_converse(&fold.finish());
                prop_assert!(json::check(&answer).is_ok(), "{}", answer);
            }
        }
    }

    #[test]
    fn damaged_requests_are_read_without_a_panic(
        input in converse_input(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut body = request::to_converse(&input).unwrap().to_vec();
        let at = at.index(body.len());
        let _ = request::from_converse(&body[..at]);
        body[at] = byte;
        let _ = request::from_converse(&body);
    }

    #[test]
    fn strings_survive(text in any::<String>()) {
        let written = serde_json::to_string(&text).unwrap();
        let event = event::from_bedrock("unheardOf", written.as_bytes()).unwrap();
        let line = event::to_bedrock(&event);
        prop_assert_eq!(line, format!("{{\"unheardOf\":{written}}}"));
    }
}
