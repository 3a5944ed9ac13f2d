//! Translates requests to Bedrock's JSON and back.

use prost::Message as _;

use super::{
    input::Input,
    values::{is_json, normal, parsed, same},
};
use crate::{
    bounds::Stop,
    pb::{ConverseInput, InvokeRequest},
    translate::{history, json, request as translated},
    validate,
};

/// The first byte: whether the rest is a protobuf message, Bedrock's JSON, or a message as
/// Bedrock's JSON.
pub fn request(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() % 3 {
        0 => {
            if let Ok(message) = ConverseInput::decode(input.rest()) {
                message_to_json(message);
            }
        }
        1 => json_to_message(input.rest()),
        _ => {
            if let Ok(message) = translated::from_converse(input.rest()) {
                message_to_json(message);
            }
        }
    }
}

/// A message that is valid becomes JSON, with the same bytes each time. JSON that was written can
/// be read, whether the message is valid or not.
fn message_to_json(input: ConverseInput) {
    let written = translated::to_converse(&input);
    if let Ok(body) = &written {
        let text = std::str::from_utf8(body).expect("UTF-8");
        assert!(is_json(text), "{text}");
        assert_eq!(translated::to_converse(&input).as_ref(), Ok(body));
        // Two raw members, or a raw member and a field, may not name the same member. JSON that
        // callers write can also be too deep, or repeat a name.
        if input.raw_members.is_empty() && json::check(text).is_ok() {
            json_to_message(body);
        }
    }
    let request = InvokeRequest {
        target: "amazon.nova-lite-v1:0".to_owned(),
        input: Some(input),
    };
    if validate::invoke(&request, &request.target).is_err() {
        return;
    }
    let mut input = request.input.unwrap_or_default();
    let before = input.clone();
    history::repair(&mut input);
    if input == before
        && let Ok(body) = &written
    {
        let valid = translated::to_converse_of_valid(&input, 0, &Stop::never());
        assert_eq!(valid.as_deref(), Ok(&body[..]));
    }
    // A request that passes validation becomes valid JSON, although its JSON text is not checked
    // again.
    if let Ok(body) = translated::to_converse_of_valid(&input, 64, &Stop::never()) {
        let text = std::str::from_utf8(&body).expect("UTF-8");
        assert!(is_json(text), "{text}");
    }
}

/// No part of a body is lost: written again, it has the same value.
fn json_to_message(body: &[u8]) {
    let Ok(input) = translated::from_converse(body) else {
        return;
    };
    let text = std::str::from_utf8(body).expect("JSON is UTF-8");
    let again = match translated::to_converse(&input) {
        Ok(again) => again,
        Err(violations) => unreachable!("{text}: {violations:?}"),
    };
    let written = std::str::from_utf8(&again).expect("UTF-8");
    if let (Some(before), Some(after)) = (parsed(text), parsed(written)) {
        assert!(same(&normal(before), &normal(after)), "{text}\n{written}");
    }
    assert!(is_json(written), "{written}");
    match translated::from_converse(&again) {
        Ok(back) => assert_eq!(
            translated::to_converse(&back),
            Ok(again.clone()),
            "{written}"
        ),
        Err(error) => unreachable!("{written}: {error:?}"),
    }
}
