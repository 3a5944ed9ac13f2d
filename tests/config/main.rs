//! The configuration: valid text is read, and all problems are reported at once, each with its
//! place.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod references;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod weaker;

use std::{path::Path, time::Duration};

use bedrock_grpc::config::{Config, OnCancel, Problem};
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

/// Checks that each text has exactly these problems, given by the start of their messages.
fn expect_problems(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let found = problems(text);
        assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
        for start in *expected {
            let is_expected = |problem: &String| {
                let rest = problem.split_once(':').map(|(_, rest)| rest);
                rest.is_some_and(|rest| rest.starts_with(start))
            };
            assert!(found.iter().any(is_expected), "{text}\n{found:#?}\n{start}");
        }
    }
}

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "# nothing\n", "\n\n"] {
        assert_eq!(parse(text), Ok(Config::default()), "{text:?}");
    }
}

/// A half-written file, or a template, can leave a key without a value. If it counted as absent, a
/// restriction or a price could get lost.
#[test]
fn a_key_without_a_value_is_reported_with_its_place() {
    expect_problems(&[
        (
            "prices:\n  - models: [m]\n    input:\n    output: ~\n    cache_read: null\n",
            &[
                "prices[0].input: has no value; write one, or remove the line",
                "prices[0].output: has no value",
                "prices[0].cache_read: has no value",
            ],
        ),
        (
            "targets:\n  a:\n    model_id:\n",
            &["targets.a.model_id: has no value"],
        ),
        (
            "targets: {a: {model_id: a.b, project: , only: , fallback: }}\nguardrail:\n",
            &[
                "targets.a.project: has no value",
                "targets.a.only: has no value",
                "targets.a.fallback: has no value",
                "guardrail: has no value; write its keys below it",
            ],
        ),
        (
            "callers:\n  a:\n    keys: [{sha256: , not_after: }]\n  b:\ngroups:\n",
            &[
                "callers.a.keys[0].sha256: has no value",
                "callers.a.keys[0].not_after: has no value",
                "callers.b: has no value; write its keys below it, indented, or `{}`",
                "groups: has no value; write its keys below it",
            ],
        ),
    ]);
    let place = parse("limits:\n  max_tokens:\n").unwrap_err()[0].place;
    assert_eq!((place.line, place.column), (2, 3));
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

/// Users look for keys in the example, so it must contain all of them.
#[test]
fn the_example_holds_every_key() {
    let example = std::fs::read_to_string("examples/config.yaml").unwrap();
    let known = problems(
        "nonsense_of_no_likeness: 1\nlimits: {nonsense_of_no_likeness: 1}\nbedrock: {nonsense_of_no_likeness: 1}\ndrain: {nonsense_of_no_likeness: 1}\nlog: {nonsense_of_no_likeness: 1}\ntraces: {nonsense_of_no_likeness: 1}\nrequest_metadata: {nonsense_of_no_likeness: 1}\ndiscovery: {nonsense_of_no_likeness: 1}\naccess: {nonsense_of_no_likeness: 1, jwt: [{issuer: 'https://a.example', audiences: [a], nonsense_of_no_likeness: 1, unlisted: {nonsense_of_no_likeness: 1}}], kubernetes: {audience: a, nonsense_of_no_likeness: 1}}\nestimates: {nonsense_of_no_likeness: 1}\nprices: [{models: [m], input: 1, output: 1, nonsense_of_no_likeness: 1, service_tiers: {nonsense_of_no_likeness: 1}}]\ngroups: {g: {nonsense_of_no_likeness: 1, limits: {nonsense_of_no_likeness: 1}}}\ncallers: {c: {nonsense_of_no_likeness: 1, limits: {nonsense_of_no_likeness: 1}, keys: [{nonsense_of_no_likeness: 1}]}}\ntargets: {t: {model_id: a.b, nonsense_of_no_likeness: 1, defaults: {nonsense_of_no_likeness: 1, guardrail: {identifier: a, version: DRAFT, nonsense_of_no_likeness: 1}}, limits: {nonsense_of_no_likeness: 1}}, u: {routes: [{model_id: a.b, nonsense_of_no_likeness: 1}]}}\n",
    );
    // The key without a hash causes another problem.
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
fn all_problems_are_reported_at_once_with_their_place() {
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
    let second = "`workers` is here for the second time";
    assert!(twice[0].contains(second), "{twice:?}");
}

#[test]
fn a_mistake_has_one_message_that_says_what_to_do() {
    for (text, expected) in [
        (
            "bedrock: {endpoint: 'http://b'}",
            "did you mean `endpoint_url`?",
        ),
        (
            "bedrock: {endpoint: {us-east-1: {}}}",
            "did you mean `endpoints`?",
        ),
        (
            "bedrock: {endpoint_url: 'http://a b'}",
            "`http://a b` is not a URL; write one such as",
        ),
        ("bedrock: {endpoint_url: 'https://'}", "is not a URL"),
        (
            "cors: {allowed_origins: ['https://u:secret@a.example']}",
            "without a user",
        ),
        (
            "cors: {allowed_origins: ['https://a b']}",
            "is not an origin",
        ),
        (
            "callers: {a: {methods: [invoke_model]}}",
            "is not one of: Invoke,",
        ),
        ("callers: {a: {methods: []}}", "list at least one method"),
        (
            "access: {required: true}",
            "every call would be refused; add `callers`",
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
        assert!(!found[0].contains("secret"), "{found:?}");
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

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z:{}\\[\\]\\-${} \n'\"#0-9.]{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn durations_have_the_value_of_their_text(number in 1_u64..100_000, unit in 0_usize..4) {
        let (name, milliseconds) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)][unit];
        let config = parse(&format!("limits: {{idle: {number}{name}}}")).unwrap();
        prop_assert_eq!(config.limits.idle, Duration::from_millis(number * milliseconds));
    }
}
