//! Converse, ConverseStream and the log of calls.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use aws_sdk_bedrockruntime::{
    error::ProvideErrorMetadata,
    operation::RequestId,
    types::{
        CachePointBlock, CachePointType, InferenceConfiguration, StopReason, SystemContentBlock,
    },
};
use bedrock_emulator::{Cut, End, Options, Pace, Quota, Quotas, Rate};

use crate::support::{MODEL, client, client_in, start, stream, user};

#[tokio::test]
async fn a_prompt_is_written_to_the_cache_of_its_region_and_then_read() {
    let emulator = start(Options::default());
    let cached = async |region| {
        let point = CachePointBlock::builder()
            .r#type(CachePointType::Default)
            .build()
            .expect("the type is set");
        let sent = client_in(&emulator, region)
            .converse()
            .model_id(MODEL)
            .system(SystemContentBlock::Text("rain ".repeat(2_000)))
            .system(SystemContentBlock::CachePoint(point))
            .messages(user("Explain rain"))
            .send()
            .await
            .ok()?;
        let usage = sent.usage.expect("usage");
        let [read, written] = [
            usage.cache_read_input_tokens,
            usage.cache_write_input_tokens,
        ]
        .map(Option::unwrap_or_default);
        Some((read, written))
    };
    let quota = Quota {
        on_demand: Rate {
            requests_per_minute: Some(0),
            tokens_per_minute: None,
        },
        ..Quota::default()
    };
    emulator.set_quotas(Quotas::everywhere(quota));
    assert_eq!(cached("us-east-1").await, None, "a quota of 0");
    emulator.set_quotas(Quotas::default());
    let (read, written) = cached("us-east-1").await.expect("an answer");
    assert_eq!(read, 0, "a refused call writes nothing");
    assert!(written > 1_000, "{written}");
    assert_eq!(cached("us-east-1").await, Some((written, 0)));
    assert_eq!(cached("us-west-2").await, Some((0, written)));
}

#[tokio::test]
async fn a_stream_is_whole_and_logged() {
    let emulator = start(Options::default());
    let outcome = stream(
        &client_in(&emulator, "eu-west-1"),
        MODEL,
        "Say hi to the wire",
    )
    .await;
    assert_eq!(outcome.end, "end", "{outcome:?}");
    assert_eq!(outcome.events.first(), Some(&"messageStart"));
    assert_eq!(outcome.events.last(), Some(&"metadata"));
    assert!(!outcome.text.is_empty());

    let calls = emulator
        .wait_for(|calls| calls.iter().all(|call| call.end.is_some()))
        .await;
    let [call] = &calls[..] else {
        panic!("one call, not {calls:?}")
    };
    assert_eq!(
        (call.id, call.operation, call.model_id.as_str()),
        (1, "ConverseStream", MODEL)
    );
    assert_eq!(call.region, "eu-west-1");
    assert_eq!(call.status, Some(200));
    assert_eq!(call.events_sent, outcome.events.len() as u64);
    assert_eq!(call.end, Some(End::Completed));
    assert!(
        call.header("user-agent")
            .is_some_and(|agent| agent.contains("aws-sdk-rust"))
    );
    assert_eq!(call.header("authorization"), None);
    let body: serde_json::Value = serde_json::from_slice(&call.body).expect("JSON");
    assert_eq!(
        body["messages"][0]["content"][0]["text"],
        "Say hi to the wire"
    );

    emulator.clear_calls();
    assert_eq!(emulator.calls(), []);
    emulator.stop().await;
}

#[tokio::test]
async fn converse_folds_the_same_answer() {
    let emulator = start(Options::default());
    let client = client(&emulator);
    let streamed = stream(&client, MODEL, "Say hi to the wire").await;
    let answer = client
        .converse()
        .model_id(MODEL)
        .messages(user("Say hi to the wire"))
        .send()
        .await
        .expect("an answer");
    let id = answer.request_id().expect("x-amzn-requestid").to_owned();
    assert_eq!(answer.stop_reason(), &StopReason::EndTurn);
    let usage = answer.usage().expect("usage");
    assert_eq!(
        usage.total_tokens(),
        usage.input_tokens() + usage.output_tokens()
    );
    let message = answer
        .output()
        .and_then(|output| output.as_message().ok())
        .expect("a message");
    assert_eq!(
        message.content()[0].as_text().expect("text"),
        &streamed.text
    );
    let calls = emulator.calls();
    assert_eq!(
        (calls[1].operation, &calls[1].request_id),
        ("Converse", &id)
    );
}

#[tokio::test]
async fn every_cut_gives_the_same_answer() {
    let whole = stream(&client(&start(Options::default())), MODEL, "Say grüße 🌍").await;
    for cut in [
        Cut::Every(NonZeroUsize::MIN),
        "7".parse().expect("a cut"),
        Cut::Awkward,
    ] {
        let emulator = start(Options {
            cut,
            ..Options::default()
        });
        let outcome = stream(&client(&emulator), MODEL, "Say grüße 🌍").await;
        assert_eq!(
            (outcome.events, outcome.text, outcome.end),
            (whole.events.clone(), whole.text.clone(), whole.end.clone())
        );
        let calls = emulator.wait_for(|calls| calls[0].end.is_some()).await;
        assert_eq!(calls[0].events_sent, whole.events.len() as u64);
    }
}

#[tokio::test]
async fn pace_and_length_are_kept() {
    let pace = Pace {
        time_to_first_token: Duration::from_millis(60),
        inter_token_delay: Duration::from_millis(10),
        tokens: NonZeroUsize::new(20),
    };
    let emulator = start(Options {
        pace,
        ..Options::default()
    });
    let client = client(&emulator);
    let start = Instant::now();
    let outcome = stream(&client, MODEL, "Say hi to the wire").await;
    let deltas = outcome
        .events
        .iter()
        .filter(|name| **name == "contentBlockDelta")
        .count();
    assert_eq!(deltas, 20);
    assert!(
        start.elapsed() >= Duration::from_millis(60 + 19 * 10),
        "{:?}",
        start.elapsed()
    );

    let short = InferenceConfiguration::builder().max_tokens(5).build();
    let answer = client
        .converse()
        .model_id(MODEL)
        .messages(user("Say hi"))
        .inference_config(short)
        .send()
        .await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.usage().expect("usage").output_tokens(), 5);
    assert_eq!(answer.stop_reason(), &StopReason::MaxTokens);
}

#[tokio::test]
async fn a_client_that_leaves_is_seen() {
    let slow = Pace {
        inter_token_delay: Duration::from_secs(3600),
        tokens: NonZeroUsize::new(9),
        ..Pace::default()
    };
    let emulator = start(Options {
        pace: slow,
        ..Options::default()
    });
    let client = client(&emulator);
    for model in [MODEL.to_owned(), format!("{MODEL}.fault-stall-after-0")] {
        emulator.clear_calls();
        let output = client
            .converse_stream()
            .model_id(&model)
            .messages(user("Say hi"))
            .send()
            .await
            .expect("headers");
        emulator.wait_for(|calls| calls.len() == 1).await;
        drop(output);
        let calls = emulator.wait_for(|calls| calls[0].end.is_some()).await;
        assert_eq!(calls[0].end, Some(End::ClientGone), "{model}");
    }
    emulator.clear_calls();
    let model = format!("{MODEL}.fault-stall-before-headers");
    let waiting = tokio::spawn(
        client
            .converse_stream()
            .model_id(model)
            .messages(user("Say hi"))
            .send(),
    );
    emulator.wait_for(|calls| calls.len() == 1).await;
    waiting.abort();
    let calls = emulator.wait_for(|calls| calls[0].end.is_some()).await;
    assert_eq!(
        (calls[0].end, calls[0].status),
        (Some(End::ClientGone), None)
    );
}

#[tokio::test]
async fn model_ids_mean_what_they_mean_at_bedrock() {
    let emulator = start(Options::default());
    let profile_only = "deepseek.r1-v1:0";
    let needs_profile = "Invocation of model ID deepseek.r1-v1:0 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.";
    let invalid = "The provided model identifier is invalid.";
    let arn = "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.deepseek.r1-v1:0";
    let cases = [
        ("us-east-1", "us.deepseek.r1-v1:0", None),
        ("us-east-1", arn, None),
        (
            "us-east-1",
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            None,
        ),
        (
            "us-east-1",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/emulator0001",
            None,
        ),
        (
            "us-east-1",
            "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl",
            None,
        ),
        ("us-east-1", profile_only, Some(needs_profile)),
        ("us-east-1", "does-not-exist", Some(invalid)),
        ("us-west-2", arn, Some(invalid)),
        ("eu-west-1", "us.deepseek.r1-v1:0", Some(invalid)),
        (
            "us-east-1",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/unknown",
            Some(invalid),
        ),
        ("us-east-1", "emulator0001", Some(invalid)),
    ];
    for (region, model, refused) in cases {
        let sent = client_in(&emulator, region)
            .converse()
            .model_id(model)
            .messages(user("Say hi"))
            .send()
            .await;
        let message = sent.as_ref().err().and_then(|error| error.meta().message());
        assert_eq!(message, refused, "{model} in {region}");
        if refused.is_some() {
            assert!(sent.is_err_and(|error| error.into_service_error().is_validation_exception()));
        }
    }
}
