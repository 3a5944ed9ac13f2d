//! Where traces are sent: the file, and the standard variables of OpenTelemetry.

use std::collections::BTreeMap;

use bedrock_grpc::config::{Config, Headers, Problem, Traces};

fn traces(text: &str, environment: &[(&str, &str)]) -> Result<Traces, Vec<Problem>> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Config::parse(text, &variable).map(|config| config.traces)
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn traces_are_sent_where_the_file_says() {
    let read = traces(
        "traces: {otlp_endpoint: 'https://collector:4317', headers: {X-Api-Key: '${KEY}'}, extra_ca_file: ca.pem, sample_ratio: 0.1, service_name: chat, attributes: {team: a}}",
        &[("KEY", "secret")],
    );
    let expected = Traces {
        otlp_endpoint: Some("https://collector:4317".to_owned()),
        headers: Headers(pairs(&[("x-api-key", "secret")])),
        extra_ca_file: Some("ca.pem".into()),
        sample_ratio: 0.1,
        service_name: "chat".to_owned(),
        attributes: pairs(&[("team", "a")]),
    };
    assert_eq!(read, Ok(expected));
}

const STANDARD: [(&str, &str); 5] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "Authorization=Bearer%20abc, x-b=2",
    ),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
    ("OTEL_SERVICE_NAME", "standard"),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "service.name=ignored,team=b,k8s.pod.name=p%2C1",
    ),
];

#[test]
fn traces_are_sent_where_the_standard_variables_say() {
    let expected = Traces {
        otlp_endpoint: Some("http://collector:4317".to_owned()),
        headers: Headers(pairs(&[("authorization", "Bearer abc"), ("x-b", "2")])),
        extra_ca_file: Some("/ca.pem".into()),
        sample_ratio: 1.0,
        service_name: "standard".to_owned(),
        attributes: pairs(&[("team", "b"), ("k8s.pod.name", "p,1")]),
    };
    assert_eq!(traces("", &STANDARD), Ok(expected));
    // The file takes precedence over the variables.
    let both = traces(
        "traces: {otlp_endpoint: 'http://other:4317', headers: {x-b: '3'}, service_name: chat, attributes: {team: a}}",
        &STANDARD,
    )
    .unwrap();
    assert_eq!(both.otlp_endpoint.as_deref(), Some("http://other:4317"));
    assert_eq!(both.service_name, "chat");
    assert_eq!(both.attributes["team"], "a");
    assert_eq!(both.attributes["k8s.pod.name"], "p,1");
    assert_eq!(both.headers.0["x-b"], "3");
    assert_eq!(both.headers.0["authorization"], "Bearer abc");

    let named = [
        STANDARD[0],
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=named"),
    ];
    assert_eq!(traces("", &named).unwrap().service_name, "named");
    let alone = [
        STANDARD[0],
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317/"),
    ];
    assert_eq!(
        traces("", &alone).unwrap().otlp_endpoint.as_deref(),
        Some("http://traces:4317/")
    );
}

/// No traces are sent if there is no endpoint, or if a variable switches traces off.
#[test]
fn without_an_endpoint_no_traces_are_sent() {
    let off = Ok(Traces::default());
    for environment in [
        &[][..],
        &STANDARD[1..],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
        &[("OTEL_RESOURCE_ATTRIBUTES", "nonsense")],
        &[STANDARD[0], ("OTEL_SDK_DISABLED", "True")],
    ] {
        assert_eq!(traces("", environment), off, "{environment:?}");
    }
}

#[test]
fn problems_of_traces_are_reported() {
    for (text, environment, key, words) in [
        (
            "traces: {otlp_endpoint: 'collector:4317'}",
            &[][..],
            "traces.otlp_endpoint",
            "http://otel-collector:4317",
        ),
        (
            "traces: {otlp_endpoint: 'http://collector:4318/v1/traces'}",
            &[],
            "traces.otlp_endpoint",
            "without a path",
        ),
        (
            "traces: {sample_ratio: 2}",
            &[],
            "traces.sample_ratio",
            "`2` is not a number from 0 to 1",
        ),
        (
            "traces: {headers: {'a b': c}}",
            &[],
            "traces.headers.a b",
            "not the name of a header",
        ),
        (
            "traces: {headers: {grpc-timeout: c}}",
            &[],
            "traces.headers.grpc-timeout",
            "not the name of a header",
        ),
        (
            "",
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")],
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "is not the URL",
        ),
        (
            "",
            &[
                STANDARD[0],
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ],
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "traces.otlp_endpoint",
        ),
        (
            "",
            &[STANDARD[0], ("OTEL_EXPORTER_OTLP_HEADERS", "secret")],
            "OTEL_EXPORTER_OTLP_HEADERS",
            "key=value",
        ),
        (
            "",
            &[STANDARD[0], ("OTEL_RESOURCE_ATTRIBUTES", "a=b,c")],
            "OTEL_RESOURCE_ATTRIBUTES",
            "key=value",
        ),
    ] {
        let problems = traces(text, environment).unwrap_err();
        let [problem] = &problems[..] else {
            panic!("{text} {environment:?}: {problems:?}");
        };
        assert_eq!(problem.key, key);
        assert!(problem.message.contains(words), "{problem:?}");
        assert!(!problem.message.contains("secret"), "{problem:?}");
    }
}
