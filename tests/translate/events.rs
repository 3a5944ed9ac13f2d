//! Events of streams, one by one and combined.

use bedrock_grpc::{
    pb::{self, stream_invoke_response::Event},
    translate::event,
};

use crate::values::value;

fn read(kind: &str, payload: &str) -> pb::StreamInvokeResponse {
    event::from_bedrock(kind, payload.as_bytes()).unwrap()
}

#[test]
fn every_kind_of_event_comes_out_as_it_went_in() {
    for (kind, payload) in [
        ("messageStart", r#"{"role":"assistant"}"#),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"i","name":"n","type":"server_tool_use"}}}"#,
        ),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolResult":{"toolUseId":"i","type":"t","status":"success"}}}"#,
        ),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":2,"start":{"image":{"format":"png"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":"\ud83d\ude00 \\ \" \u0000"}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"a"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"toolResult":[{"text":"a"},{"json":{"b":[1]}}]}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"redactedContent":"AAEC"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"citation":{"title":"t","source":"s","sourceContent":[{"text":"x"}],"location":{"documentChunk":{"documentIndex":0,"start":0,"end":1}}}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"image":{"source":{"bytes":"AAEC"},"error":{"message":"m"}}}}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        (
            "messageStop",
            r#"{"stopReason":"end_turn","additionalModelResponseFields":{"z":1,"a":[null]}}"#,
        ),
        (
            "metadata",
            r#"{"usage":{"inputTokens":1,"outputTokens":0,"totalTokens":1,"cacheReadInputTokens":0,"cacheWriteInputTokens":5,"cacheDetails":[{"ttl":"5m","inputTokens":5}]},"metrics":{"latencyMs":3000000000},"trace":{"promptRouter":{"invokedModelId":"m"}},"performanceConfig":{"latency":"standard"},"serviceTier":{"type":"default"}}"#,
        ),
        ("futureEvent", r#"{"anything":[1,2,{}]}"#),
        ("futureEvent", "[]"),
    ] {
        let event = read(kind, payload);
        assert_eq!(event.raw_members, [], "{payload}");
        let line = event::to_bedrock(&event);
        assert_eq!(value(line), value(format!("{{\"{kind}\":{payload}}}")));
    }
}

#[test]
fn a_text_delta_is_written_in_bedrocks_own_form() {
    let event = read(
        "contentBlockDelta",
        r#"{"p":"abc","delta":{"text":"Hi"},"contentBlockIndex":0}"#,
    );
    assert_eq!(
        event::to_bedrock(&event),
        r#"{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":"Hi"}}}"#
    );
}

#[test]
fn stop_reasons_keep_their_word() {
    for (word, reason) in [
        ("end_turn", pb::StopReason::EndTurn),
        ("boredom", pb::StopReason::Unspecified),
    ] {
        let event = read("messageStop", &format!(r#"{{"stopReason":"{word}"}}"#));
        let Some(Event::MessageStop(stop)) = &event.event else {
            panic!("{event:?}");
        };
        assert_eq!(
            (stop.stop_reason(), &*stop.stop_reason_name),
            (reason, word)
        );
        assert_eq!(event.raw_members, []);
    }
}

#[test]
fn what_is_not_known_or_of_another_type_is_kept_raw_and_comes_out_again() {
    for (kind, payload, raw) in [
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"smell":{"rose":0.5}}}"#,
            "/delta/smell",
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":5}}"#,
            "/delta/text",
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":[1]}"#,
            "/delta",
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"image":{"source":{"bytes":"*"}}}}"#,
            "/delta/image/source/bytes",
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"toolResult":["x"]}}"#,
            "/delta/toolResult/0",
        ),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":7,"name":"n"}}}"#,
            "/start/toolUse/toolUseId",
        ),
        ("messageStart", r#"{"role":"critic"}"#, "/role"),
        (
            "messageStop",
            r#"{"stopReason":null,"stopDetails":{"p":"kept"}}"#,
            "/stopDetails",
        ),
        (
            "metadata",
            r#"{"metrics":{"latencyMs":1.5}}"#,
            "/metrics/latencyMs",
        ),
        (
            "metadata",
            r#"{"usage":{"inputTokens":99999999999}}"#,
            "/usage/inputTokens",
        ),
        (
            "metadata",
            r#"{"serviceTier":{"type":7}}"#,
            "/serviceTier/type",
        ),
        (
            "metadata",
            r#"{"trace":{"guardrail":{"modelOutput":[1]}}}"#,
            "/trace/guardrail/modelOutput",
        ),
        (
            "metadata",
            r#"{"trace":{"guardrail":{"modelOutput":["a",1,"b"]}}}"#,
            "/trace/guardrail/modelOutput/1",
        ),
        (
            "metadata",
            r#"{"trace":{"guardrail":{"inputAssessment":{"a/b":7}}}}"#,
            "/trace/guardrail/inputAssessment",
        ),
    ] {
        let event = read(kind, payload);
        assert_eq!(event.raw_members[0].pointer, raw);
        let mut expected = value(payload);
        expected
            .as_object_mut()
            .unwrap()
            .retain(|_, member| !member.is_null());
        assert_eq!(value(event::to_bedrock(&event))[kind], expected);
    }
}

#[test]
fn nulls_of_bedrock_mean_nothing_and_empty_lists_and_maps_survive() {
    let event = read(
        "metadata",
        r#"{"usage":null,"trace":{"guardrail":{"modelOutput":[],"inputAssessment":{}}},"new":null}"#,
    );
    assert_eq!(
        event::to_bedrock(&event),
        r#"{"metadata":{"trace":{"guardrail":{"modelOutput":[],"inputAssessment":{}}}}}"#
    );
    for (kind, payload) in [
        ("metadata", r#"{"usage":{"cacheDetails":[]}}"#),
        (
            "metadata",
            r#"{"trace":{"guardrail":{"outputAssessments":{},"inputAssessment":{"a":{"topicPolicy":{"topics":[]}}}}}}"#,
        ),
        (
            "metadata",
            r#"{"trace":{"guardrail":{"outputAssessments":{"a":[]}}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"citation":{"sourceContent":[]}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"toolResult":[]}}"#,
        ),
        (
            "messageStop",
            r#"{"stopReason":"end_turn","additionalModelResponseFields":{}}"#,
        ),
        (
            "messageStart",
            r#"{"role":"assistant","new":[],"newer":{}}"#,
        ),
    ] {
        let line = event::to_bedrock(&read(kind, payload));
        assert_eq!(value(line), value(format!("{{\"{kind}\":{payload}}}")));
    }
}

/// Everything that is not an integer from 0 to 2,147,483,647.
const INVALID_INDICES: [&str; 17] = [
    "1099511627776",
    "2147483648",
    "1e400",
    "-1e400",
    "1.5",
    "0.1",
    "1e-1",
    "-1",
    "-2147483648",
    "99999999999999999999999999",
    "\"7\"",
    "\"\"",
    "null",
    "true",
    "[0]",
    "{}",
    "[]",
];

#[test]
fn an_event_without_a_valid_block_index_is_an_error() {
    for (kind, rest) in [
        ("contentBlockStart", r#","start":{}"#),
        ("contentBlockDelta", r#","delta":{"text":"a"}"#),
        ("contentBlockStop", ""),
    ] {
        let read = |payload: &str| event::from_bedrock(kind, payload.as_bytes());
        for index in INVALID_INDICES {
            let payload = format!(r#"{{"contentBlockIndex":{index}{rest}}}"#);
            let error = read(&payload).unwrap_err().to_string();
            let expected = "contentBlockIndex: expected a whole number from 0 to 2147483647, found";
            assert_eq!(error, format!("{expected} {index}"));
        }
        let missing = read(&format!(r#"{{"x":1{rest}}}"#)).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "contentBlockIndex: is missing, but it is required"
        );
        let twice = format!(r#"{{"contentBlockIndex":0,"contentBlockIndex":1{rest}}}"#);
        assert!(read(&twice).is_err(), "{kind}");
    }
}

#[test]
fn whole_numbers_may_be_written_as_floats() {
    for (written, whole) in [
        ("7.0", 7),
        ("70e-1", 7),
        ("7E0", 7),
        ("0.0", 0),
        ("-0", 0),
        ("2147483647.0", i32::MAX),
    ] {
        let event = read(
            "contentBlockStop",
            &format!(r#"{{"contentBlockIndex":{written}}}"#),
        );
        let Some(Event::ContentBlockStop(stop)) = event.event else {
            panic!("{event:?}");
        };
        assert_eq!(stop.content_block_index, whole, "{written}");
    }
    let event = read(
        "metadata",
        r#"{"usage":{"inputTokens":12.0},"metrics":{"latencyMs":3e9}}"#,
    );
    assert_eq!(event.raw_members, []);
    let Some(Event::Metadata(metadata)) = event.event else {
        panic!("{event:?}");
    };
    let metadata = metadata.metadata.unwrap();
    assert_eq!(metadata.usage.unwrap().input_tokens, Some(12));
    assert_eq!(metadata.metrics.unwrap().latency_ms, Some(3_000_000_000));
}

/// A wrong count would be worse than an absent one.
#[test]
fn a_count_that_is_not_a_whole_number_is_absent_and_kept_raw() {
    for count in [
        "1.5",
        "99999999999",
        "1e400",
        "\"7\"",
        "[]",
        "true",
        "9007199254740993.0",
    ] {
        for (member, payload) in [
            (
                "/usage/outputTokens",
                format!(r#"{{"usage":{{"outputTokens":{count}}}}}"#),
            ),
            (
                "/usage/cacheDetails/0/inputTokens",
                format!(r#"{{"usage":{{"cacheDetails":[{{"inputTokens":{count}}}]}}}}"#),
            ),
        ] {
            let event = read("metadata", &payload);
            let [raw] = event.raw_members.as_slice() else {
                panic!("{payload}: {event:?}");
            };
            assert_eq!((&*raw.pointer, &*raw.json), (member, count));
            let Some(Event::Metadata(metadata)) = event.event else {
                panic!("{payload}");
            };
            let usage = metadata.metadata.unwrap().usage.unwrap();
            assert_eq!(usage.output_tokens, None, "{count}");
            assert!(
                usage
                    .cache_details
                    .iter()
                    .all(|detail| detail.input_tokens.is_none())
            );
        }
    }
}

#[test]
fn payloads_that_are_no_object_are_errors() {
    for payload in [
        "",
        "[]",
        "5",
        "null",
        "{",
        "{\"delta\":{\"text\":\"a}",
        "{}{}",
        "\u{feff}{}",
    ] {
        assert!(
            event::from_bedrock("contentBlockDelta", payload.as_bytes()).is_err(),
            "{payload}"
        );
    }
}

#[test]
fn what_the_gateway_adds_is_next_to_bedrocks_event() {
    let event = pb::StreamInvokeResponse {
        event: Some(Event::MessageStart(pb::MessageStartEvent {
            role: pb::Role::Assistant.into(),
            target: Some(pb::ResolvedTarget {
                name: "fast".into(),
                model_id: "us.m".into(),
                kind: pb::TargetKind::SystemInferenceProfile.into(),
                source_region: "us-east-1".into(),
                destination_regions: vec!["us-east-1".into(), "us-west-2".into()],
                account: "research".into(),
            }),
            request_id: "r".into(),
            bedrock_request_id: "b".into(),
            attempts: vec![pb::Attempt {
                failure_reason: "UPSTREAM_THROTTLED".into(),
                duration: Some(prost_types::Duration {
                    seconds: 1,
                    nanos: 500_000_000,
                }),
                account: "research".into(),
                ..Default::default()
            }],
        })),
        raw_members: vec![pb::RawMember {
            pointer: "/mood".into(),
            json: "1".into(),
        }],
    };
    assert_eq!(
        event::to_bedrock(&event),
        concat!(
            r#"{"messageStart":{"role":"assistant","mood":1},"gateway":{"target":{"name":"fast","modelId":"us.m","#,
            r#""kind":"TARGET_KIND_SYSTEM_INFERENCE_PROFILE","sourceRegion":"us-east-1","account":"research","destinationRegions":["us-east-1","us-west-2"]},"#,
            r#""requestId":"r","bedrockRequestId":"b","attempts":[{"account":"research","failureReason":"UPSTREAM_THROTTLED","duration":"1.500s"}]}}"#
        )
    );
    let heartbeat = pb::StreamInvokeResponse {
        event: Some(Event::Heartbeat(pb::HeartbeatEvent {
            silent: Some(prost_types::Duration {
                seconds: 20,
                nanos: 0,
            }),
        })),
        raw_members: Vec::new(),
    };
    assert_eq!(
        event::to_bedrock(&heartbeat),
        r#"{"heartbeat":{"silent":"20s"}}"#
    );
    assert_eq!(
        event::to_bedrock(&pb::StreamInvokeResponse::default()),
        "{}"
    );
}

#[test]
fn starts_that_the_gateway_adds_are_empty() {
    use pb::content_block_start_event::Start;
    for start in [
        Start::Text(pb::TextBlockStart {}),
        Start::ReasoningContent(pb::ReasoningContentBlockStart {}),
        Start::CitationsContent(pb::CitationsContentBlockStart {}),
    ] {
        let event = pb::StreamInvokeResponse {
            event: Some(Event::ContentBlockStart(pb::ContentBlockStartEvent {
                content_block_index: 1,
                start: Some(start),
            })),
            raw_members: Vec::new(),
        };
        assert_eq!(
            event::to_bedrock(&event),
            r#"{"contentBlockStart":{"contentBlockIndex":1,"start":{}}}"#
        );
    }
}

#[test]
fn an_unknown_event_that_is_no_json_is_kept_as_a_string() {
    for (payload, json) in [(&b"a\xff\"b"[..], "\"a\u{fffd}\\\"b\""), (b"", "\"\"")] {
        let event = event::from_bedrock("futureEvent", payload).unwrap();
        let Some(Event::Unknown(unknown)) = &event.event else {
            panic!("{event:?}");
        };
        assert_eq!(unknown.json, json);
        assert_eq!(
            event::to_bedrock(&event),
            format!("{{\"futureEvent\":{json}}}")
        );
    }
}

#[test]
fn an_event_has_a_limited_number_of_members_and_elements() {
    let members = |count: usize| {
        let members: String = (0..count)
            .map(|index| format!(r#""m{index}":1,"#))
            .collect();
        format!(r#"{{{members}"contentBlockIndex":0,"delta":{{"text":"Hi"}}}}"#)
    };
    let read = read("contentBlockDelta", &members(60_000));
    assert_eq!(read.raw_members.len(), 60_000);
    let elements = format!(
        r#"{{"contentBlockIndex":0,"delta":{{"toolResult":[{}]}}}}"#,
        vec![r#"{"text":""}"#; 70_000].join(",")
    );
    for payload in [members(70_000), elements] {
        let error = event::from_bedrock("contentBlockDelta", payload.as_bytes()).unwrap_err();
        assert!(
            error.to_string().contains("members and elements"),
            "{error}"
        );
    }
    // JSON that is passed through does not count.
    let numbers = vec!["1"; 100_000].join(",");
    let payload = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"Hi"}},"new":[{numbers}]}}"#);
    assert_eq!(
        event::from_bedrock("contentBlockDelta", payload.as_bytes())
            .unwrap()
            .raw_members
            .len(),
        1
    );
}
