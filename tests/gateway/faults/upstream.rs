//! Failures of connections to Bedrock: before a stream begins, or for several streams.

use std::time::Duration;

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::pb::stream_invoke_response::Event;
use tonic::Code;

use crate::harness::{Gateway, MODEL, Stream, ask, cuts, faulty, paced};

#[tokio::test]
async fn frames_that_are_cut_anywhere_are_the_same_answer() {
    let mut answers = Vec::new();
    for cut in cuts() {
        let gateway = Gateway::with(|_, options| options.cut = cut).await;
        let mut answer = gateway.stream(ask(MODEL)).await;
        answer.is_whole();
        // The start contains the call's ID, the end contains times.
        answer.messages.remove(0);
        answer.messages.pop();
        answers.push(answer.messages);
    }
    assert!(answers[0].len() > 3);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[tokio::test]
async fn a_stall_is_heartbeats_and_then_unavailable() {
    let beat = Duration::from_millis(200);
    let gateway = Gateway::with(|config, _| {
        config.limits.heartbeat = beat;
        config.limits.idle = 10 * beat;
    })
    .await;
    let answer = gateway.stream(faulty("stall-after-2")).await;
    let beats = answer
        .events()
        .filter(|event| matches!(event, Event::Heartbeat(_)));
    assert!(beats.count() > 1, "{:?}", answer.shape());
    assert_eq!(answer.code(), Code::Unavailable);
    assert_eq!(answer.details().reason(), "UPSTREAM_IDLE");
}

/// A connection that sends GOAWAY accepts no new calls, and its open calls end normally.
#[tokio::test]
async fn a_goaway_of_bedrocks_ends_no_stream() {
    let mut gateway = Gateway::over_h2(|_, options| {
        options.pace = paced(Duration::from_millis(20), 30);
        options.stop_within = Duration::from_secs(60);
    })
    .await;
    let mut stream = Stream::open(&mut gateway.inference(), ask(MODEL)).await;
    stream.tokens(2).await;
    let another = Emulator::start(Options::default()).unwrap();
    let going = std::mem::replace(&mut gateway.emulator, another);
    let going = tokio::spawn(going.stop());
    let answer = stream.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 30);
    going.await.unwrap();
}

#[tokio::test]
async fn a_bedrock_that_vanishes_in_mid_stream_is_unavailable_and_nothing_is_replayed() {
    let mut gateway = Gateway::over_h2(|_, options| options.stop_within = Duration::ZERO).await;
    let mut stream = Stream::open(&mut gateway.inference(), faulty("stall-after-2")).await;
    stream.tokens(2).await;
    let another = Emulator::start(Options::default()).unwrap();
    drop(std::mem::replace(&mut gateway.emulator, another));
    let answer = stream.end().await;
    assert_eq!(answer.code(), Code::Unavailable, "{:?}", answer.end);
    assert_eq!(answer.texts().count(), 2);
    let details = answer.details();
    assert_eq!(details.phase(), "mid-stream");
    assert_eq!(details.pushback_ms, Some(-1));
    assert_eq!(details.upstream().unwrap().attempts.len(), 1);
}

/// Many calls at once, successful and failing ones: none gets what belongs to another.
#[tokio::test]
async fn concurrent_calls_do_not_mix() {
    let gateway = Gateway::over_h2(|_, options| options.max_concurrent_streams = 16).await;
    let client = gateway.inference();
    let calls = (0..48).map(|index| {
        let mut client = client.clone();
        let fault = ["", ".fault-throttling", ".fault-stream-internal-after-2"][index % 3];
        let mut request = ask(&format!("{MODEL}{fault}"));
        let words = format!("Say exactly: \"number {index} of many\"");
        request.input = Some(crate::harness::question(&words));
        tokio::spawn(async move { Stream::open(&mut client, request).await.end().await })
    });
    let calls: Vec<_> = calls.collect();
    for (index, call) in calls.into_iter().enumerate() {
        let answer = crate::harness::soon(call).await.unwrap();
        let expected = [Code::Ok, Code::ResourceExhausted, Code::Internal][index % 3];
        assert_eq!(answer.code(), expected, "{index}: {:?}", answer.end);
        if expected == Code::Ok {
            answer.is_whole();
            assert!(
                answer.text().contains(&format!("number {index} of many")),
                "{}",
                answer.text()
            );
        }
    }
}
