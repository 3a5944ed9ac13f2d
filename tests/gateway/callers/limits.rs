//! How much callers, groups and targets may use.

use std::time::Duration;

use bedrock_grpc::{
    access::key::Secret,
    config::{Config, GroupOptions, LimitsStore, Price, Quota, Rates},
    pb::{
        ContentBlock, DocumentBlock, DocumentFormat, DocumentSource, InferenceConfiguration,
        RawMember, StreamInvokeRequest, content_block, document_source,
        stream_invoke_response::Event,
    },
};
use serde_json::Value;
use tonic::{Code, metadata::MetadataMap};

use crate::harness::{
    Answer, Gateway, MODEL, Stream, access_of, alias, ask, bearer, faulty, invoke, key_of, keyed,
    paced, soon,
};

const PRICE: Rates = Rates {
    input: 60,
    output: 240,
    cache_read: 15,
    cache_write_5m: 60,
    cache_write_1h: 60,
};

/// A gateway with the callers `team-a` and `team-b`, both in the group `all`, and these limits of
/// team-a.
async fn gateway(quota: Quota, change: impl FnOnce(&mut Config)) -> (Gateway, Secret, Secret) {
    let (a, b) = (key_of(), key_of());
    let gateway = Gateway::with(|config, options| {
        config.access = access_of(&[("team-a", &a), ("team-b", &b)]);
        config.access.store = LimitsStore::Memory;
        config.access.prices = vec![Price {
            models: vec!["*nova-lite*".to_owned()],
            rates: PRICE,
            ..Price::default()
        }];
        config
            .access
            .groups
            .insert("all".to_owned(), GroupOptions::default());
        for caller in config.access.callers.values_mut() {
            caller.groups = vec!["all".to_owned()];
        }
        config.access.callers.get_mut("team-a").unwrap().quota = quota;
        config.targets.policy.max_tokens = Some(20_000);
        change(config);
        options.pace = paced(Duration::ZERO, 5);
    })
    .await;
    (gateway, a, b)
}

fn tokens(most: i32) -> StreamInvokeRequest {
    let mut request = ask("nova");
    let input = request.input.as_mut().unwrap();
    input.inference_config = Some(InferenceConfiguration {
        max_tokens: Some(most),
        ..InferenceConfiguration::default()
    });
    request
}

/// The tokens that a call used, and what it cost.
fn used(answer: &Answer) -> (i64, Option<i64>) {
    answer.is_whole();
    let event = answer.events().last().unwrap();
    let Event::Metadata(event) = event else {
        panic!("{event:?}");
    };
    let usage = event.metadata.as_ref().unwrap().usage.clone().unwrap();
    let (input, output) = (usage.input_tokens.unwrap(), usage.output_tokens.unwrap());
    let cost = event.estimated_cost.map(|cost| cost.nano_usd);
    let expected = i64::from(input) * 60 + i64::from(output) * 240;
    assert!(
        cost.is_none_or(|cost| cost == expected),
        "{cost:?} {expected}"
    );
    (i64::from(input + output), cost)
}

fn number(map: &MetadataMap, name: &str) -> i64 {
    let value = map
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {map:?}"));
    value.to_str().unwrap().parse().unwrap()
}

#[track_caller]
fn is_limited(answer: &Answer, reason: &str, subject: &str, limit: &str) {
    assert_eq!(answer.code(), Code::ResourceExhausted, "{answer:?}");
    let details = answer.details();
    assert_eq!(details.reason(), reason, "{answer:?}");
    let violation = details.quota().unwrap().violations.remove(0);
    assert_eq!(violation.subject, subject);
    assert!(violation.description.starts_with(limit), "{violation:?}");
    assert!(answer.trailers_only);
}

#[tokio::test]
async fn requests_of_a_minute_are_counted_by_caller() {
    let quota = Quota {
        requests_per_minute: Some(2),
        ..Quota::default()
    };
    let (gateway, a, b) = gateway(quota, |_| {}).await;
    for left in [1, 0] {
        let answer = gateway.stream(keyed(ask("nova"), &a)).await;
        answer.is_whole();
        assert_eq!(number(&answer.headers, "x-ratelimit-limit-requests"), 2);
        assert_eq!(
            number(&answer.headers, "x-ratelimit-remaining-requests"),
            left
        );
        let reset = number(&answer.headers, "x-ratelimit-reset-requests");
        assert!((1..=60).contains(&reset), "{reset}");
    }
    let answer = gateway.stream(keyed(ask("nova"), &a)).await;
    is_limited(
        &answer,
        "CALLER_RATE_LIMIT",
        "caller:team-a",
        "requests_per_minute is 2",
    );
    let retry = answer.details().retry().unwrap().retry_delay.unwrap();
    assert!((1..=30).contains(&retry.seconds), "{retry:?}");
    assert!(answer.details().pushback_ms.unwrap() > 0);
    gateway.stream(keyed(ask("nova"), &b)).await.is_whole();
    assert_eq!(gateway.ended(3).await.len(), 3);
}

#[tokio::test]
async fn open_streams_are_places_that_come_back() {
    let quota = Quota {
        open_streams: Some(1),
        ..Quota::default()
    };
    let (a, b) = (key_of(), key_of());
    let gateway = Gateway::with(|config, options| {
        config.access = access_of(&[("team-a", &a), ("team-b", &b)]);
        config.access.callers.get_mut("team-a").unwrap().quota = quota;
        options.pace = paced(Duration::from_millis(20), 50);
    })
    .await;
    let mut open = Stream::open(&mut gateway.inference(), keyed(ask("nova"), &a)).await;
    open.tokens(1).await;
    let refused = gateway.stream(keyed(ask("nova"), &a)).await;
    is_limited(
        &refused,
        "CALLER_STREAM_LIMIT",
        "caller:team-a",
        "open_streams is 1",
    );
    assert!(refused.details().retry().is_some());
    let of_another = Stream::open(&mut gateway.inference(), keyed(ask("nova"), &b)).await;
    drop(of_another);
    // A call that its client cancels releases its slot, too.
    drop(open);
    soon(async {
        while gateway.stream(keyed(ask("nova"), &a)).await.code() != Code::Ok {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn tokens_are_reserved_and_then_counted_as_bedrock_says() {
    let quota = Quota {
        tokens_per_day: Some(10_000),
        ..Quota::default()
    };
    let (gateway, a, _) = gateway(quota, |_| {}).await;
    let mut total = 0;
    for _ in 0..3 {
        let mut client = gateway.inference();
        let response = soon(client.stream_invoke(keyed(tokens(1_000), &a)))
            .await
            .unwrap();
        let reserved = number(response.metadata(), "x-ratelimit-remaining-tokens");
        // The reservation is the maximum output, and one token for each byte of the input.
        assert!(reserved < 10_000 - total - 1_000, "{reserved}");
        let mut messages = response.into_inner();
        let mut last = None;
        while let Some(message) = soon(messages.message()).await.unwrap() {
            last = message.event;
        }
        let Some(Event::Metadata(event)) = last else {
            panic!("{last:?}");
        };
        let usage = event.metadata.unwrap().usage.unwrap();
        total += i64::from(usage.total_tokens.unwrap());
        let trailers = soon(messages.trailers()).await.unwrap().unwrap();
        assert_eq!(
            number(&trailers, "x-ratelimit-remaining-tokens"),
            10_000 - total
        );
    }
    // Alone, this call would reach the limit exactly. After the earlier calls, it exceeds the
    // limit.
    let body = gateway.ended(3).await.remove(0).body.len();
    let all = i32::try_from(10_000 - body).unwrap();
    let answer = gateway.stream(keyed(tokens(all), &a)).await;
    is_limited(
        &answer,
        "CALLER_BUDGET_EXHAUSTED",
        "caller:team-a",
        "tokens_per_day is 10000",
    );
    assert!(answer.details().retry().is_some());
    // More than the limit itself never fits.
    let answer = gateway.stream(keyed(tokens(all + 1), &a)).await;
    is_limited(
        &answer,
        "CALLER_BUDGET_EXHAUSTED",
        "caller:team-a",
        "tokens_per_day is 10000",
    );
    assert!(answer.details().retry().is_none());
    assert_eq!(answer.details().pushback_ms, Some(-1));
    gateway.stream(keyed(tokens(1_000), &a)).await.is_whole();
}

#[tokio::test]
async fn a_call_without_a_maximum_gets_one_if_its_tokens_are_limited() {
    let quota = Quota {
        tokens_per_minute: Some(100_000),
        ..Quota::default()
    };
    let (gateway, a, b) = gateway(quota, |config| {
        config.targets.policy.max_tokens = None;
        config.access.estimates.max_tokens = 77;
    })
    .await;
    gateway.stream(keyed(ask("nova"), &a)).await.is_whole();
    gateway.stream(keyed(ask("nova"), &b)).await.is_whole();
    let bodies: Vec<Value> = gateway
        .ended(2)
        .await
        .iter()
        .map(|call| serde_json::from_slice(&call.body).unwrap())
        .collect();
    assert_eq!(bodies[0]["inferenceConfig"]["maxTokens"], 77);
    assert_eq!(bodies[1]["inferenceConfig"]["maxTokens"], Value::Null);
    // It is a maximum, which no setting of the caller can exceed.
    let refused = gateway.stream(keyed(tokens(78), &a)).await;
    assert_eq!(refused.code(), Code::InvalidArgument);
    gateway.stream(keyed(tokens(78), &b)).await.is_whole();
}

/// Media are estimated wherever they are in the body, so that no spelling avoids a limit.
#[tokio::test]
async fn media_in_raw_members_count_as_media() {
    let quota = Quota {
        tokens_per_minute: Some(100_000),
        ..Quota::default()
    };
    let (gateway, a, b) = gateway(quota, |config| {
        config.access.estimates.image = 200_000;
    })
    .await;
    let image = r#"{"image":{"format":"png","source":{"bytes":"aGk="}}}"#;
    let members = [
        ("/messages/0/content/1", image),
        ("/messages/0/content/-", image),
        ("/system", r#"[{"guardContent":{"image":{}}}]"#),
    ];
    for (pointer, json) in members {
        let mut request = tokens(10);
        request.input.as_mut().unwrap().raw_members = vec![RawMember {
            pointer: pointer.to_owned(),
            json: json.to_owned(),
        }];
        let refused = gateway.stream(keyed(request.clone(), &a)).await;
        assert_eq!(refused.code(), Code::ResourceExhausted, "{pointer}");
        // Without a limit, only Bedrock decides.
        let answered = gateway.stream(keyed(request, &b)).await;
        assert_ne!(answered.code(), Code::ResourceExhausted, "{pointer}");
    }
    // A document in a text format costs its text, and one in another format its pages.
    for (format, is_refused) in [
        (DocumentFormat::Pdf, false),
        (DocumentFormat::Txt, true),
        (DocumentFormat::Csv, true),
        (DocumentFormat::Unspecified, true),
    ] {
        let mut request = tokens(10);
        let input = request.input.as_mut().unwrap();
        input.messages[0].content.push(ContentBlock {
            content: Some(content_block::Content::Document(DocumentBlock {
                format: format.into(),
                format_name: match format {
                    DocumentFormat::Unspecified => "log".to_owned(),
                    _ => String::new(),
                },
                name: "doc".to_owned(),
                source: Some(DocumentSource {
                    source: Some(document_source::Source::Bytes(vec![b'x'; 200_000].into())),
                }),
                ..DocumentBlock::default()
            })),
        });
        let answered = gateway.stream(keyed(request, &a)).await;
        let is_exhausted = answered.code() == Code::ResourceExhausted;
        assert_eq!(
            is_exhausted,
            is_refused,
            "{format:?}: {:?}",
            answered.code()
        );
    }
    // A property in the schema of a tool is no image.
    let schema = r#"{"type":"object","properties":{"image":{"type":"object"}}}"#;
    for (pointer, is_refused) in [
        ("/toolConfig/tools/0/toolSpec/inputSchema/json", false),
        ("/messages/0/content/1", true),
    ] {
        let mut request = tokens(10);
        request.input.as_mut().unwrap().raw_members = vec![RawMember {
            pointer: pointer.to_owned(),
            json: schema.to_owned(),
        }];
        let answered = gateway.stream(keyed(request, &a)).await;
        let is_exhausted = answered.code() == Code::ResourceExhausted;
        assert_eq!(is_exhausted, is_refused, "{pointer}: {:?}", answered.code());
    }
}

#[tokio::test]
async fn money_is_counted_to_the_last_nano_dollar() {
    let quota = Quota {
        nano_usd_per_month: Some(1_000_000),
        ..Quota::default()
    };
    let (gateway, a, b) = gateway(quota, |_| {}).await;
    let answer = gateway.stream(keyed(tokens(1_000), &a)).await;
    let (_, cost) = used(&answer);
    let cost = cost.unwrap();
    // A call that Bedrock refuses costs nothing.
    for fault in ["throttling", "validation", "service-unavailable"] {
        let mut request = faulty(fault);
        request.input = tokens(1_000).input;
        let refused = gateway.stream(keyed(request, &a)).await;
        assert_ne!(refused.code(), Code::Ok, "{fault}");
    }
    let response = soon(gateway.inference().invoke(keyed(invoke(tokens(1_000)), &a)))
        .await
        .unwrap();
    let second = response.get_ref().estimated_cost.unwrap().nano_usd;
    // The headers of a unary response are sent after the call to Bedrock has ended.
    let left = number(response.metadata(), "x-ratelimit-remaining-nano-usd");
    assert_eq!(left, 1_000_000 - cost - second);
    // 5,000 tokens of output cost 1,200,000 at most.
    let answer = gateway.stream(keyed(tokens(5_000), &a)).await;
    is_limited(
        &answer,
        "CALLER_BUDGET_EXHAUSTED",
        "caller:team-a",
        "usd_per_month is USD 0.001,",
    );
    assert!(answer.details().retry().is_none());
    // Callers without a limit may spend any amount, and the answer shows the cost.
    let (_, cost) = used(&gateway.stream(keyed(tokens(5_000), &b)).await);
    assert!(cost.unwrap() > 0);
    assert_eq!(
        gateway
            .metric("bedrock_grpc_nano_usd_beyond_reservation_total")
            .await,
        0.0
    );
}

#[tokio::test]
async fn a_model_without_a_price_is_not_for_callers_with_a_budget() {
    let quota = Quota {
        nano_usd_per_day: Some(1_000_000_000),
        ..Quota::default()
    };
    let (gateway, a, b) = gateway(quota, |config| {
        config.access.prices[0].models = vec!["x".to_owned()]
    })
    .await;
    let refused = gateway.stream(keyed(ask("nova"), &a)).await;
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.details().reason(), "PRICE_UNKNOWN");
    let (_, cost) = used(&gateway.stream(keyed(ask("nova"), &b)).await);
    assert_eq!(cost, None);
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_charged_by_an_estimate_from_above() {
    let key = key_of();
    let gateway = Gateway::with(|config, options| {
        config.access = access_of(&[("team-a", &key)]);
        config.access.store = LimitsStore::Memory;
        config.access.callers.get_mut("team-a").unwrap().quota = Quota {
            tokens_per_day: Some(1_000_000),
            ..Quota::default()
        };
        config.targets.policy.max_tokens = Some(20_000);
        options.pace = paced(Duration::from_millis(5), 1_000);
    })
    .await;
    let mut call = Stream::open(&mut gateway.inference(), keyed(tokens(1_000), &key)).await;
    call.tokens(3).await;
    let reserved = number(&call.so_far().headers, "x-ratelimit-remaining-tokens");
    let text = call.so_far().text().len() as i64;
    drop(call);
    // The limits are settled before the call to Bedrock is closed.
    gateway.ended(1).await;
    let next = gateway.stream(keyed(tokens(1_000), &key)).await;
    let left = number(&next.headers, "x-ratelimit-remaining-tokens");
    // The next call reserves what the first one had reserved: its input, and 1,000 tokens of
    // output.
    let input = 1_000_000 - reserved - 1_000;
    let charged = 1_000_000 - left - input - 1_000;
    assert!(charged >= input + text, "{charged} {input} {text}");
    assert!(charged < input + 1_000, "{charged} {input}");
}

#[tokio::test]
async fn groups_and_targets_have_limits_too() {
    let (gateway, a, b) = gateway(Quota::default(), |config| {
        let two = Quota {
            requests_per_minute: Some(2),
            ..Quota::default()
        };
        config.access.groups.get_mut("all").unwrap().quota = Quota {
            requests_per_minute: Some(3),
            ..Quota::default()
        };
        let mut small = alias(MODEL);
        small.limits.quota = two;
        config.targets.aliases.insert("small".to_owned(), small);
    })
    .await;
    gateway.stream(keyed(ask("small"), &a)).await.is_whole();
    gateway.stream(keyed(ask("small"), &b)).await.is_whole();
    let answer = gateway.stream(keyed(ask("small"), &b)).await;
    is_limited(
        &answer,
        "CALLER_RATE_LIMIT",
        "target:small",
        "requests_per_minute is 2",
    );
    // A call that the target's limit refuses is not counted for its caller and group.
    gateway.stream(keyed(ask("nova"), &b)).await.is_whole();
    for key in [&a, &b] {
        let answer = gateway.stream(keyed(ask("nova"), key)).await;
        is_limited(
            &answer,
            "CALLER_RATE_LIMIT",
            "group:all",
            "requests_per_minute is 3",
        );
    }
}

#[tokio::test]
async fn without_callers_targets_have_limits_too() {
    let gateway = Gateway::with(|config, _| {
        let nova = config.targets.aliases.get_mut("nova").unwrap();
        nova.limits.quota = Quota {
            requests_per_minute: Some(1),
            ..Quota::default()
        };
    })
    .await;
    gateway.stream(ask("nova")).await.is_whole();
    let answer = gateway.stream(bearer(ask("nova"), "anyone")).await;
    is_limited(
        &answer,
        "CALLER_RATE_LIMIT",
        "target:nova",
        "requests_per_minute is 1",
    );
    gateway.stream(ask(MODEL)).await.is_whole();
}
