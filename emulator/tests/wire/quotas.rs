//! Quotas, capacity, and the serving Region, from the view of callers.

use std::time::Duration;

use aws_sdk_bedrockruntime::error::ProvideErrorMetadata;
use aws_sdk_bedrockruntime::types::InferenceConfiguration;
use bedrock_emulator::{Emulator, Options, Pace, Quota, Quotas, Rate};
use serde_json::json;

use crate::support::{MODEL, client_in, own, start, stream, user};

const PROFILE: &str = "us.amazon.nova-lite-v1:0";

fn requests(per_minute: u64) -> Quota {
    Quota::rate(Rate {
        requests_per_minute: Some(per_minute),
        tokens_per_minute: None,
    })
}

fn tokens(per_minute: u64) -> Quota {
    Quota::rate(Rate {
        requests_per_minute: None,
        tokens_per_minute: Some(per_minute),
    })
}

/// Calls Converse with this `maxTokens`: returns the tokens of output and input, or the error's
/// code and message.
async fn ask(
    emulator: &Emulator,
    region: &'static str,
    model: &str,
    max_tokens: Option<i32>,
) -> Result<(u64, u64), (String, String)> {
    let limit = InferenceConfiguration::builder().set_max_tokens(max_tokens);
    let sent = client_in(emulator, region)
        .converse()
        .model_id(model)
        .messages(user("Say hi"))
        .inference_config(limit.build())
        .send()
        .await;
    match sent {
        Ok(answer) => {
            let usage = answer.usage().expect("usage");
            let count = |number: i32| u64::try_from(number).expect("not negative");
            Ok((count(usage.output_tokens()), count(usage.input_tokens())))
        }
        Err(error) => {
            let meta = error.meta();
            let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
            Err((text(meta.code()), text(meta.message())))
        }
    }
}

fn throttled(what: &str) -> Result<(u64, u64), (String, String)> {
    let message = format!("Too many {what}, please wait before trying again.");
    Err(("ThrottlingException".to_owned(), message))
}

#[tokio::test]
async fn requests_are_counted_for_each_model_source_and_way() {
    let emulator = start(Options {
        quotas: Quotas::everywhere(requests(1)),
        ..Options::default()
    });
    for (region, model) in [
        ("us-east-1", MODEL),
        ("us-east-1", PROFILE),
        ("us-east-1", "amazon.nova-pro-v1:0"),
        ("us-west-2", MODEL),
    ] {
        assert!(
            ask(&emulator, region, model, None).await.is_ok(),
            "{region} {model}"
        );
        assert_eq!(
            ask(&emulator, region, model, None).await,
            throttled("requests")
        );
    }
    // A copy counts toward the quota of its original, and a provisioned model has no quota.
    let arn = |end: &str| format!("arn:aws:bedrock:us-east-1:123456789012:{end}");
    let copy = arn("application-inference-profile/emulator0001");
    assert_eq!(
        ask(&emulator, "us-east-1", &copy, None).await,
        throttled("requests")
    );
    for _ in 0..3 {
        let units = arn("provisioned-model/emulatorpt01");
        assert!(ask(&emulator, "us-east-1", &units, None).await.is_ok());
    }
    emulator.set_quotas(Quotas::default());
    assert!(ask(&emulator, "us-east-1", MODEL, None).await.is_ok());
}

#[tokio::test]
async fn what_is_reserved_counts_while_a_call_runs_and_what_it_took_afterwards() {
    let emulator = start(Options::default());
    let claude = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    for (model, burn_down, most) in [(PROFILE, 1, 10_000), (claude, 5, 64_000)] {
        let used = async || {
            let (_, quotas) = own(&emulator, "GET", "quotas", "").await;
            let minute = quotas["used"]["minutes"][0].clone();
            (minute["requests"].as_u64(), minute["tokens"].as_u64())
        };
        // Without maxTokens, the model's maximum is reserved, however short the answer is.
        emulator.set_quotas(Quotas::everywhere(tokens(most)));
        let refused = ask(&emulator, "us-east-1", model, None).await;
        assert_eq!(refused, throttled("tokens"), "{model}");
        emulator.set_quotas(Quotas::everywhere(tokens(most + 100)));
        let (output, input) = ask(&emulator, "us-east-1", model, None)
            .await
            .expect("an answer");
        let calls =
            |calls: &[bedrock_emulator::Call]| calls.last().is_some_and(|call| call.end.is_some());
        emulator.wait_for(calls).await;
        assert_eq!(used().await, (Some(1), Some(input + output * burn_down)));
        assert!(ask(&emulator, "us-east-1", model, Some(50)).await.is_ok());
    }

    let slow = Pace {
        inter_token_delay: Duration::from_secs(3600),
        tokens: std::num::NonZeroUsize::new(2),
        ..Pace::default()
    };
    let emulator = start(Options {
        pace: slow,
        quotas: Quotas::everywhere(tokens(12_000)),
        ..Options::default()
    });
    let client = client_in(&emulator, "us-east-1");
    let open = client
        .converse_stream()
        .model_id(PROFILE)
        .messages(user("Say hi"));
    let running = open.send().await.expect("headers");
    let refused = stream(&client, PROFILE, "Say hi").await;
    assert_eq!(refused.end, "429 ThrottlingException");
    // If a client disconnects, its call counts with the whole answer, and the rest of the
    // reservation is released.
    drop(running);
    emulator
        .wait_for(|calls| calls.iter().all(|call| call.end.is_some()))
        .await;
    let again = client
        .converse_stream()
        .model_id(PROFILE)
        .messages(user("Say hi"));
    assert!(again.send().await.is_ok());
}

#[tokio::test]
async fn a_profile_is_served_where_there_is_room_and_the_log_alone_says_where() {
    let emulator = start(Options {
        quotas: Quotas::everywhere(Quota::capacity(1)),
        ..Options::default()
    });
    let client = client_in(&emulator, "us-west-2");
    let mut open = Vec::new();
    for _ in 0..3 {
        let stalled = format!("{PROFILE}.fault-stall-after-0");
        let sent = client
            .converse_stream()
            .model_id(stalled)
            .messages(user("Say hi"));
        open.push(sent.send().await.expect("headers"));
    }
    let refused = stream(&client, PROFILE, "Say hi").await;
    assert_eq!(refused.end, "503 ServiceUnavailableException");
    let other = stream(&client, "us.amazon.nova-pro-v1:0", "Say hi").await;
    assert_eq!(other.end, "end");
    let served: Vec<_> = emulator
        .calls()
        .into_iter()
        .map(|call| call.inference_region)
        .collect();
    let expected = [
        Some("us-west-2"),
        Some("us-east-1"),
        Some("us-east-2"),
        None,
        Some("us-west-2"),
    ];
    assert_eq!(served, expected.map(|region| region.map(str::to_owned)));

    let gone = open.remove(1);
    drop(gone);
    emulator.wait_for(|calls| calls[1].end.is_some()).await;
    assert_eq!(stream(&client, PROFILE, "Say hi").await.end, "end");
    let calls = emulator.calls();
    assert_eq!(calls[5].inference_region.as_deref(), Some("us-east-1"));

    let (_, events) = own(&emulator, "GET", "events", "").await;
    let records = events["Records"].as_array().expect("records");
    assert_eq!(records.len(), 6);
    assert_eq!(
        records[5]["additionalEventData"],
        json!({"inferenceRegion": "us-east-1"})
    );
    assert_eq!(records[3]["errorCode"], "ServiceUnavailableException");
    assert_eq!(records[3].get("additionalEventData"), None);
    let last = &records[5];
    assert_eq!(
        (&last["eventName"], &last["awsRegion"], &last["requestID"]),
        (
            &json!("ConverseStream"),
            &json!("us-west-2"),
            &json!(calls[5].request_id)
        )
    );
    assert_eq!(last["requestParameters"], json!({"modelId": PROFILE}));
    assert_eq!(last.get("errorCode"), None);
    assert!(
        last["eventTime"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    let (_, listed) = own(&emulator, "GET", "calls", "").await;
    assert_eq!(listed["calls"][5]["inferenceRegion"], "us-east-1");
    assert_eq!(
        listed["calls"][3]["errorCode"],
        "ServiceUnavailableException"
    );
}

#[tokio::test]
async fn a_global_profile_can_be_served_anywhere() {
    let full = Quota::capacity(0);
    let emulator = start(Options {
        quotas: Quotas::everywhere(full).with(None, Some("eu-west-3"), Quota::capacity(1)),
        ..Options::default()
    });
    let global = "global.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let outcome = stream(&client_in(&emulator, "sa-east-1"), global, "Say hi").await;
    assert_eq!(outcome.end, "end");
    let served = emulator.calls()[0].inference_region.clone();
    assert_eq!(served.as_deref(), Some("eu-west-3"));
    let us = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let outcome = stream(&client_in(&emulator, "us-east-1"), us, "Say hi").await;
    assert_eq!(outcome.end, "503 ServiceUnavailableException");
}

#[tokio::test]
async fn quotas_are_set_over_http() {
    let emulator = start(Options::default());
    let body = json!({
        "default": {"capacity": 9},
        "overrides": [{"region": "us-east-1", "quota": {"onDemand": {"requestsPerMinute": 1}}}],
    });
    let (status, answer) = own(&emulator, "PUT", "quotas", &body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["quotas"]["default"]["capacity"], 9);
    assert_eq!(
        answer["used"],
        json!({"minutes": [], "running": [], "ended": []})
    );
    assert!(ask(&emulator, "us-east-1", MODEL, None).await.is_ok());
    let (_, answer) = own(&emulator, "GET", "quotas", "").await;
    let ended = &answer["used"]["ended"][0];
    assert_eq!(
        (&ended["model"], &ended["calls"]),
        (&json!(MODEL), &json!(1))
    );
    assert!(ended["outputTokens"].as_u64() > Some(0), "{answer}");
    assert_eq!(
        ask(&emulator, "us-east-1", MODEL, None).await,
        throttled("requests")
    );
    assert!(ask(&emulator, "us-east-1", PROFILE, None).await.is_ok());
    assert!(ask(&emulator, "us-west-2", MODEL, None).await.is_ok());

    let (status, problem) = own(&emulator, "PUT", "quotas", r#"{"defaults": {}}"#).await;
    assert_eq!(status, 400);
    assert!(
        problem["message"]
            .as_str()
            .is_some_and(|text| text.contains("defaults"))
    );
    assert_eq!(own(&emulator, "POST", "quotas", "").await.0, 405);
    assert_eq!(own(&emulator, "POST", "events", "").await.0, 405);
    own(&emulator, "DELETE", "quotas", "").await;
    assert!(ask(&emulator, "us-east-1", MODEL, None).await.is_ok());
}
