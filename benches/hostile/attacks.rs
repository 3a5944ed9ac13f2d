//! The attacks, by name. Each one continues until its process is ended.

use std::{net::SocketAddr, time::Duration};

use bedrock_grpc::pb::{
    ContentBlock, Message, RawMember, StreamInvokeRequest, content_block::Content,
    converse_input::AdditionalModelRequestFields,
};
use bytes::Bytes;
use tokio::{io::AsyncWriteExt, task::JoinSet};

use crate::{Error, hostile_bedrock, streams, wire};

/// The names of all attacks.
pub(crate) const NAMES: &[&str] = &[
    "long target",
    "raw members",
    "nested raw members",
    "empty blocks",
    "large text",
    "escaped text",
    "JSON of numbers",
    "Struct",
    "large calls cancelled",
    "calls without message",
    "slow messages",
    "claims",
    "half requests on the admin port",
    "watches",
    "idle connections",
    "connections without end",
    "rapid reset",
    "pings",
    "settings",
    "continuations",
    "empty data",
    "large headers",
    "large errors of Bedrock",
    "unknown events",
    "large events",
    "large events with a slow client",
];

/// The number of concurrent attacks of one kind, and how often they are repeated.
const AT_ONCE: usize = 4;
/// The number of concurrent calls whose answers have large events.
const LARGE_EVENTS_AT_ONCE: usize = 20;
/// The target of the attacks, in the Region of the emulator that answers them.
const TARGET: &str = "us.amazon.nova-lite-v1:0";
const MIB: usize = 1 << 20;

/// Attacks until the process ends.
pub(crate) async fn run(name: &str, grpc: SocketAddr, admin: SocketAddr) -> Result<(), Error> {
    match name {
        "calls without message" => hold(grpc, Hold::Heads).await,
        "slow messages" => hold(grpc, Hold::Trickle).await,
        "claims" => hold(grpc, Hold::Claims).await,
        "watches" => hold(grpc, Hold::Watches).await,
        "half requests on the admin port" => {
            connections(admin, b"GET /livez HTTP/1.1\r\nh", 300).await
        }
        "idle connections" => connections(grpc, wire::PREFACE, 2_000).await,
        "connections without end" => connect_and_leave(grpc).await,
        "large calls cancelled" => cancelled(grpc).await,
        "rapid reset" | "pings" | "settings" | "continuations" | "empty data" | "large headers" => {
            frames(name, grpc).await
        }
        "large events" => calls(grpc, wire::encoded(&request(name)), LARGE_EVENTS_AT_ONCE).await,
        "large events with a slow client" => slow_readers(grpc).await,
        _ => calls(grpc, wire::encoded(&request(name)), AT_ONCE).await,
    }
}

/// Returns the target of a model of the hostile Bedrock.
fn hostile_model(name: &str) -> String {
    let region = hostile_bedrock::REGION;
    format!("arn:aws:bedrock:{region}::foundation-model/{name}")
}

/// Returns the request that an attack sends repeatedly.
fn request(name: &str) -> StreamInvokeRequest {
    let mut request = streams::request();
    request.target = TARGET.to_owned();
    let input = request.input.get_or_insert_default();
    let text = |text: String| {
        vec![Message {
            role: 1,
            content: vec![ContentBlock {
                content: Some(Content::Text(text)),
            }],
        }]
    };
    let fields =
        |fields| Some(AdditionalModelRequestFields::AdditionalModelRequestFieldsJson(fields));
    match name {
        "long target" => request.target = "x".repeat(16 * MIB),
        "raw members" => {
            let member = RawMember {
                pointer: "/n".to_owned(),
                json: "1".to_owned(),
            };
            input.raw_members = vec![member; 50_000];
        }
        "nested raw members" => {
            let mut pointer = String::new();
            for _ in 0..60 {
                pointer.push_str("/a");
                input.raw_members.push(RawMember {
                    pointer: pointer.clone(),
                    json: format!("{{\"text\":\"{}\"}}", "x".repeat(100_000)),
                });
            }
        }
        "empty blocks" => {
            if let Some(message) = input.messages.first_mut() {
                message.content = vec![ContentBlock::default(); 15 * MIB];
            }
        }
        "large text" => input.messages = text("word ".repeat(6 * MIB)),
        "escaped text" => input.messages = text("\u{1}".repeat(30 * MIB)),
        "JSON of numbers" => {
            let numbers = "1,".repeat(15 * MIB);
            input.additional_model_request_fields = fields(format!("{{\"a\":[{numbers}1]}}"));
        }
        "large errors of Bedrock" => {
            request.target = hostile_model(hostile_bedrock::LARGE_ERROR);
        }
        "unknown events" => request.target = hostile_model(hostile_bedrock::UNKNOWN_EVENTS),
        "large events" | "large events with a slow client" => {
            request.target = hostile_model(hostile_bedrock::LARGE_EVENTS);
        }
        "Struct" => {
            let value = prost_types::Value {
                kind: Some(prost_types::value::Kind::NumberValue(1.0)),
            };
            let list = prost_types::ListValue {
                values: vec![value; 100_000],
            };
            let list = prost_types::Value {
                kind: Some(prost_types::value::Kind::ListValue(list)),
            };
            let all = prost_types::Struct {
                fields: [("a".to_owned(), list)].into(),
            };
            input.additional_model_request_fields =
                Some(AdditionalModelRequestFields::AdditionalModelRequestFieldsStruct(all));
        }
        _ => {}
    }
    request
}

/// Sends the same request repeatedly on a few connections, and continues if it is refused.
async fn calls(to: SocketAddr, message: Bytes, at_once: usize) -> Result<(), Error> {
    let mut senders = JoinSet::new();
    for _ in 0..at_once {
        let message = message.clone();
        senders.spawn(async move {
            loop {
                if let Ok(connection) = wire::http2(to).await {
                    while wire::call(&connection, wire::STREAM_INVOKE, message.clone())
                        .await
                        .is_ok()
                    {}
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    std::future::pending().await
}

/// Opens calls whose answers have large events, and reads no answer.
async fn slow_readers(to: SocketAddr) -> Result<(), Error> {
    const CALLS: usize = 100;
    let message = wire::encoded(&request("large events with a slow client"));
    let connection = wire::http2(to).await?;
    let mut held = Vec::new();
    for _ in 0..CALLS {
        let (response, mut body) = wire::head(&connection, wire::STREAM_INVOKE).await?;
        body.send_data(message.clone(), true)?;
        held.push((response, body));
    }
    std::future::pending().await
}

/// Sends large requests, and disconnects as soon as they are sent.
async fn cancelled(to: SocketAddr) -> Result<(), Error> {
    let message = wire::encoded(&request("large text"));
    loop {
        let Ok(connection) = wire::http2(to).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let call = wire::call(&connection, wire::STREAM_INVOKE, message.clone());
        let _left = tokio::time::timeout(Duration::from_millis(200), call).await;
    }
}

enum Hold {
    Heads,
    Trickle,
    Claims,
    Watches,
}

/// Opens as many calls as possible, and opens new ones when the gateway ends them.
async fn hold(to: SocketAddr, what: Hold) -> Result<(), Error> {
    const CONNECTIONS: usize = 16;
    let path = match what {
        Hold::Watches => wire::WATCH,
        _ => wire::STREAM_INVOKE,
    };
    loop {
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let Ok(connection) = wire::http2(to).await else {
                continue;
            };
            for _ in 0..250 {
                let opened =
                    tokio::time::timeout(Duration::from_millis(100), wire::head(&connection, path));
                let Ok(Ok((response, mut body))) = opened.await else {
                    break;
                };
                let (bytes, end) = match what {
                    Hold::Heads => (&b""[..], false),
                    Hold::Trickle => (&[0, 0, 1, 0, 0][..], false),
                    Hold::Claims => (&[0, 2, 0, 0, 0][..], false),
                    Hold::Watches => (&[0, 0, 0, 0, 0][..], true),
                };
                if !bytes.is_empty() {
                    // An error means that the gateway refused the data.
                    let _sent = body.send_data(Bytes::from_static(bytes), end);
                }
                held.push((response, body));
            }
        }
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if matches!(what, Hold::Trickle) {
                for (_, body) in &mut held {
                    let _sent = body.send_data(Bytes::from_static(b"\0"), false);
                }
            }
        }
    }
}

/// Opens connections that send only the beginning of a request.
async fn connections(to: SocketAddr, begin: &[u8], count: usize) -> Result<(), Error> {
    let mut held = Vec::new();
    for _ in 0..count {
        if let Ok(mut tcp) = wire::tcp(to).await {
            // The gateway may close the connection at once.
            let _sent = tcp.write_all(begin).await;
            held.push(tcp);
        }
    }
    std::future::pending().await
}

/// Opens and closes connections as fast as possible.
async fn connect_and_leave(to: SocketAddr) -> Result<(), Error> {
    loop {
        if let Ok(mut tcp) = wire::tcp(to).await {
            let _sent = tcp.write_all(wire::PREFACE).await;
        }
        tokio::task::yield_now().await;
    }
}

/// Floods connections with frames, and opens others when they are closed.
async fn frames(name: &str, to: SocketAddr) -> Result<(), Error> {
    let settings = wire::frame(wire::SETTINGS, 0, 0, &[]);
    let headers = wire::call_headers();
    loop {
        let Ok(mut tcp) = wire::tcp(to).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let mut first = [wire::PREFACE, &settings].concat();
        let mut stream = 1;
        let mut next = || -> Vec<u8> {
            match name {
                "rapid reset" => {
                    let mut out = Vec::new();
                    for _ in 0..100 {
                        out.extend(wire::frame(
                            wire::HEADERS,
                            wire::END_HEADERS,
                            stream,
                            &headers,
                        ));
                        out.extend(wire::frame(wire::RST_STREAM, 0, stream, &[0, 0, 0, 8]));
                        stream += 2;
                    }
                    out
                }
                "pings" => wire::frame(wire::PING, 0, 0, &[1; 8]).repeat(1_000),
                "settings" => wire::frame(wire::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(1_000),
                "continuations" => {
                    let mut block = bytes::BytesMut::new();
                    while block.len() < 16_000 {
                        wire::put_header(&mut block, "x-more", &"y".repeat(100));
                    }
                    wire::frame(wire::CONTINUATION, 0, 1, &block).to_vec()
                }
                "empty data" => wire::frame(wire::DATA, 0, 1, &[]).repeat(1_000),
                _ => {
                    let mut block = headers.clone();
                    while block.len() < 15_000 {
                        wire::put_header(&mut block, "x-more", &"y".repeat(100));
                    }
                    let out = wire::frame(wire::HEADERS, wire::END_HEADERS, stream, &block);
                    stream += 2;
                    out.to_vec()
                }
            }
        };
        match name {
            "continuations" => first.extend(wire::frame(wire::HEADERS, 0, 1, &headers)),
            "empty data" => {
                first.extend(wire::frame(wire::HEADERS, wire::END_HEADERS, 1, &headers));
                first.extend(wire::frame(wire::DATA, 0, 1, &[0, 0, 0, 1, 0, 1]));
            }
            _ => {}
        }
        if tcp.write_all(&first).await.is_err() {
            continue;
        }
        let (mut reader, mut writer) = tcp.split();
        let writing = async { while writer.write_all(&next()).await.is_ok() {} };
        let mut sink = tokio::io::sink();
        let reading = tokio::io::copy(&mut reader, &mut sink);
        tokio::select! {
            () = writing => {}
            _closed = reading => {}
        }
    }
}
