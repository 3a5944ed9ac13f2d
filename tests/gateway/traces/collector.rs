//! The connection to the collector: headers of the requests, the last spans, and unusable
//! collectors.

use std::collections::BTreeMap;

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::config::Headers;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;

use super::{request, sampled, traced};
use crate::harness::{Collector, Gateway, MODEL, Serve, ask, config, file};

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn resource_attributes_and_configured_headers_are_sent_with_the_spans() {
    let (collector, gateway) = traced(|config, _| {
        config.traces.service_name = "chat-gateway".to_owned();
        config.traces.attributes = pairs(&[("deployment.environment.name", "test")]);
        config.traces.headers = Headers(pairs(&[("x-api-key", "secret")]));
    })
    .await;
    gateway
        .stream(request("known", "", ask(MODEL)))
        .await
        .is_whole();
    collector.call("known").await;
    let resource = collector.resource();
    for (name, expected) in [
        ("service.name", "chat-gateway"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment.name", "test"),
        ("telemetry.sdk.language", "rust"),
    ] {
        assert_eq!(resource.get(name).map(String::as_str), Some(expected));
    }
    assert_eq!(collector.metadata().get("x-api-key").unwrap(), "secret");
    assert!(!format!("{:?}", Headers(pairs(&[("a", "secret")]))).contains("secret"));
}

/// The gateway stops immediately after the call, well before spans would be sent anyway.
#[tokio::test]
async fn the_last_spans_are_sent_before_the_end() {
    let (collector, mut gateway) = traced(|_, _| {}).await;
    for n in 0..20 {
        let id = format!("last-{n}");
        gateway
            .stream(request(&id, "", ask(MODEL)))
            .await
            .is_whole();
    }
    gateway.stop.drain.cancel();
    gateway.finished().await;
    // All spans have arrived already: no wait is needed.
    let spans = collector.spans(|_| true).await;
    assert_eq!(spans.len(), 40);
}

#[tokio::test]
async fn spans_are_sent_over_tls_to_a_collector_whose_certificate_is_trusted() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let collector = Collector::with_tls(&cert.pem(), &signing_key.serialize_pem()).await;
    let ca = file(&cert.pem());
    let gateway = Gateway::with(|config, _| {
        let port = collector.address.port();
        config.traces.otlp_endpoint = Some(format!("https://localhost:{port}"));
        config.traces.extra_ca_file = Some(ca.path().to_owned());
    })
    .await;
    gateway
        .stream(request("tls", &sampled(), ask(MODEL)))
        .await
        .is_whole();
    collector.call("tls").await;
}

/// No collector listens, or it listens and sends nothing.
#[tokio::test]
async fn a_collector_that_is_down_or_silent_holds_nothing_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    for address in [silent.local_addr().unwrap(), closed] {
        let mut gateway = Gateway::with(|config, _| {
            config.traces.otlp_endpoint = Some(format!("http://{address}"));
        })
        .await;
        for _ in 0..10 {
            gateway.stream(ask(MODEL)).await.is_whole();
        }
        gateway.stop.drain.cancel();
        gateway.finished().await;
    }
}

#[tokio::test]
async fn a_collector_that_can_not_be_used_keeps_the_gateway_from_starting() {
    let mut config = config();
    config.traces.otlp_endpoint = Some("https://localhost:4317".to_owned());
    config.traces.extra_ca_file = Some("/there/is/no/such/file".into());
    let error = match bedrock_grpc::telemetry::Traces::start(&config.traces) {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    };
    assert!(
        error.starts_with("traces.extra_ca_file: /there/is/no/such/file: "),
        "{error}"
    );
}

/// Uses the variables that every OpenTelemetry SDK reads. The log reports an unreachable collector
/// only from time to time.
#[tokio::test]
async fn the_environment_switches_it_on_and_losses_are_logged_once() {
    let collector = Collector::start().await;
    let emulator = Emulator::start(Options::default()).unwrap();
    let otlp = collector.endpoint();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=a%20secret"),
        ("OTEL_SERVICE_NAME", "from-environment"),
        ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=pod-1,other=x%2Cy"),
    ];
    let mut serve = Serve::with_keys(&emulator, "", &variables).await;
    let first = request("first", "", ask(MODEL));
    serve.open(first).await.end().await.is_whole();
    collector.call("first").await;
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "from-environment");
    assert_eq!(resource["k8s.pod.name"], "pod-1");
    assert_eq!(resource["other"], "x,y");
    assert_eq!(collector.metadata().get("x-api-key").unwrap(), "a secret");
    assert_eq!(collector.metadata().get_all("x-api-key").iter().count(), 1);

    collector.refuse();
    let lost = request("lost", "", ask(MODEL));
    serve.open(lost).await.end().await.is_whole();
    serve.process.logged("dropping spans").await;
    let lost = request("lost again", "", ask(MODEL));
    serve.open(lost).await.end().await.is_whole();
    serve.process.terminate().await;
    let ended = serve.process.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("dropping spans"), "{}", ended.stderr);
    assert!(ended.stderr.contains("dropped spans at shutdown"));
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}
