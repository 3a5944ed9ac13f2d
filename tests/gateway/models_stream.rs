//! `ModelService.StreamInvokeModel`: chunks in the models' own formats, and how their streams end.

use std::time::Duration;

use bedrock_emulator::{Condition, End};
use bedrock_grpc::{
    config::OnCancel,
    pb::{
        InvokeModelRequest, MetadataEvent, ModelStreamStartEvent, StreamInvokeModelRequest,
        StreamInvokeModelResponse, stream_invoke_model_response::Event,
    },
};
use serde_json::Value;
use tonic::{Code, IntoRequest, Status, Streaming};

use crate::{
    harness::{Details, Gateway, alias, cuts, keyed, over, route, soon, two_teams},
    models::{header, messages},
};

const CLAUDE: &str = "us.anthropic.claude-sonnet-5";
const METHODS: &str = "{methods: [InvokeModel, StreamInvokeModel, GetTarget]}";

fn request(target: &str) -> StreamInvokeModelRequest {
    StreamInvokeModelRequest {
        target: target.to_owned(),
        body: messages(r#","max_tokens":40"#)
            .replace("Say hi", "Tell me about lighthouses")
            .into(),
        ..StreamInvokeModelRequest::default()
    }
}

/// The messages of a stream, and how it ended.
#[derive(Debug, Default)]
struct Answer {
    start: Option<ModelStreamStartEvent>,
    chunks: Vec<Value>,
    metadata: Option<MetadataEvent>,
    unknown: Vec<String>,
    heartbeats: usize,
    end: Option<Status>,
}

impl Answer {
    fn push(&mut self, message: StreamInvokeModelResponse) {
        assert!(self.metadata.is_none(), "a message after metadata");
        match message.event.expect("an event") {
            Event::Start(start) => assert!(self.start.replace(start).is_none()),
            Event::Heartbeat(_) => self.heartbeats += 1,
            event => {
                assert!(self.start.is_some(), "{event:?} before start");
                match event {
                    Event::Chunk(bytes) => {
                        self.chunks.push(serde_json::from_slice(&bytes).unwrap())
                    }
                    Event::Metadata(metadata) => self.metadata = Some(metadata),
                    Event::Unknown(unknown) => self.unknown.push(unknown.r#type),
                    Event::Start(_) | Event::Heartbeat(_) => unreachable!(),
                }
            }
        }
    }

    fn types(&self) -> Vec<&str> {
        let types = self.chunks.iter().map(|chunk| chunk["type"].as_str());
        types.map(Option::unwrap_or_default).collect()
    }

    fn text(&self) -> String {
        let texts = self.chunks.iter().map(|chunk| &chunk["delta"]["text"]);
        texts.filter_map(Value::as_str).collect()
    }

    /// The code and the reason of the end.
    fn ended(&self) -> (Code, String) {
        match &self.end {
            None => (Code::Ok, String::new()),
            Some(status) => (status.code(), Details::of(status).reason()),
        }
    }
}

async fn open(
    gateway: &Gateway,
    request: impl IntoRequest<StreamInvokeModelRequest>,
) -> Result<Streaming<StreamInvokeModelResponse>, Status> {
    let opened = soon(gateway.models().stream_invoke_model(request)).await;
    opened.map(tonic::Response::into_inner)
}

/// Makes a call, and reads the stream to its end.
async fn call(gateway: &Gateway, request: impl IntoRequest<StreamInvokeModelRequest>) -> Answer {
    let mut answer = Answer::default();
    let mut stream = match open(gateway, request).await {
        Ok(stream) => stream,
        Err(status) => {
            answer.end = Some(status);
            return answer;
        }
    };
    loop {
        match soon(stream.message()).await {
            Ok(Some(message)) => answer.push(message),
            Ok(None) => return answer,
            Err(status) => {
                answer.end = Some(status);
                return answer;
            }
        }
    }
}

/// A gateway whose targets are aliases of Claude, with these faults.
async fn with_faults(faults: &[&str]) -> Gateway {
    Gateway::with(|config, _| {
        for fault in faults {
            let mut alias = alias(&format!("{CLAUDE}.fault-{fault}"));
            alias.invoke_model = true;
            config.targets.aliases.insert((*fault).to_owned(), alias);
        }
    })
    .await
}

#[tokio::test]
async fn chunks_arrive_verbatim_between_the_start_and_the_metadata() {
    let config = "
targets: {claude: {model_id: us.anthropic.claude-sonnet-5, invoke_model: true}}
prices: [{models: ['*claude*'], input: 3000, output: 15000}]
";
    let (gateway, a, b) = two_teams(config, METHODS).await;
    let answer = call(&gateway, keyed(request("claude"), &a)).await;
    assert_eq!(answer.ended(), (Code::Ok, String::new()));
    let types = answer.types();
    let deltas = types.iter().filter(|it| **it == "content_block_delta");
    assert!(deltas.count() > 1, "{types:?}");
    assert_eq!(types[..2], ["message_start", "content_block_start"]);
    let last = ["content_block_stop", "message_delta", "message_stop"];
    assert_eq!(types[types.len() - 3..], last);
    let unary = InvokeModelRequest {
        target: "claude".to_owned(),
        body: request("claude").body,
        ..InvokeModelRequest::default()
    };
    let unary = soon(gateway.models().invoke_model(keyed(unary, &a))).await;
    let unary: Value = serde_json::from_slice(&unary.unwrap().into_inner().body).unwrap();
    assert_eq!(answer.text(), unary["content"][0]["text"]);
    let start = answer.start.as_ref().unwrap();
    let target = start.target.as_ref().unwrap();
    assert_eq!((&*target.name, &*target.model_id), ("claude", CLAUDE));
    assert_eq!(
        (&*start.content_type, start.attempts.len()),
        ("application/json", 1)
    );
    let calls = gateway.emulator.calls();
    assert_eq!(calls[0].operation, "InvokeModelWithResponseStream");
    assert_eq!(calls[0].body, request("claude").body);
    assert_eq!(calls[0].request_id, start.bedrock_request_id);
    let metrics = &answer.chunks.last().unwrap()["amazon-bedrock-invocationMetrics"];
    let metadata = answer.metadata.unwrap();
    let cost = metadata.estimated_cost.unwrap().nano_usd;
    let of_call = metadata.metadata.unwrap();
    let usage = of_call.usage.unwrap();
    assert_eq!(metrics["inputTokenCount"], usage.input_tokens());
    assert_eq!(metrics["outputTokenCount"], usage.output_tokens());
    assert_eq!(
        metrics["invocationLatency"],
        of_call.metrics.unwrap().latency_ms()
    );
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    assert_eq!(cost, i64::from(input) * 3000 + i64::from(output) * 15000);
    let sample =
        r#"bedrock_grpc_calls_total{method="StreamInvokeModel",target="claude",code="OK"}"#;
    assert_eq!(gateway.metric(sample).await, 1.0);
    // The method must be listed, as InvokeModel.
    let unlisted = call(&gateway, keyed(request("claude"), &b)).await;
    let refused = (Code::PermissionDenied, "CALLER_NOT_ALLOWED".to_owned());
    assert_eq!(unlisted.ended(), refused);
}

#[tokio::test]
async fn each_way_in_which_a_stream_ends_has_its_status() {
    let cases = [
        (
            "stream-throttling",
            Code::ResourceExhausted,
            "UPSTREAM_THROTTLED",
        ),
        ("stream-internal", Code::Internal, "UPSTREAM_INTERNAL"),
        (
            "stream-model-stream-error",
            Code::Unavailable,
            "MODEL_STREAM_ERROR",
        ),
        (
            "stream-validation",
            Code::InvalidArgument,
            "UPSTREAM_VALIDATION",
        ),
        ("stream-unknown", Code::Unknown, "UPSTREAM_UNKNOWN"),
        ("stream-error", Code::Internal, "UPSTREAM_INTERNAL"),
        (
            "end-without-message-stop",
            Code::Unavailable,
            "UPSTREAM_TRUNCATED",
        ),
        // `message_delta` is not the end: `message_stop` is.
        (
            "end-without-metadata",
            Code::Unavailable,
            "UPSTREAM_TRUNCATED",
        ),
        ("bad-crc", Code::DataLoss, "UPSTREAM_CORRUPT"),
        ("cut-in-frame", Code::Unavailable, "UPSTREAM_TRUNCATED"),
        ("reset", Code::Unavailable, "UPSTREAM_TRUNCATED"),
        // A complete answer is OK, whatever follows it.
        ("cut-in-frame-after-metadata", Code::Ok, ""),
        ("stream-internal-after-metadata", Code::Ok, ""),
        ("throttling", Code::ResourceExhausted, "UPSTREAM_THROTTLED"),
        (
            "access-denied",
            Code::PermissionDenied,
            "UPSTREAM_ACCESS_DENIED",
        ),
    ];
    let faults = cases.map(|(fault, ..)| fault);
    for cut in cuts() {
        let gateway = Gateway::with(|config, options| {
            options.cut = cut;
            for fault in faults {
                let mut alias = alias(&format!("{CLAUDE}.fault-{fault}"));
                alias.invoke_model = true;
                config.targets.aliases.insert(fault.to_owned(), alias);
            }
        })
        .await;
        for (fault, code, reason) in cases {
            let answer = call(&gateway, request(fault)).await;
            assert_eq!(answer.ended(), (code, reason.to_owned()), "{fault} {cut:?}");
            assert_eq!(
                answer.metadata.is_some(),
                code == Code::Ok,
                "{fault} {cut:?}"
            );
            if let Some(status) = &answer.end
                && answer.start.is_some()
            {
                assert_eq!(Details::of(status).phase(), "mid-stream", "{fault}");
            }
        }
    }
}

#[tokio::test]
async fn another_region_answers_until_the_first_chunk() {
    for (fault, expected) in [
        ("stream-throttling-after-0", (Code::Ok, String::new())),
        ("service-unavailable", (Code::Ok, String::new())),
        (
            "stream-throttling-after-1",
            (Code::ResourceExhausted, "UPSTREAM_THROTTLED".to_owned()),
        ),
    ] {
        let gateway = Gateway::with(|config, _| {
            let mut both = over(vec![
                route(CLAUDE, "us-east-1", 0),
                route(CLAUDE, "us-west-2", 1),
            ]);
            both.invoke_model = true;
            config.targets.aliases.insert("both".to_owned(), both);
        })
        .await;
        let condition = Condition::Fault(fault.parse().unwrap());
        gateway.emulator.set_region("us-east-1", condition);
        let answer = call(&gateway, request("both")).await;
        assert_eq!(answer.ended(), expected, "{fault}");
        let attempts = answer.start.unwrap().attempts;
        let is_ok = expected.0 == Code::Ok;
        assert_eq!(attempts.len(), if is_ok { 2 } else { 1 }, "{fault}");
        assert_eq!(gateway.emulator.calls().len(), attempts.len(), "{fault}");
    }
}

#[tokio::test]
async fn a_cancel_closes_bedrocks_call_and_is_charged_by_an_estimate() {
    let config = "
targets:
  claude: {model_id: us.anthropic.claude-sonnet-5, region: us-east-1, invoke_model: true}
limits: {store: memory}
";
    let limits = "limits: {tokens_per_day: 100000}";
    let team = METHODS.replace('}', &format!(", {limits}}}"));
    let (gateway, a, _) = two_teams(config, &team).await;
    let stall = Condition::Fault("stall-after-2".parse().unwrap());
    gateway.emulator.set_region("us-east-1", stall);
    let mut stream = open(&gateway, keyed(request("claude"), &a)).await.unwrap();
    let mut answer = Answer::default();
    while answer.text().is_empty() {
        answer.push(soon(stream.message()).await.unwrap().unwrap());
    }
    drop(stream);
    let calls = gateway.ended(1).await;
    assert_eq!(calls[0].end, Some(End::ClientGone));
    gateway.emulator.clear_region("us-east-1");
    let unary = InvokeModelRequest {
        target: "claude".to_owned(),
        body: request("claude").body,
        ..InvokeModelRequest::default()
    };
    let unary = soon(gateway.models().invoke_model(keyed(unary, &a)))
        .await
        .unwrap();
    let left = unary
        .metadata()
        .get("x-ratelimit-remaining-tokens")
        .cloned();
    let left: i32 = left.unwrap().to_str().unwrap().parse().unwrap();
    let used = unary.into_inner().usage.unwrap().total_tokens();
    let estimated = 100_000 - used - left;
    // The whole body, and the output that was read, at most `max_tokens`.
    let input = request("claude").body.len() as i32;
    assert_eq!(estimated, input + 40);
}

#[tokio::test]
async fn a_cancelled_stream_can_be_read_to_its_usage() {
    let gateway = Gateway::with(|config, options| {
        config.limits.on_cancel = OnCancel::DrainForUsage {
            time: Duration::from_secs(10),
            tokens: 1_000,
        };
        options.pace = crate::harness::paced(Duration::from_millis(20), 20);
        let mut alias = alias(CLAUDE);
        alias.invoke_model = true;
        config.targets.aliases.insert("claude".to_owned(), alias);
    })
    .await;
    let mut stream = open(&gateway, request("claude")).await.unwrap();
    assert!(soon(stream.message()).await.unwrap().is_some());
    drop(stream);
    let calls = gateway.ended(1).await;
    assert_eq!(calls[0].end, Some(End::Completed));
    let sample = r#"bedrock_grpc_tokens_total{target="claude",kind="output"}"#;
    // The gateway counts the usage shortly after Bedrock has sent it.
    soon(async {
        while gateway.metric(sample).await < 20.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(gateway.metric(sample).await, 20.0);
}

#[tokio::test]
async fn what_the_operator_enforces_holds_for_streams() {
    let config = "
targets:
  claude:
    model_id: us.anthropic.claude-sonnet-5
    invoke_model: true
    guardrail: {identifier: gr1, version: '7', enforced: true}
    service_tiers: [flex]
    limits: {max_tokens: 30}
  off: {model_id: us.anthropic.claude-sonnet-5}
";
    let (gateway, a, _) = two_teams(config, METHODS).await;
    let ask = |members: &str| {
        let mut asked = request("claude");
        asked.body = messages(members).into();
        keyed(asked, &a)
    };
    let answer = call(&gateway, ask("")).await;
    assert_eq!(answer.ended().0, Code::Ok);
    let last = answer.chunks.last().unwrap();
    assert_eq!(last["amazon-bedrock-guardrailAction"], "NONE");
    let sent = gateway.emulator.calls().remove(0);
    for (name, value) in [
        ("x-amzn-bedrock-guardrailidentifier", "gr1"),
        ("x-amzn-bedrock-guardrailversion", "7"),
        ("x-amzn-bedrock-service-tier", "flex"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(header(&sent, name), Some(value));
    }
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["max_tokens"], 30);
    let reason = |answer: Answer| answer.ended().1;
    let high = call(&gateway, ask(r#","max_tokens":31"#)).await;
    assert_eq!(reason(high), "INVALID_REQUEST");
    let twice = call(&gateway, ask(r#","max_tokens":5,"max_tokens":5"#)).await;
    assert_eq!(reason(twice), "BODY_NOT_ENFORCEABLE");
    let location = call(&gateway, ask(r#","max_tokens":5,"x":"s3://other/x""#)).await;
    assert_eq!(reason(location), "INVALID_REQUEST");
    let off = call(&gateway, keyed(request("off"), &a)).await;
    assert_eq!(reason(off), "TARGET_NOT_ALLOWED");
    let mut wrong = request("claude");
    wrong.heartbeat_interval = Some(prost_types::Duration {
        seconds: 0,
        nanos: 1,
    });
    let wrong = call(&gateway, keyed(wrong, &a)).await.end.unwrap();
    assert_eq!(Details::of(&wrong).fields(), ["heartbeat_interval"]);
    assert_eq!(gateway.emulator.calls().len(), 1);
}

#[tokio::test]
async fn unknown_events_and_large_chunks_are_forwarded_and_silence_has_heartbeats() {
    let gateway = with_faults(&["unknown-event", "giant-tool-delta", "stall-after-1"]).await;
    let answer = call(&gateway, request("unknown-event")).await;
    assert_eq!(
        (answer.ended().0, &*answer.unknown),
        (Code::Ok, &["futureEvent".to_owned()][..])
    );
    let mut models = gateway.models().max_decoding_message_size(64 << 20);
    let mut stream = soon(models.stream_invoke_model(request("giant-tool-delta"))).await;
    let stream = stream.as_mut().unwrap().get_mut();
    let mut answer = Answer::default();
    while let Some(message) = soon(stream.message()).await.unwrap() {
        answer.push(message);
    }
    let sizes = answer.chunks.iter().map(|chunk| chunk.to_string().len());
    assert!(sizes.max() > Some(4 << 20));
    assert!(answer.metadata.is_some());
    let mut silent = request("stall-after-1");
    silent.heartbeat_interval = Some(prost_types::Duration {
        seconds: 1,
        nanos: 0,
    });
    let mut stream = open(&gateway, silent).await.unwrap();
    let mut answer = Answer::default();
    while answer.heartbeats == 0 {
        answer.push(soon(stream.message()).await.unwrap().unwrap());
    }
}
