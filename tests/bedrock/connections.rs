//! How calls share connections.

use std::{sync::atomic::Ordering, time::Duration};

use bedrock_grpc::{
    bedrock::{Bedrock, StreamResponse},
    config::bedrock::BedrockOptions,
    error::Failure,
};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::{task::JoinHandle, time::timeout};

use super::server::{self, Open, Reply, SOON, Server, Setup, event};

fn start(bedrock: &Bedrock) -> JoinHandle<Result<StreamResponse, Failure>> {
    let bedrock = bedrock.clone();
    tokio::spawn(async move {
        bedrock
            .converse_stream("us-east-1", "m", Bytes::from_static(b"{}"))
            .await
    })
}

/// A call whose stream stays open at both ends.
async fn open(server: &mut Server, bedrock: &Bedrock) -> (StreamResponse, Open, usize) {
    let calling = start(bedrock);
    let call = server.call().await;
    let connection = call.connection;
    let open = call.open();
    let answer = timeout(SOON, calling)
        .await
        .expect("the head comes")
        .expect("no panic")
        .expect("an answer");
    (answer, open, connection)
}

#[tokio::test]
async fn five_hundred_calls_at_once_do_not_wait_for_each_other() {
    let mut server = Server::start(Setup {
        tls: true,
        max_streams: 100,
        ..Setup::default()
    })
    .await;
    let bedrock = server.bedrock();
    let calls: Vec<_> = (0..500)
        .map(|_| {
            let bedrock = bedrock.clone();
            tokio::spawn(async move {
                let body = Bytes::from_static(b"{}");
                let mut answer = bedrock
                    .converse_stream("us-east-1", "m", body)
                    .await
                    .expect("an answer");
                let first = answer
                    .frames
                    .next()
                    .await
                    .expect("a frame")
                    .expect("an event");
                assert_eq!(first.event_type, "messageStart");
                answer
            })
        })
        .collect();
    let mut streams = Vec::new();
    for _ in 0..500 {
        let stream = server.call().await.open();
        stream.send(event("messageStart", r#"{"role":"assistant"}"#));
        streams.push(stream);
    }
    let answers = timeout(SOON, join_all(calls))
        .await
        .expect("all have their first event while all streams are open");
    assert!(answers.iter().all(Result::is_ok));
    let opened = server.opened.load(Ordering::Relaxed);
    assert!((5..=20).contains(&opened), "{opened} connections");
    drop(streams);
}

/// Over HTTP/1.1 each stream has a connection, and none waits for another one to end.
#[tokio::test]
async fn a_hundred_calls_at_once_have_a_http1_connection_each() {
    let mut server = Server::start(Setup::default()).await;
    let bedrock = server.bedrock();
    let calls: Vec<_> = (0..100).map(|_| start(&bedrock)).collect();
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(server.call().await.open());
    }
    let answers = timeout(SOON, join_all(calls))
        .await
        .expect("all have a head while all streams are open");
    assert!(
        answers
            .into_iter()
            .all(|answer| answer.expect("no panic").is_ok())
    );
    assert_eq!(server.opened.load(Ordering::Relaxed), 100);
}

/// The next connection is opened early: when all connections carry half of the streams that the
/// peer allows.
#[tokio::test]
async fn a_loaded_connection_gets_company_before_it_is_full() {
    let mut server = Server::start(Setup {
        tls: true,
        max_streams: 40,
        ..Setup::default()
    })
    .await;
    let bedrock = server.bedrock();
    let mut held = Vec::new();
    for _ in 0..19 {
        held.push(open(&mut server, &bedrock).await);
    }
    assert_eq!(server.opened.load(Ordering::Relaxed), 1);
    held.push(open(&mut server, &bedrock).await);
    let second = server.connections.wait_for(|open| *open == 2);
    timeout(SOON, second)
        .await
        .expect("another connection")
        .expect("the server runs");
    loop {
        held.push(open(&mut server, &bedrock).await);
        // The socket is open before its TLS handshake ends. Until then, the first connection gets
        // the calls.
        if held
            .last()
            .is_some_and(|(_, _, connection)| *connection == 1)
        {
            break;
        }
        assert!(held.len() < 40, "the new connection has most room");
    }
}

#[tokio::test]
async fn when_all_is_full_a_call_waits_for_the_first_room() {
    let mut server = Server::start(Setup {
        tls: true,
        max_streams: 2,
        ..Setup::default()
    })
    .await;
    let options = BedrockOptions {
        max_connections: 2,
        ..server.options()
    };
    let bedrock = server::bedrock(&options);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(open(&mut server, &bedrock).await);
    }
    let mut waiting = [start(&bedrock), start(&bedrock)];
    tokio::task::yield_now().await;
    assert!(server.calls.try_recv().is_err(), "there is no room");
    let (_, _, connection) = held.swap_remove(1);
    let call = server.call().await;
    assert_eq!(call.connection, connection);
    call.open();
    timeout(SOON, &mut waiting[0])
        .await
        .expect("first come, first served")
        .expect("no panic")
        .expect("an answer");
    assert!(!waiting[1].is_finished());
}

#[tokio::test]
async fn a_connection_that_goes_away_is_replaced_and_its_streams_complete() {
    let mut server = Server::start(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let bedrock = server.bedrock();
    let (mut before, old, first) = open(&mut server, &bedrock).await;
    server.go_away();
    // The old stream's next event arrives after the GOAWAY on the same connection.
    loop {
        old.send(event("contentBlockDelta", "{}"));
        before
            .frames
            .next()
            .await
            .expect("a frame")
            .expect("an event");
        let (_, _, connection) = open(&mut server, &bedrock).await;
        if connection != first {
            break;
        }
    }
    old.send(event("messageStop", "{}"));
    assert_eq!(
        before
            .frames
            .next()
            .await
            .expect("a frame")
            .expect("an event")
            .event_type,
        "messageStop"
    );
    drop(old);
    assert!(before.frames.next().await.is_none());
}

#[tokio::test]
async fn a_connection_is_used_again_and_closed_when_unused() {
    for tls in [false, true] {
        let setup = Setup {
            tls,
            reply: Some(Reply::stream(event("messageStop", "{}"))),
            ..Setup::default()
        };
        let mut server = Server::start(setup).await;
        let options = BedrockOptions {
            idle_timeout: Duration::from_secs(2),
            ..server.options()
        };
        let bedrock = server::bedrock(&options);
        for _ in 0..5 {
            let mut answer = start(&bedrock).await.expect("no panic").expect("an answer");
            while let Some(frame) = answer.frames.next().await {
                frame.expect("an event");
            }
        }
        assert_eq!(server.opened.load(Ordering::Relaxed), 1, "TLS: {tls}");
        let closed = server.connections.wait_for(|open| *open == 0);
        timeout(SOON, closed)
            .await
            .expect("the unused connection closes")
            .expect("the server runs");
    }
}

#[tokio::test]
async fn http1_only_gives_each_stream_a_connection() {
    let mut server = Server::start(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let bedrock = server::bedrock(&BedrockOptions {
        http1_only: true,
        ..server.options()
    });
    let mut held = Vec::new();
    for at in 0..3 {
        let stream = open(&mut server, &bedrock).await;
        assert_eq!(stream.2, at);
        held.push(stream);
    }
}

/// A server may close an idle connection at any time; the next call must not fail.
#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_no_call() {
    let mut server = Server::start(Setup {
        reply: Some(Reply::stream(event("messageStop", "{}"))),
        ..Setup::default()
    })
    .await;
    let bedrock = server.bedrock();
    for round in 1..=3 {
        let mut answer = start(&bedrock).await.expect("no panic").expect("an answer");
        while let Some(frame) = answer.frames.next().await {
            frame.expect("an event");
        }
        assert_eq!(server.opened.load(Ordering::Relaxed), round);
        server.go_away();
        let closed = server.connections.wait_for(|open| *open == 0);
        timeout(SOON, closed)
            .await
            .expect("the server closes it")
            .expect("the server runs");
    }
}

/// The bytes that a client does not read are limited, and other calls continue meanwhile.
#[tokio::test]
async fn an_unread_stream_piles_up_a_bounded_number_of_bytes() {
    let mut server = Server::start(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let bedrock = server.bedrock();
    let (_unread, stream, _) = open(&mut server, &bedrock).await;
    let chunk = Bytes::from(vec![0; 64 * 1024]);
    for _ in 0..64 {
        stream.send(chunk.clone());
    }
    for _ in 0..20 {
        let (mut answer, other, _) = open(&mut server, &bedrock).await;
        other.send(event("messageStop", "{}"));
        timeout(SOON, answer.frames.next())
            .await
            .expect("other calls continue")
            .expect("a frame")
            .expect("an event");
    }
    assert!(
        stream.unsent() >= 64 - 4,
        "{} of 64 chunks are unsent",
        stream.unsent()
    );
}
