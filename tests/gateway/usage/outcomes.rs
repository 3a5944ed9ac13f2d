//! What a record says about a call, for each way in which a call ends.

use std::time::Duration;

use bedrock_emulator::Pace;
use bedrock_grpc::{
    config::{Alias, OnCancel, Price, Quota, Rates, project::Project},
    pb::{
        ApplyGuardrailRequest, CountTokensRequest, GetTargetRequest, GuardrailContentSource,
        GuardrailConverseContentBlock, GuardrailConverseTextBlock, InvokeModelRequest,
        ListTargetsRequest, StreamInvokeRequest, guardrail_converse_content_block::Content,
        stream_invoke_response::Event,
    },
};
use serde_json::{Value, json};
use tonic::{Code, Request};

use super::{Recorded, recorded};
use crate::harness::{
    MODEL, Stream, ask, bearer, faulty, invoke, key_of, keyed, paced, question, soon,
};

const SERVICE: &str = "bedrock.inference.v1.InferenceService";

fn price() -> Price {
    Price {
        models: vec!["*".to_owned()],
        rates: Rates {
            input: 60,
            output: 240,
            ..Rates::default()
        },
        ..Price::default()
    }
}

/// A text for a guardrail.
fn guarded(text: &str) -> GuardrailConverseContentBlock {
    GuardrailConverseContentBlock {
        content: Some(Content::Text(GuardrailConverseTextBlock {
            text: text.to_owned(),
            ..GuardrailConverseTextBlock::default()
        })),
    }
}

/// The tokens in a record: input, output.
fn tokens(record: &Value) -> (u64, u64) {
    let number = |name: &str| record[name].as_u64().unwrap();
    (number("input_tokens"), number("output_tokens"))
}

#[tokio::test]
async fn a_complete_call_has_a_record_with_its_usage_and_cost() {
    let mut test = recorded(|config, options| {
        config.access.prices = vec![price()];
        options.pace = paced(Duration::ZERO, 5);
    })
    .await;
    let mut request = keyed(ask("nova"), &test.key);
    let metadata = request.metadata_mut();
    metadata.insert("x-request-id", "my-request".parse().unwrap());
    let answer = test.gateway.stream(request).await;
    answer.is_whole();
    let Some(Event::Metadata(event)) = answer.events().last() else {
        panic!("{answer:?}");
    };
    let usage = event.metadata.as_ref().unwrap().usage.clone().unwrap();
    let record = test.next("OK", "").await;
    let call = test.gateway.ended(1).await.remove(0);
    for (name, expected) in [
        ("request_id", json!("my-request")),
        ("caller", json!("team-a")),
        ("groups", json!([])),
        ("method", json!(format!("{SERVICE}/StreamInvoke"))),
        ("target", json!("nova")),
        ("model_id", json!(MODEL)),
        ("source_region", json!("us-east-1")),
        ("account", json!("")),
        ("project", json!("")),
        ("attempts", json!(1)),
        ("stop_reason", json!("end_turn")),
        ("bedrock_request_id", json!(call.request_id)),
        ("input_tokens", json!(usage.input_tokens)),
        ("output_tokens", json!(usage.output_tokens)),
        ("cache_read_input_tokens", json!(0)),
        ("cache_write_input_tokens", json!(0)),
        ("usage", json!("reported")),
        ("delivered_output_tokens", json!(usage.output_tokens)),
        (
            "cost_nano_usd",
            json!(event.estimated_cost.unwrap().nano_usd),
        ),
    ] {
        assert_eq!(record[name], expected, "{name}");
    }
    assert_eq!(record["id"].as_str().unwrap().len(), 32);
    assert_eq!(record["trace_id"].as_str().unwrap().len(), 32);
    let (first, whole) = (&record["first_event_ms"], &record["duration_ms"]);
    assert!(first.as_u64() <= whole.as_u64(), "{record}");

    let call = test
        .gateway
        .inference()
        .invoke(keyed(invoke(ask(MODEL)), &test.key))
        .await;
    assert!(call.is_ok());
    let record = test.next("OK", "").await;
    assert_eq!(record["method"], format!("{SERVICE}/Invoke"));
    assert_eq!(record["target"], MODEL);
    assert_eq!(record["usage"], "reported");
    test.ends().await;
}

#[tokio::test]
async fn the_project_of_a_call_is_in_its_record() {
    let mut test = recorded(|config, _| {
        config.targets.policy.project = Some(Project::named("search"));
    })
    .await;
    let arn = "arn:aws:bedrock:us-east-1:123456789012:project/search";
    test.gateway.emulator.set_project(arn.parse().unwrap());
    let answer = test.gateway.stream(keyed(ask("nova"), &test.key)).await;
    answer.is_whole();
    assert_eq!(test.next("OK", "").await["project"], "search");
    test.ends().await;
}

#[tokio::test]
async fn other_methods_have_records_and_cost_nothing() {
    let mut test = recorded(|config, _| {
        config.access.prices = vec![price()];
        config.targets.allowed_model_ids = vec!["anthropic.*".to_owned()];
    })
    .await;
    let count = CountTokensRequest {
        target: "anthropic.claude-sonnet-4-5-20250929-v1:0".to_owned(),
        input: Some(question("Why?")),
    };
    soon(
        test.gateway
            .inference()
            .count_tokens(keyed(count, &test.key)),
    )
    .await
    .unwrap();
    let record = test.next("OK", "").await;
    assert_eq!(record["method"], format!("{SERVICE}/CountTokens"));
    assert_eq!(
        (&record["usage"], tokens(&record)),
        (&json!("none"), (0, 0))
    );
    assert_eq!(record["cost_nano_usd"], 0);

    let check = ApplyGuardrailRequest {
        target: "nova".to_owned(),
        guardrail_identifier: Some("gr1".to_owned()),
        guardrail_version: Some("1".to_owned()),
        source: GuardrailContentSource::Input.into(),
        content: vec![guarded("Why?")],
        ..ApplyGuardrailRequest::default()
    };
    let mut guardrails = test.gateway.guardrails();
    soon(guardrails.apply_guardrail(keyed(check, &test.key)))
        .await
        .unwrap();
    let record = test.next("OK", "").await;
    let service = "bedrock.inference.v1.GuardrailService";
    assert_eq!(record["method"], format!("{service}/ApplyGuardrail"));
    assert_eq!(record["target"], "nova");
    assert_eq!(record["attempts"], 1);
    assert_eq!(
        (&record["usage"], tokens(&record)),
        (&json!("reported"), (0, 0))
    );
    assert_eq!(
        record.get("cost_nano_usd"),
        None,
        "guardrails have no price"
    );

    let mut targets = test.gateway.targets();
    soon(targets.list_targets(keyed(ListTargetsRequest::default(), &test.key)))
        .await
        .unwrap();
    let record = test.next("OK", "").await;
    let service = "bedrock.inference.v1.TargetService";
    assert_eq!(record["method"], format!("{service}/ListTargets"));
    assert_eq!(record.get("cost_nano_usd"), None);
    let unknown = GetTargetRequest {
        target: "unknown".to_owned(),
    };
    soon(targets.get_target(keyed(unknown, &test.key)))
        .await
        .unwrap_err();
    test.next("NOT_FOUND", "TARGET_UNKNOWN").await;
    test.ends().await;
}

#[tokio::test]
async fn refused_calls_have_records_without_usage() {
    let mut test = recorded(|config, _| {
        let caller = config.access.callers.get_mut("team-a").unwrap();
        caller.quota = Quota {
            requests_per_minute: Some(1),
            ..Quota::default()
        };
        caller.permission.methods = Some(vec!["StreamInvoke", "GetTarget"]);
        config.targets.allowed_model_ids = vec!["amazon.*".to_owned()];
    })
    .await;
    let refused = async |test: &mut Recorded, request: StreamInvokeRequest, code, reason| {
        let answer = test.gateway.stream(keyed(request, &test.key)).await;
        assert_ne!(answer.code(), Code::Ok);
        let record = test.next(code, reason).await;
        assert_eq!(
            (&record["usage"], tokens(&record)),
            (&json!("none"), (0, 0))
        );
        assert_eq!(record["attempts"], 0);
        record
    };
    let mut empty = ask("nova");
    empty.input = None;
    refused(&mut test, empty, "INVALID_ARGUMENT", "INVALID_REQUEST").await;
    let record = refused(&mut test, ask("unknown"), "NOT_FOUND", "TARGET_UNKNOWN").await;
    // Callers choose this text, so it is not recorded.
    assert_eq!(record["target"], "");

    let call = test
        .gateway
        .inference()
        .invoke(keyed(invoke(ask(MODEL)), &test.key))
        .await;
    assert_eq!(call.unwrap_err().code(), Code::PermissionDenied);
    test.next("PERMISSION_DENIED", "CALLER_NOT_ALLOWED").await;
    let list = keyed(ListTargetsRequest::default(), &test.key);
    let call = test.gateway.targets().list_targets(list).await;
    assert_eq!(call.unwrap_err().code(), Code::PermissionDenied);
    test.next("PERMISSION_DENIED", "CALLER_NOT_ALLOWED").await;

    let mut held = Vec::new();
    let mut open = Stream::open(
        &mut test.gateway.inference(),
        keyed(faulty("stall-after-2"), &test.key),
    )
    .await;
    open.tokens(1).await;
    held.push(open);
    let record = refused(
        &mut test,
        ask("nova"),
        "RESOURCE_EXHAUSTED",
        "CALLER_RATE_LIMIT",
    )
    .await;
    assert_eq!(record["target"], "nova");
    drop(held);
    test.next("CANCELLED", "CANCELLED").await;

    // Without an identity, there is no caller to charge.
    let answer = test
        .gateway
        .stream(bearer(ask("nova"), key_of().reveal()))
        .await;
    assert_eq!(answer.code(), Code::Unauthenticated);
    test.ends().await;
}

#[tokio::test]
async fn a_call_that_finds_no_slot_has_a_record() {
    let mut test = recorded(|config, _| config.limits.max_streams = 1).await;
    let mut open = Stream::open(
        &mut test.gateway.inference(),
        keyed(faulty("stall-after-2"), &test.key),
    )
    .await;
    open.tokens(1).await;
    let refused = test.gateway.stream(keyed(ask("nova"), &test.key)).await;
    assert_eq!(refused.code(), Code::Unavailable);
    test.next("UNAVAILABLE", "REPLICA_SATURATED").await;
    drop(open);
    test.next("CANCELLED", "CANCELLED").await;
    test.ends().await;
}

#[tokio::test]
async fn failures_of_bedrock_have_records() {
    let mut test = recorded(|_, _| {}).await;
    test.gateway
        .stream(keyed(faulty("throttling"), &test.key))
        .await;
    let record = test.next("RESOURCE_EXHAUSTED", "UPSTREAM_THROTTLED").await;
    assert_eq!(record["usage"], "none");
    assert_eq!(record["attempts"], 1);
    assert_eq!(record.get("first_event_ms"), None);
    let answer = test
        .gateway
        .stream(keyed(faulty("reset-after-3"), &test.key))
        .await;
    let record = test.records.next().await;
    assert_eq!(record["code"], "UNAVAILABLE");
    // Bedrock bills the part that it generated, but does not report how much that is.
    assert_eq!(record["usage"], "estimated");
    let (input, output) = tokens(&record);
    let body = test.gateway.ended(2).await[1].body.len() as u64;
    assert_eq!(input, body);
    assert_eq!(output, answer.text().len() as u64);
    let deltas = answer.texts().count() as u64;
    assert_eq!(record["delivered_output_tokens"], deltas);
    test.ends().await;
}

#[tokio::test]
async fn joined_deltas_are_counted_one_by_one() {
    let mut test = recorded(|_, options| options.pace = paced(Duration::from_millis(1), 30)).await;
    let mut request = ask(MODEL);
    request.coalesce = Some(prost_types::Duration {
        seconds: 1,
        nanos: 0,
    });
    let answer = test.gateway.stream(keyed(request, &test.key)).await;
    answer.is_whole();
    assert!(answer.texts().count() < 30, "{}", answer.texts().count());
    let record = test.records.next().await;
    assert_eq!(record["delivered_output_tokens"], record["output_tokens"]);
    test.ends().await;
}

#[tokio::test]
async fn a_cancelled_call_is_charged_an_upper_estimate() {
    let mut test = recorded(|_, options| options.pace = slow()).await;
    let mut open = Stream::open(&mut test.gateway.inference(), keyed(ask(MODEL), &test.key)).await;
    open.tokens(2).await;
    let seen = open.so_far().texts().count() as u64;
    drop(open);
    let record = test.next("CANCELLED", "CANCELLED").await;
    assert_eq!(record["usage"], "estimated");
    let delivered = record["delivered_output_tokens"].as_u64().unwrap();
    assert!(delivered >= seen, "{record}");
    let (input, output) = tokens(&record);
    assert!(input > 0 && output >= delivered, "{record}");
    test.ends().await;
}

#[tokio::test]
async fn the_usage_that_is_read_after_a_cancel_is_recorded() {
    let mut test = recorded(|config, options| {
        options.pace = paced(Duration::from_millis(5), 50);
        config.limits.on_cancel = OnCancel::DrainForUsage {
            time: Duration::from_secs(60),
            tokens: 1_000,
        };
    })
    .await;
    let mut open = Stream::open(&mut test.gateway.inference(), keyed(ask(MODEL), &test.key)).await;
    open.tokens(2).await;
    drop(open);
    let record = test.next("CANCELLED", "CANCELLED").await;
    assert_eq!(record["usage"], "reported");
    let (_, output) = tokens(&record);
    let delivered = record["delivered_output_tokens"].as_u64().unwrap();
    assert!(delivered < output, "{record}");
    test.ends().await;
}

#[tokio::test]
async fn deadlines_have_records() {
    let mut test = recorded(|_, _| {}).await;
    let with_deadline = |request: StreamInvokeRequest, key| -> Request<StreamInvokeRequest> {
        let mut request = keyed(request, key);
        request.set_timeout(Duration::from_millis(500));
        request
    };
    for (fault, usage) in [
        ("stall-before-headers", "estimated"),
        ("stall-after-2", "estimated"),
    ] {
        let request = with_deadline(faulty(fault), &test.key);
        // The client's own timer may be faster than the gateway's.
        let answer = test.gateway.stream(request).await;
        assert_ne!(answer.code(), Code::Ok);
        let record = test.records.next().await;
        let code = record["code"].as_str().unwrap();
        assert!(
            ["DEADLINE_EXCEEDED", "CANCELLED"].contains(&code),
            "{record}"
        );
        assert_eq!(record["usage"], usage);
    }
    test.ends().await;
}

#[tokio::test]
async fn calls_that_a_drain_ends_have_records() {
    let mut test = recorded(|config, _| config.drain.limit = Duration::from_millis(100)).await;
    let request = keyed(faulty("stall-after-2"), &test.key);
    let mut open = Stream::open(&mut test.gateway.inference(), request).await;
    open.tokens(1).await;
    test.gateway.stop.drain.cancel();
    let answer = open.end().await;
    assert_eq!(answer.code(), Code::Unavailable);
    test.next("UNAVAILABLE", "DRAINING").await;
    test.ends().await;
}

/// The client keeps its connection and never reads, so the call cannot learn of the drain.
#[tokio::test]
async fn calls_whose_clients_do_not_read_have_records_when_the_process_ends() {
    let mut test = recorded(|config, options| {
        config.drain.limit = Duration::from_millis(100);
        options.pace = Pace::default();
    })
    .await;
    let request = keyed(faulty("stall-after-2"), &test.key);
    let mut open = Stream::open(&mut test.gateway.inference(), request).await;
    open.tokens(1).await;
    test.gateway.stop.drain.cancel();
    test.gateway.stop.now.cancel();
    test.gateway.finished().await;
    drop(open);
    let records = test.records.rest();
    assert_eq!(records.len(), 1, "{records:?}");
}

#[tokio::test]
async fn calls_without_an_identity_are_counted_and_not_recorded() {
    let mut test = recorded(|config, _| config.access.required = false).await;
    test.gateway.stream(ask("nova")).await.is_whole();
    let unidentified = "bedrock_grpc_unidentified_calls_total";
    assert_eq!(test.gateway.metric(unidentified).await, 1.0);
    test.gateway
        .stream(keyed(ask("nova"), &test.key))
        .await
        .is_whole();
    assert_eq!(test.gateway.metric(unidentified).await, 1.0);
    test.next("OK", "").await;
    test.ends().await;
}

fn slow() -> Pace {
    paced(Duration::from_millis(20), 1_000)
}

/// Bedrock bills an answer that the gateway cannot pass on.
#[tokio::test]
async fn an_answer_of_a_model_without_room_in_memory_is_charged() {
    let mut test = recorded(|config, _| {
        config.access.prices = vec![price()];
        config.limits.memory = Some(100 << 10);
        let embed = Alias {
            invoke_model: true,
            ..Alias::to("amazon.titan-embed-text-v2:0")
        };
        config.targets.aliases.insert("embed".to_owned(), embed);
        let team = config.access.callers.get_mut("team-a").unwrap();
        team.permission.methods = Some(vec!["InvokeModel"]);
    })
    .await;
    // The vector of a text with many words has many digits.
    let words: Vec<_> = (0..3_000).map(|number| number.to_string()).collect();
    let body = |text: &str| format!(r#"{{"inputText":"{text}"}}"#);
    let asked = |text: &str| InvokeModelRequest {
        target: "embed".to_owned(),
        body: body(text).into(),
        ..InvokeModelRequest::default()
    };
    let mut models = test.gateway.models();
    soon(models.invoke_model(keyed(asked("four"), &test.key)))
        .await
        .unwrap();
    let record = test.next("OK", "").await;
    let service = "bedrock.inference.v1.ModelService";
    assert_eq!(record["method"], format!("{service}/InvokeModel"));
    assert_eq!(
        (&record["usage"], tokens(&record)),
        (&json!("reported"), (1, 0))
    );
    assert_eq!(record["cost_nano_usd"], 60);
    let failed = soon(models.invoke_model(keyed(asked(&words.join(" ")), &test.key))).await;
    assert_eq!(failed.unwrap_err().code(), Code::Unavailable);
    let record = test.next("UNAVAILABLE", "REPLICA_SATURATED").await;
    let bytes = body(&words.join(" ")).len() as u64;
    assert_eq!(
        (&record["usage"], tokens(&record)),
        (&json!("estimated"), (bytes, 0))
    );
    test.ends().await;
}
