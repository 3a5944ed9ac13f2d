//! The config: what is right is read, and everything that is wrong is told at once, with its place.

use std::{collections::BTreeMap, path::Path, time::Duration};

use bedrock_grpc::config::{Config, Headers, OnCancel, Problem, Traces};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    Config::parse(text, &|name| {
        (name == "REGION").then(|| "eu-central-1".to_owned())
    })
}

/// The problems as `line:key: message`.
fn problems(text: &str) -> Vec<String> {
    parse(text)
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(|problem| {
            format!(
                "{}:{}: {}",
                problem.place.line, problem.key, problem.message
            )
        })
        .collect()
}

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "# nothing\n", "\n\n"] {
        assert_eq!(parse(text), Ok(Config::default()), "{text:?}");
    }
}

#[test]
fn the_example_holds_every_default() {
    let config = Config::load(Path::new("examples/config.yaml")).unwrap();
    let default = Config::default();
    assert_eq!(config.limits, default.limits);
    assert_eq!(config.drain, default.drain);
    assert_eq!(config.log, default.log);
    assert_eq!(config.traces, default.traces);
    assert_eq!(config.server.listen, default.server.listen);
    assert_eq!(config.server.admin, default.server.admin);
    assert_eq!(
        config.bedrock.connect_timeout,
        default.bedrock.connect_timeout
    );
    assert_eq!(config.discovery, default.discovery);
    assert!(config.targets.only.is_unrestricted());
    assert_eq!(config.targets.aliases.len(), 3);
}

#[test]
fn the_playground_is_served_if_it_is_asked_for() {
    assert!(!parse("").unwrap().server.playground);
    assert!(parse("playground: true").unwrap().server.playground);
    assert_eq!(
        problems("playground: maybe"),
        ["1:playground: `maybe` is neither true nor false"]
    );
}

/// Users find keys in the example.
#[test]
fn the_example_holds_every_key() {
    let example = std::fs::read_to_string("examples/config.yaml").unwrap();
    let known = problems(
        "nonsense_of_no_likeness: 1\nlimits: {nonsense_of_no_likeness: 1}\nbedrock: {nonsense_of_no_likeness: 1}\ndrain: {nonsense_of_no_likeness: 1}\nlog: {nonsense_of_no_likeness: 1}\ntraces: {nonsense_of_no_likeness: 1}\nrequest_metadata: {nonsense_of_no_likeness: 1}\ndiscovery: {nonsense_of_no_likeness: 1}\naccess: {nonsense_of_no_likeness: 1, jwt: [{issuer: 'https://a.example', audiences: [a], nonsense_of_no_likeness: 1, unlisted: {nonsense_of_no_likeness: 1}}], kubernetes: {audience: a, nonsense_of_no_likeness: 1}}\nestimates: {nonsense_of_no_likeness: 1}\nprices: [{models: [m], input: 1, output: 1, nonsense_of_no_likeness: 1, service_tiers: {nonsense_of_no_likeness: 1}}]\ngroups: {g: {nonsense_of_no_likeness: 1, limits: {nonsense_of_no_likeness: 1}}}\ncallers: {c: {nonsense_of_no_likeness: 1, limits: {nonsense_of_no_likeness: 1}, keys: [{nonsense_of_no_likeness: 1}]}}\ntargets: {t: {model_id: a.b, nonsense_of_no_likeness: 1, defaults: {nonsense_of_no_likeness: 1, guardrail: {identifier: a, version: DRAFT, nonsense_of_no_likeness: 1}}, limits: {nonsense_of_no_likeness: 1}}, u: {routes: [{model_id: a.b, nonsense_of_no_likeness: 1}]}}\n",
    );
    // The key without a hash has another problem beside.
    assert_eq!(known.len(), 26);
    for problem in known {
        let Some((_, keys)) = problem.split_once("known keys: ") else {
            assert!(problem.contains("sha256: required"), "{problem}");
            continue;
        };
        for key in keys.split(", ") {
            assert!(
                example.contains(&format!("{key}:")),
                "{key} is not in the example"
            );
        }
    }
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    let found = problems(
        "\
listen: nowhere
limits:
  idel: 5m
  first_event: 5
  heartbeat: 10ms
targets:
  bad.name:
    model_id: x
  claude:
    region: moon
    defaults: {max_tokens: 0}
drain: soon
",
    );
    let expected = [
        (
            "1:listen: `nowhere` is not an address",
            "such as 127.0.0.1:50051",
        ),
        ("3:limits.idel: unknown key", "did you mean `idle`?"),
        (
            "4:limits.first_event: `5` is not a duration",
            "such as 250ms",
        ),
        ("5:limits.heartbeat: must be at least 1s", "or 0 for none"),
        ("7:targets.bad.name: an alias must have", "a model ID"),
        (
            "8:targets.bad.name.model_id: `x` is neither a model ID nor an ARN",
            "`fallback`",
        ),
        (
            "10:targets.claude.model_id: required",
            "an inference profile",
        ),
        (
            "10:targets.claude.region: `moon` is not an AWS Region",
            "us-east-1",
        ),
        ("11:targets.claude.defaults.max_tokens: `0`", "from 1 to"),
        ("12:drain: expected a map", "got a single value"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (problem, (start, hint)) in found.iter().zip(expected) {
        assert!(
            problem.starts_with(start) && problem.contains(hint),
            "{problem}"
        );
    }
}

#[test]
fn broken_yaml_names_its_line() {
    let found = problems("listen: :1\nadmin: [\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("not valid YAML"), "{found:?}");
    let twice = problems("workers: 1\nworkers: 2\n");
    assert!(twice[0].starts_with("2:"), "{twice:?}");
}

#[test]
fn values_can_come_from_the_environment() {
    let region = |text: &str| parse(text).map(|config| config.bedrock.region);
    assert_eq!(
        region("bedrock: {region: '${REGION}'}"),
        Ok(Some("eu-central-1".to_owned()))
    );
    assert_eq!(
        region("bedrock: {region: '${NONE:-us-east-1}'}"),
        Ok(Some("us-east-1".to_owned()))
    );
    let found = problems("bedrock: {region: '${NONE}'}");
    assert!(found[0].contains("NONE is not set"), "{found:?}");
}

#[test]
fn values_can_come_from_files() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("value");
    let reference = format!("${{file:{}}}", path.display());
    let region = || parse(&format!("bedrock: {{region: '{reference}'}}")).unwrap();
    for content in ["eu-central-1", "eu-central-1\n", "eu-central-1\r\n"] {
        std::fs::write(&path, content).unwrap();
        let read = region().bedrock.region;
        assert_eq!(read.as_deref(), Some("eu-central-1"), "{content:?}");
    }
    std::fs::write(&path, "central").unwrap();
    let mixed = format!("bedrock: {{region: 'eu-{reference}-${{NUMBER:-1}}'}}");
    let read = parse(&mixed).unwrap().bedrock.region;
    assert_eq!(read.as_deref(), Some("eu-central-1"));

    let large = "x".repeat(65_537);
    for (content, expected) in [
        (&b"\n\n"[..], "is empty"),
        (large.as_bytes(), "is larger than 64 KiB"),
        (b"hunter2\xff", "is not text in UTF-8"),
        (b"hunter2 ", "is not valid for this key; correct the file"),
    ] {
        std::fs::write(&path, content).unwrap();
        let found = problems(&format!("bedrock: {{region: '{reference}'}}")).join("\n");
        let start = "1:bedrock.region: ";
        assert!(found.contains(start) && found.contains(expected), "{found}");
        assert!(found.contains(path.to_str().unwrap()), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
    for (reference, expected) in [
        (
            "${file:/nonexistent/value}",
            "the file /nonexistent/value cannot be read",
        ),
        ("${file:/}", "the file / is not a regular file"),
        ("${file:value}", "`value` is not an absolute path"),
    ] {
        let found = problems(&format!("bedrock: {{region: '{reference}'}}")).join("\n");
        assert!(found.contains(expected), "{found}");
    }
}

/// Errors show paths, so a path cannot be a secret.
#[test]
fn paths_cannot_come_from_files() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("value");
    std::fs::write(&path, "hunter2-path").unwrap();
    let reference = format!("'${{file:{}}}'", path.display());
    for (text, key) in [
        ("access: {keys_file: REF}", "access.keys_file"),
        (
            "tls: {certificate_file: REF, key_file: a}",
            "tls.certificate_file",
        ),
        ("tls: {certificate_file: a, key_file: REF}", "tls.key_file"),
        (
            "tls: {certificate_file: a, key_file: a, client_ca_file: REF}",
            "tls.client_ca_file",
        ),
        ("bedrock: {extra_ca_file: REF}", "bedrock.extra_ca_file"),
        ("traces: {extra_ca_file: REF}", "traces.extra_ca_file"),
        ("usage_records: {file: REF}", "usage_records.file"),
        (
            "usage_records: {extra_ca_file: REF}",
            "usage_records.extra_ca_file",
        ),
        (
            "limits: {store: {url: 'rediss://host', password_file: REF}}",
            "limits.store.password_file",
        ),
        (
            "limits: {store: {url: 'rediss://host', ca_file: REF}}",
            "limits.store.ca_file",
        ),
        (
            "access: {jwt: [{issuer: 'https://a.example', audiences: [b], jwks_file: REF}]}",
            "access.jwt[0].jwks_file",
        ),
        (
            "access: {jwt: [{issuer: 'https://a.example', audiences: [b], ca_file: REF}]}",
            "access.jwt[0].ca_file",
        ),
        (
            "access: {kubernetes: {audience: a, token_file: REF}}",
            "access.kubernetes.token_file",
        ),
        (
            "access: {kubernetes: {audience: a, ca_file: REF}}",
            "access.kubernetes.ca_file",
        ),
    ] {
        let found = problems(&text.replace("REF", &reference)).join("\n");
        let expected = format!("{key}: a path cannot be read from a file");
        assert!(found.contains(&expected), "{text}: {found}");
        assert!(!found.contains("hunter2"), "{text}: {found}");
    }
    let variable = |name: &str| (name == "NAME").then(|| "/k".to_owned());
    let named = Config::parse("access: {keys_file: '${NAME}'}", &variable);
    let named = named.unwrap().access.keys_file;
    assert_eq!(named.as_deref(), Some(Path::new("/k")));
}

/// Messages about several keys can repeat a value.
#[test]
fn the_content_of_a_file_is_in_no_message() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("value");
    std::fs::write(&path, "hunter2-model").unwrap();
    let reference = format!("${{file:{}}}", path.display());
    let text = format!("targets: {{a: {{model_id: '{reference}', fallback: a, region: nowhere}}}}");
    let found = problems(&text).join("\n");
    assert!(!found.is_empty());
    assert!(!found.contains("hunter2"), "{found}");
}

/// Messages go into the log of a gateway that refuses a change.
#[test]
fn the_password_of_a_url_is_in_no_message() {
    for text in [
        "traces: {otlp_endpoint: 'http://u:canary@h:1/p'}",
        "traces: {otlp_endpoint: 'http://h:1/?token=canary'}",
        "bedrock: {endpoint_url: 'htp://u:canary@h/x'}",
        "bedrock: {endpoint_url: 'u:canary@h'}",
        "usage_records: {otlp_endpoint: 'http://u:canary@h:1/p'}",
        "access: {tokens: {a: {issuer: 'http://u:canary@h', audiences: [b]}}}",
    ] {
        let problems = problems(text);
        assert!(!problems.is_empty(), "{text}");
        let shown = problems.join("\n");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[test]
fn a_cancelled_call_can_be_read_on_for_its_usage() {
    let on_cancel = |text: &str| parse(text).unwrap().limits.on_cancel;
    assert_eq!(on_cancel("limits: {on_cancel: abort}"), OnCancel::Abort);
    assert_eq!(
        on_cancel("limits: {on_cancel: drain_for_usage, drain_for_usage: {tokens: 7}}"),
        OnCancel::DrainForUsage {
            time: Duration::from_secs(30),
            tokens: 7
        }
    );
}

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
    // What the file says counts more.
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

/// Variables that are meant for others, or switch it off, change nothing.
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
fn what_is_wrong_with_traces_is_told() {
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

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z:{}\\[\\]\\-${} \n'\"#0-9.]{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn durations_are_what_they_say(number in 1_u64..100_000, unit in 0_usize..4) {
        let (name, milliseconds) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)][unit];
        let config = parse(&format!("limits: {{idle: {number}{name}}}")).unwrap();
        prop_assert_eq!(config.limits.idle, Duration::from_millis(number * milliseconds));
    }
}

/// Everything that can be wrong with targets, their routes and what binds them.
#[test]
fn wrong_targets_are_told_with_what_would_be_right() {
    for (text, expected) in [
        (
            "targets: {a: {model_id: x.y, routes: []}}",
            &[
                "targets.a.routes: set either `routes`, or `model_id`",
                "targets.a.routes: at least one route",
            ][..],
        ),
        (
            "targets: {a: {model_id: x.y, region: us-east-1, regions: [us-west-2]}}",
            &["targets.a.regions: set either `region` or `regions`"],
        ),
        (
            "targets: {a: {routes: [{region: us-east-1}, {model_id: x.y, weight: 0}]}}",
            &[
                "targets.a.routes[0].model_id: required",
                "targets.a.routes[1].weight: `0`",
            ],
        ),
        (
            "targets: {a: {model_id: 'arn:aws:bedrock:eu-west-1:1:provisioned-model/p', region: us-east-1}}",
            &["targets.a.region: the ARN can be called only in its own Region eu-west-1"],
        ),
        (
            "targets: {nova: {model_id: x.y}, a: {model_id: x.y, fallback: novo}}",
            &["targets.a.fallback: unknown target `novo`; did you mean `nova`?"],
        ),
        (
            "targets: {a: {model_id: x.y, fallback: b}, b: {model_id: x.y, fallback: a}}",
            &[
                "targets.a.fallback: the fallbacks form a cycle: a -> b -> a",
                "targets.b.fallback: the fallbacks form a cycle: b -> a -> b",
            ],
        ),
        (
            "targets: {a: {model_id: us.x.y, only: [eu]}}",
            &["targets.a.only: us.x.y may be served in all of `us`, outside of only: [eu]"],
        ),
        (
            "targets: {a: {model_id: global.x.y}}\nonly: [eu]",
            &["targets.a.routes: global.x.y may be served in all of `global`"],
        ),
        (
            "targets: {a: {model_id: x.y, regions: [us-east-1, eu-west-1], only: [eu]}}",
            &["targets.a.only: x.y is served in us-east-1"],
        ),
        (
            "targets: {a: {model_id: x.y, only: [europe]}}",
            &["targets.a.only[0]: `europe` is neither a geography"],
        ),
        (
            "targets: {a: {routes: [{model_id: x.y}, {model_id: 'arn:aws:bedrock:us-east-1:1:prompt/PROMPT12345'}]}}",
            &["targets.a.routes: a prompt of Prompt management accepts other requests"],
        ),
        (
            "targets: {a: {model_id: x.y, defaults: {guardrail: {version: v1}, temperature: 2}}}",
            &[
                "targets.a.defaults.temperature: `2` is not a number from 0 to 1",
                "targets.a.defaults.guardrail.version: `v1` is neither a version",
                "targets.a.defaults.guardrail.identifier: required",
            ],
        ),
        (
            "targets: {a: {model_id: x.y, request_metadata: {team: 'a;b'}}}",
            &["targets.a.request_metadata.team: `a;b` must have at most 256 characters"],
        ),
        (
            "groups: {a: {}}\ncallers: {'team a': {}, b: {groups: [A, zzzz], keys: [{not_after: soon}, {}, {sha256: bgrpc_canary}]}}",
            &[
                "callers.team a: use 1 to 128 letters",
                "callers.b.groups[0]: unknown group `A`; did you mean `a`?",
                "callers.b.groups[1]: unknown group `zzzz`; add it to `groups`",
                "callers.b.keys: at most 2 keys",
                "callers.b.keys[0].sha256: required",
                "callers.b.keys[0].not_after: `soon` is not a point in time",
                "callers.b.keys[1].sha256: required",
                "callers.b.keys[2].sha256: not a SHA-256 in 64 hexadecimal digits",
            ],
        ),
        (
            "groups: {a: {}, b: {}}\ncallers: {x: {groups: [a, b, a]}, y: {groups: [b, a]}}",
            &["callers.x.groups: group `a` is listed twice; remove one of the entries"],
        ),
        (
            "access:\n  jwt:\n    - algorithms: [none, HS256, RS257]\n      jwks_url: http://keys.example\n      jwks_file: a\n    - {issuer: here, audiences: []}\n    - {issuer: 'https://a.example', audiences: [a], refresh: 25h, unlisted: {groups: [b]}}\n    - {issuer: 'https://a.example', audiences: a}",
            &[
                "access.jwt[0].issuer: required: the value of the tokens' `iss`",
                "access.jwt[0].audiences: required: tokens for other services",
                "access.jwt[0].algorithms[0]: `none` is not accepted",
                "access.jwt[0].algorithms[1]: `HS256` is not accepted",
                "access.jwt[0].algorithms[2]: `RS257` is not one of: RS256,",
                "access.jwt[0].jwks_url: `http://keys.example` has no TLS",
                "access.jwt[1].audiences: must not be empty",
                "access.jwt[1].issuer: its keys cannot be discovered: `here` is not a URL",
                "access.jwt[2].refresh: must be from 1s to 24h",
                "access.jwt[2].unlisted.groups[0]: unknown group `b`",
                "access.jwt[3].issuer: this issuer is listed twice",
                "access.jwt[3].audiences: expected a list",
            ],
        ),
        (
            "access: {kubernetes: {jwks_url: 'https://a'}}\ncallers: {a: {service_accounts: [b/c, b]}, d: {service_accounts: [b/c]}}",
            &[
                "access.kubernetes.audience: required",
                "access.kubernetes.jwks_url: needs `issuer`",
                "callers.a.service_accounts[1]: `b` is not a service account; write namespace/name",
                "callers.d.service_accounts[0]: `b/c` is listed for several callers",
            ],
        ),
        (
            "access: {kubernetes: {audience: a, issuer: 'https://a', token_file: b}}",
            &["access.kubernetes.issuer: cannot be combined with api_server or token_file"],
        ),
        (
            "tls: {certificate_file: a, key_file: b, client_auth: maybe}",
            &["tls.client_auth: `maybe` is not one of: required, optional"],
        ),
        (
            "tls: {certificate_file: a, key_file: b, client_auth: optional}",
            &["tls.client_auth: needs `client_ca_file`"],
        ),
        (
            "tls: {certificate_file: a, key_file: b, client_ca_file: c}\ncallers: {a: {certificates: ['spiffe://a/b', 'x y', '*.example', A.example]}, b: {certificates: [a.example]}}",
            &[
                "callers.a.certificates[1]: `x y` is not a name of a certificate; write a SPIFFE ID",
                "callers.a.certificates[2]: `*.example` is not a name",
                "callers.b.certificates[0]: `a.example` is listed for several callers",
            ],
        ),
        (
            "callers: {a: {certificates: [b]}}",
            &["callers.a.certificates[0]: needs `tls.client_ca_file`"],
        ),
        (
            "callers: {a: {service_accounts: [b/c]}}",
            &["callers.a.service_accounts[0]: needs `access.kubernetes`"],
        ),
        (
            "callers: {a: {keys: [{sha256: '00000000000000000000000000000000000000000000000000000000000000aa'}]}, b: {keys: [{sha256: '00000000000000000000000000000000000000000000000000000000000000AA'}]}}",
            &["callers.b.keys: the key 00000000 is listed twice, here and for `a`"],
        ),
        (
            "request_metadata: {from_headers: {team: X-Team}}",
            &["request_metadata.from_headers.team: `X-Team` is not a valid name of gRPC metadata"],
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
        for start in expected {
            assert!(
                found
                    .iter()
                    .any(|problem| problem.split_once(':').unwrap().1.starts_with(start)),
                "{text}\n{found:#?}\n{start}"
            );
        }
    }
}

const ROLE: &str = "role_arn: 'arn:aws:iam::111122223333:role/x'";

#[test]
fn accounts_have_roles_and_routes_name_them() {
    let config = parse(&format!(
        "accounts: {{one: {{{ROLE}, session_tags: {{team: a}}, session_duration: 1h}}, two: {{role_arn: 'arn:aws:iam::444455556666:role/x'}}}}
targets: {{a: {{model_id: x.y, accounts: [one, two]}}}}
callers: {{search: {{session_tags: {{team: search}}}}}}"
    ))
    .unwrap();
    let one = &config.accounts["one"];
    assert_eq!(one.session_name, "bedrock-grpc");
    assert_eq!(one.session_duration, Some(Duration::from_secs(3_600)));
    assert_eq!(
        config.targets.aliases["a"].routes[0].accounts,
        ["one", "two"]
    );
    assert_eq!(config.targets.account_names["444455556666"], "two");
    let session = &config.access.callers["search"].session;
    assert_eq!(session.session_tags["team"], "search");
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
}

#[test]
fn wrong_accounts_are_told_with_what_would_be_right() {
    for (text, expected) in [
        ("accounts: {one: {}}", "accounts.one.role_arn: required"),
        (
            "accounts: {one: {role_arn: research}}",
            "accounts.one.role_arn: `research` is not the ARN of a role",
        ),
        (
            "accounts: {a.b: {ROLE}}",
            "accounts.a.b: an account's name must have",
        ),
        (
            "accounts: {one: {ROLE, session_duration: 13h}}",
            "accounts.one.session_duration: must be 15m to 12h, got 13h",
        ),
        (
            "accounts: {one: {ROLE, session_tags: {caller: a}}}",
            "accounts.one.session_tags.caller: `caller` is reserved",
        ),
        (
            "accounts: {one: {ROLE, session_tags: {'aws:x': a}}}",
            "accounts.one.session_tags.aws:x: `aws:x` is reserved",
        ),
        (
            "accounts: {one: {ROLE}}\ntargets: {a: {model_id: x.y, account: ona}}",
            "targets.a.routes: unknown account `ona`; did you mean `one`?",
        ),
        (
            "accounts: {one: {ROLE}}\ntargets: {a: {model_id: x.y, account: one, accounts: [one]}}",
            "targets.a.accounts: either `account` or `accounts`",
        ),
        (
            "accounts: {one: {ROLE}}\ntargets: {a: {model_id: 'arn:aws:bedrock:us-east-1:444455556666:provisioned-model/p', account: one}}",
            "targets.a.routes: arn:aws:bedrock:us-east-1:444455556666:provisioned-model/p belongs to AWS account 444455556666",
        ),
        (
            "callers: {search: {role_arn: x}}",
            "callers.search.role_arn: `x` is not the ARN of a role",
        ),
    ] {
        let told: Vec<_> = problems(&text.replace("ROLE", ROLE))
            .into_iter()
            .map(|problem| problem.split_once(':').unwrap().1.to_owned())
            .collect();
        assert!(
            told.iter().any(|problem| problem.starts_with(expected)),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn a_store_without_the_number_of_replicas_is_warned_of() {
    for (limits, is_warned) in [
        ("store: 'redis://h'", true),
        ("store: 'redis://h', on_store_failure: local", true),
        ("store: 'redis://h', replicas: 1", false),
        ("store: 'redis://h', on_store_failure: deny", false),
        ("store: 'redis://h', on_store_failure: allow", false),
        ("store: memory", false),
    ] {
        let warnings = parse(&format!("limits: {{{limits}}}")).unwrap().warnings();
        let keys: Vec<_> = warnings
            .iter()
            .map(|warning| warning.key.as_str())
            .collect();
        let expected: &[&str] = if is_warned { &["limits.replicas"] } else { &[] };
        assert_eq!(keys, expected, "{limits}");
    }
}

#[test]
fn accounts_without_effect_are_warned_of() {
    for (text, key, words) in [
        (
            "accounts: {one: {ROLE, session_duration: 2h}}\ntargets: {a: {model_id: x.y, account: one}}",
            "accounts.one.session_duration",
            "role chaining",
        ),
        ("accounts: {one: {ROLE}}", "accounts.one", "no target names"),
        (
            "callers: {search: {session_tags: {team: a}}}",
            "callers.search.session_tags",
            "only sessions of roles have tags",
        ),
    ] {
        let warnings = parse(&text.replace("ROLE", ROLE)).unwrap().warnings();
        let [warning] = &warnings[..] else {
            panic!("{text}: {warnings:?}");
        };
        assert_eq!(warning.key, key);
        assert!(warning.message.contains(words), "{warning:?}");
    }
}
