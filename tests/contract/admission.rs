//! A full gateway refuses calls fast, before it reads anything. However a call ends, its slot
//! becomes free.

use std::time::{Duration, Instant};

use bedrock_grpc::pb::{
    StreamInvokeRequest, content_block_delta_event::Delta,
    inference_service_client::InferenceServiceClient, stream_invoke_response::Event,
};
use bytes::Bytes;
use serde_json::json;
use tonic::{Code, codec::CompressionEncoding, transport::Endpoint};

use crate::{
    harness::{Gateway, MODEL, ask, faulty, question, soon},
    support::{
        Child, Client, Open, STREAM_INVOKE, Upstream,
        wire::{
            END_HEADERS, HEADERS, REFUSED_STREAM, RST_STREAM, SETTINGS, Wire, call_headers, frame,
        },
    },
};

const MIB: usize = 1 << 20;

async fn gateway(places: usize) -> Gateway {
    Gateway::with(|config, _| config.limits.max_streams = places).await
}

/// Sends only headers, and expects a refusal. Returns how long it took.
async fn refused(client: &mut Client) -> Duration {
    let begun = Instant::now();
    let mut call = client.headers(STREAM_INVOKE, &[]).await;
    let status = call.status().await;
    let took = begun.elapsed();
    status.is(Code::Unavailable, "REPLICA_SATURATED");
    assert!(status.trailers_only);
    let details = status.details();
    assert!(details.retry().is_some());
    assert!(details.pushback_ms.unwrap() > 0);
    took
}

#[tokio::test]
async fn a_full_gateway_refuses_before_it_reads_and_open_calls_continue() {
    const PLACES: usize = 100;
    /// The goal is one millisecond. The fastest of many refusals is compared, because the machine
    /// may be busy. This limit allows for a build without optimisation.
    const FAST: Duration = Duration::from_millis(20);
    let mut upstream = Upstream::start().await;
    let endpoint_url = upstream.endpoint_url();
    let gateway = Gateway::with(|config, _| {
        config.limits.max_streams = PLACES;
        config.bedrock.endpoint_url = Some(endpoint_url);
    })
    .await;
    let mut client = Client::connect(gateway.address).await;
    let mut inside = Vec::new();
    for _ in 0..PLACES {
        let mut call = client.call(STREAM_INVOKE, &[], &ask("nova")).await;
        let mut exchange = upstream.exchange().await;
        exchange
            .send("messageStart", json!({"role": "assistant"}))
            .await;
        call.read_messages(1).await;
        inside.push((call, exchange));
    }
    let mut took = Vec::new();
    for (index, (call, exchange)) in inside.iter_mut().enumerate() {
        exchange.token(&format!("word {index}")).await;
        took.push(refused(&mut client).await);
        call.read_messages(3).await;
    }
    took.sort_unstable();
    println!(
        "refused after {:?}, at best {:?}",
        took[PLACES / 2],
        took[0]
    );
    assert!(took[0] < FAST, "{took:?}");
    // This also applies to other connections, because the limit is that of the process.
    refused(&mut Client::connect(gateway.address).await).await;
    let refusals = gateway.metric("bedrock_grpc_refused_total").await;
    assert!((refusals - 101.0).abs() < 0.5, "{refusals}");
    // The services that describe the gateway still work.
    soon(
        gateway
            .targets()
            .list_targets(bedrock_grpc::pb::ListTargetsRequest::default()),
    )
    .await
    .unwrap();
    for (index, (mut call, exchange)) in inside.into_iter().enumerate() {
        exchange.finish().await;
        assert_eq!(call.status().await.status.code(), Code::Ok);
        let deltas: Vec<_> = call
            .messages
            .iter()
            .filter_map(|message| match &message.event {
                Some(Event::ContentBlockDelta(delta)) => delta.delta.clone(),
                _ => None,
            })
            .collect();
        assert_eq!(deltas, [Delta::Text(format!("word {index}"))]);
        let last = call.messages.last().unwrap().event.as_ref();
        assert!(matches!(last, Some(Event::Metadata(_))), "{last:?}");
    }
}

/// Makes calls until one gets a slot. The slot becomes free when the gateway has noticed the end of
/// the earlier call.
async fn gets_a_place(client: &mut Client) -> Open {
    soon(async {
        loop {
            let mut call = client
                .call(STREAM_INVOKE, &[], &faulty("stall-after-3"))
                .await;
            call.begun().await.unwrap();
            if call.read().await.unwrap() {
                return call;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_place_is_free_when_its_call_is_over() {
    let gateway = gateway(1).await;
    let mut client = Client::connect(gateway.address).await;
    for (end, headers) in [
        ("nova", &[][..]),
        ("internal", &[]),
        ("reset-after-3", &[]),
        ("stall-after-3", &[("grpc-timeout", "500m")]),
    ] {
        let request = if end == "nova" { ask(end) } else { faulty(end) };
        let mut call = client.call(STREAM_INVOKE, headers, &request).await;
        let status = call.status().await.status;
        assert_eq!(status.code() == Code::Ok, end == "nova", "{status:?}");
        let mut next = gets_a_place(&mut client).await;
        refused(&mut client).await;
        // A cancelled call releases its slot, too.
        next.cancel();
        gets_a_place(&mut client).await.cancel();
        let free = async {
            while gateway.metric("bedrock_grpc_open_calls").await > 0.5 {
                tokio::task::yield_now().await;
            }
        };
        soon(free).await;
    }
    // A client that disconnects before it has sent its message releases its slot.
    let mut leaving = Client::connect(gateway.address).await;
    let _silent = leaving.headers(STREAM_INVOKE, &[]).await;
    // This answer arrives after the gateway has read the headers of the call, so the slot is taken.
    let known = leaving.call("/grpc.health.v1.Health/Check", &[], &()).await;
    assert_eq!(known.code().await, Code::Ok);
    refused(&mut client).await;
    leaving.disconnect().await;
    gets_a_place(&mut client).await;
}

#[tokio::test]
async fn more_streams_on_a_connection_than_it_may_have_are_refused_by_http2() {
    let gateway = Gateway::with(|config, _| config.limits.max_streams_per_connection = 2).await;
    let mut wire = Wire::connect(gateway.address).await;
    // The client knows the limit when it has acknowledged the settings.
    let settings = wire.next_of(SETTINGS).await.unwrap();
    const MAX_CONCURRENT_STREAMS: [u8; 6] = [0, 3, 0, 0, 0, 2];
    assert!(
        settings
            .payload
            .chunks(6)
            .any(|one| one == MAX_CONCURRENT_STREAMS)
    );
    for stream in [1, 3, 5] {
        wire.send(&frame(HEADERS, END_HEADERS, stream, &call_headers()))
            .await;
    }
    let reset = wire.next_of(RST_STREAM).await.unwrap();
    assert_eq!((reset.stream, reset.error()), (5, REFUSED_STREAM));
}

#[tokio::test]
async fn a_thousand_claims_of_the_largest_message_take_no_memory() {
    const CLAIMS: usize = 1_000;
    // The default limit.
    const CLAIM: [u8; 5] = [0, 2, 0, 0, 0];
    let upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "").await;
    let mut first = Client::connect(gateway.address).await;
    let refused = first
        .call(STREAM_INVOKE, &[], &ask("no target"))
        .await
        .status()
        .await;
    assert_eq!(refused.status.code(), Code::InvalidArgument);
    let before = gateway.memory();
    let mut clients = Vec::new();
    let mut calls = Vec::new();
    while calls.len() < CLAIMS {
        let mut client = Client::connect(gateway.address).await;
        for _ in 0..100 {
            let mut call = client.headers(STREAM_INVOKE, &[]).await;
            call.send(Bytes::from_static(&CLAIM), false);
            calls.push(call);
        }
        // This answer arrives after the gateway has handled all earlier requests of the connection.
        let known = client.call("/grpc.health.v1.Health/Check", &[], &()).await;
        assert_eq!(known.code().await, Code::Ok);
        clients.push(client);
    }
    let grown = gateway.peak_memory().saturating_sub(before);
    println!("{} KiB a claim", grown / CLAIMS / 1024);
    assert!(grown < 64 * MIB, "{grown} bytes");
}

/// A request of this size that is tiny when compressed.
fn bomb(size: usize) -> StreamInvokeRequest {
    StreamInvokeRequest {
        target: MODEL.to_owned(),
        input: Some(question(&"a".repeat(size))),
        ..StreamInvokeRequest::default()
    }
}

#[tokio::test]
async fn bombs_are_refused_and_take_no_more_than_the_limit() {
    let upstream = Upstream::start().await;
    let gateway = Child::serve(
        &upstream.endpoint_url(),
        "limits:\n  max_compression_ratio: 1000",
    )
    .await;
    let channel = Endpoint::from_shared(format!("http://{}", gateway.address))
        .unwrap()
        .connect_lazy();
    let before = gateway.memory();
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = InferenceServiceClient::new(channel.clone()).send_compressed(encoding);
        let status = soon(client.stream_invoke(bomb(64 * MIB)))
            .await
            .unwrap_err();
        assert_eq!(
            status.code(),
            Code::ResourceExhausted,
            "{encoding:?}: {status:?}"
        );
    }
    let grown = gateway.peak_memory().saturating_sub(before);
    println!("{} MiB at its peak", grown / MIB);
    // The limit is 32 MiB; a growing buffer may take twice as much.
    assert!(grown < 96 * MIB, "{grown} bytes");
}
