//! Conditions of source Regions: their effect on calls from there, and on no others.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use bedrock_emulator::{Condition, End, Options, Pace};
use http_body_util::BodyExt;
use serde_json::json;

use crate::support::{MODEL, bearer_request, client_in, control, http2, own, start, stream, user};

fn fault(name: &str) -> Condition {
    Condition::Fault(name.parse().expect("a fault"))
}

#[tokio::test]
async fn a_fault_meets_the_calls_of_its_region_alone() {
    let emulator = start(Options::default());
    let (east, west) = (
        client_in(&emulator, "us-east-1"),
        client_in(&emulator, "us-west-2"),
    );
    for (name, told) in [
        ("throttling", "429 ThrottlingException"),
        ("service-unavailable", "503 ServiceUnavailableException"),
        ("internal", "500 InternalServerException"),
        ("stream-throttling-after-0", "throttlingException"),
    ] {
        emulator.set_region("us-east-1", fault(name));
        assert_eq!(stream(&east, MODEL, "Say hi").await.end, told);
        assert_eq!(stream(&west, MODEL, "Say hi").await.end, "end", "{name}");
    }
    emulator.set_region("us-east-1", fault("throttling"));
    let listed = async |region| {
        let client = control(&emulator, region);
        client.list_inference_profiles().send().await
    };
    let refused = listed("us-east-1")
        .await
        .expect_err("the control plane, too");
    assert!(refused.into_service_error().is_throttling_exception());
    assert!(listed("us-west-2").await.is_ok());

    emulator.clear_region("us-east-1");
    assert_eq!(stream(&east, MODEL, "Say hi").await.end, "end");
    assert!(listed("us-east-1").await.is_ok());
}

#[tokio::test]
async fn a_fault_that_a_call_names_wins_over_its_region_and_the_region_over_the_options() {
    let emulator = start(Options {
        fault: Some("access-denied".parse().expect("a fault")),
        ..Options::default()
    });
    let client = client_in(&emulator, "eu-west-1");
    let own_fault = format!("{MODEL}.fault-model-timeout");
    for condition in [fault("throttling"), Condition::Down { cut: true }] {
        emulator.set_region("eu-west-1", condition);
        let outcome = stream(&client, &own_fault, "Say hi").await;
        assert_eq!(outcome.end, "408 ModelTimeoutException", "{condition:?}");
    }
    emulator.set_region("eu-west-1", fault("throttling"));
    let outcome = stream(&client, MODEL, "Say hi").await;
    assert_eq!(outcome.end, "429 ThrottlingException");
    emulator.clear_region("eu-west-1");
    let outcome = stream(&client, MODEL, "Say hi").await;
    assert_eq!(outcome.end, "403 AccessDeniedException");
}

#[tokio::test]
async fn latency_comes_before_the_first_event() {
    let emulator = start(Options::default());
    let latency = Duration::from_millis(150);
    emulator.set_region("us-east-1", Condition::Latency(latency));
    let client = client_in(&emulator, "us-east-1");
    let sent = client
        .converse_stream()
        .model_id(MODEL)
        .messages(user("Say hi"));
    let start = Instant::now();
    let mut answer = sent.send().await.expect("headers");
    assert!(answer.stream.recv().await.expect("an event").is_some());
    assert!(start.elapsed() >= latency, "{:?}", start.elapsed());

    let start = Instant::now();
    let listed = control(&emulator, "us-east-1").list_foundation_models();
    listed.send().await.expect("a list");
    assert!(start.elapsed() >= latency, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_region_that_is_down_gives_no_answer() {
    let emulator = start(Options::default());
    emulator.set_region("us-east-1", Condition::Down { cut: false });
    let outcome = stream(&client_in(&emulator, "us-east-1"), MODEL, "Say hi").await;
    assert_eq!(outcome.end, "dispatch failure");
    let calls = emulator.wait_for(|calls| calls[0].end.is_some()).await;
    assert_eq!((calls[0].status, calls[0].end), (None, Some(End::Faulted)));
    assert!(
        control(&emulator, "us-east-1")
            .list_foundation_models()
            .send()
            .await
            .is_err()
    );
    let outcome = stream(&client_in(&emulator, "us-west-2"), MODEL, "Say hi").await;
    assert_eq!(outcome.end, "end");
}

#[tokio::test]
async fn a_region_goes_down_with_its_running_calls_or_without_them() {
    let emulator = start(Options {
        pace: Pace {
            inter_token_delay: Duration::from_secs(3600),
            tokens: std::num::NonZeroUsize::new(2),
            ..Pace::default()
        },
        ..Options::default()
    });
    let open = async |region, model: &str| {
        let client = client_in(&emulator, region);
        let sent = client
            .converse_stream()
            .model_id(model)
            .messages(user("Say hi"));
        let mut answer = sent.send().await.expect("headers");
        if model == MODEL {
            answer.stream.recv().await.expect("messageStart");
            answer.stream.recv().await.expect("a delta");
        }
        answer
    };
    let mut east = open("us-east-1", MODEL).await;
    let mut stalled = open("us-east-1", &format!("{MODEL}.fault-stall-after-0")).await;
    let west = open("us-west-2", MODEL).await;
    let silent = client_in(&emulator, "us-east-1")
        .converse_stream()
        .model_id(format!("{MODEL}.fault-stall-before-headers"))
        .messages(user("Say hi"));
    let silent = tokio::spawn(silent.send());
    emulator.wait_for(|calls| calls.len() == 4).await;

    emulator.set_region("us-east-1", Condition::Down { cut: false });
    let refused = stream(&client_in(&emulator, "us-east-1"), MODEL, "Say hi").await;
    assert_eq!(refused.end, "dispatch failure");
    let calls = emulator.calls();
    assert!(
        calls[..4].iter().all(|call| call.end.is_none()),
        "{calls:?}"
    );

    emulator.set_region("us-east-1", Condition::Down { cut: true });
    assert!(east.stream.recv().await.is_err());
    assert!(stalled.stream.recv().await.is_err());
    assert!(silent.await.expect("no panic").is_err());
    let ended = |calls: &[bedrock_emulator::Call]| {
        let ended = calls.iter().filter(|call| call.end == Some(End::Faulted));
        ended.count() == 4
    };
    let calls = emulator.wait_for(ended).await;
    let running: Vec<_> = calls.iter().filter(|call| call.end.is_none()).collect();
    assert_eq!(
        (running.len(), running[0].region.as_str()),
        (1, "us-west-2")
    );
    drop(west);
}

#[tokio::test]
async fn a_connection_of_http2_stays_when_a_region_is_down() {
    let emulator = start(Options {
        tls_listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
        ..Options::default()
    });
    let base = emulator.tls_endpoint_url().expect("TLS is on");
    let mut sender = http2(&emulator).await;
    let request = || bearer_request(&base, MODEL, "converse-stream");
    // Bearer tokens name no Region: these calls use the emulator's own.
    emulator.set_region("us-east-1", Condition::Down { cut: false });
    assert!(sender.send_request(request()).await.is_err());
    emulator.clear_region("us-east-1");
    let answer = sender.send_request(request()).await.expect("an answer");
    assert!(answer.into_body().collect().await.is_ok());
}

#[tokio::test]
async fn conditions_are_set_over_http() {
    let emulator = start(Options::default());
    let put = async |region: &str, body: &str| {
        own(&emulator, "PUT", &format!("regions/{region}"), body).await
    };
    assert_eq!(
        own(&emulator, "GET", "regions", "").await,
        (200, json!({"regions": {}}))
    );
    put("us-east-1", r#"{"fault": "reset-after-3"}"#).await;
    put("us-east-2", r#"{"latencyMs": 20}"#).await;
    let (status, list) = put("eu-west-1", r#"{"down": true}"#).await;
    let expected = json!({"regions": {
        "eu-west-1": {"down": true, "cut": false},
        "us-east-1": {"fault": "reset-after-3"},
        "us-east-2": {"latencyMs": 20},
    }});
    assert_eq!((status, &list), (200, &expected));
    assert_eq!(own(&emulator, "GET", "regions", "").await.1, expected);
    let outcome = stream(&client_in(&emulator, "eu-west-1"), MODEL, "Say hi").await;
    assert_eq!(outcome.end, "dispatch failure");

    for (region, body, words) in [
        ("us-east-1", "{}", "Send one of"),
        ("us-east-1", r#"{"down": false}"#, "DELETE"),
        (
            "us-east-1",
            r#"{"fault": "internal", "latencyMs": 1}"#,
            "Send one of",
        ),
        ("us-east-1", r#"{"fault": "boom"}"#, "throttling"),
        ("us-east-1", r#"{"latency": 1}"#, "latencyMs"),
        ("us-east-1", "no JSON", "body"),
        ("US East", r#"{"down": true}"#, "us-east-1"),
    ] {
        let (status, problem) = put(&region.replace(' ', "%20"), body).await;
        let message = problem["message"].as_str().expect("a message");
        assert_eq!(status, 400, "{body}");
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(own(&emulator, "POST", "regions", "").await.0, 405);
    assert_eq!(own(&emulator, "GET", "elsewhere", "").await.0, 404);

    let (_, list) = own(&emulator, "DELETE", "regions/eu-west-1", "").await;
    assert_eq!(list["regions"]["eu-west-1"], json!(null));
    assert_eq!(
        own(&emulator, "DELETE", "regions", "").await.1,
        json!({"regions": {}})
    );
    let outcome = stream(&client_in(&emulator, "us-east-1"), MODEL, "Say hi").await;
    assert_eq!(outcome.end, "end");
}
