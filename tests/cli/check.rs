//! `check`.

use std::process::Command;

/// Runs the command on a config of this text: exit code, standard output, standard error.
fn check(text: &str) -> (Option<i32>, String, String) {
    check_all(&[("config.yaml", text)])
}

/// The same for several files, by their names.
fn check_all(files: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let paths = files.iter().map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    let output = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
        .arg("check")
        .args(paths.collect::<Vec<_>>())
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn defaults_that_a_model_refuses_are_warned_of() {
    for (model_id, defaults, warnings) in [
        (
            "amazon.nova-lite-v1:0",
            "temperature: 0.7, top_p: 0.9",
            &[][..],
        ),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "temperature: 0.7, top_p: 0.9",
            &["targets.a.defaults.top_p", "sends only temperature"],
        ),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "top_p: 0.9",
            &[],
        ),
        (
            "us.anthropic.claude-sonnet-5",
            "temperature: 0.7",
            &["targets.a.defaults.temperature", "does not send it"],
        ),
        (
            "us.anthropic.claude-opus-4-8",
            "top_p: 0.9",
            &["targets.a.defaults.top_p", "does not send it"],
        ),
    ] {
        let text = format!("targets: {{a: {{model_id: '{model_id}', defaults: {{{defaults}}}}}}}");
        let (code, ok, warned) = check(&text);
        assert_eq!(code, Some(0), "{warned}");
        assert!(ok.contains("ok"), "{ok}");
        assert_eq!(
            warned.is_empty(),
            warnings.is_empty(),
            "{model_id}: {warned}"
        );
        for words in warnings {
            assert!(warned.contains(words), "{model_id}: {warned}");
        }
    }
}

#[test]
fn a_default_region_outside_of_the_fence_is_warned_of() {
    let text = "{bedrock: {region: us-east-1}, only: [eu], targets: {a: {model_id: eu.x.y}}}";
    let (code, _, warned) = check(text);
    assert_eq!(code, Some(0), "{warned}");
    assert!(warned.contains("targets.a.routes"), "{warned}");
    let (_, _, warned) = check(&text.replace("us-east-1", "eu-west-1"));
    assert_eq!(warned, "");
}

#[test]
fn what_can_not_be_enforced_is_refused() {
    for (text, words) in [
        (
            "{limits: {max_tokens: 100}, targets: {a: {model_id: x.y, defaults: {max_tokens: 200}}}}",
            "targets.a.defaults.max_tokens: 200 is more than limits.max_tokens: use at most 100",
        ),
        (
            "{service_tiers: [flex], targets: {a: {model_id: x.y, service_tiers: [priority]}}}",
            "targets.a.service_tiers",
        ),
        ("service_tiers: []", "service_tiers: "),
        (
            "service_tiers: [turbo]",
            "`turbo` is not one of: default, flex, priority, reserved",
        ),
        ("s3_locations: ['https://bucket/']", "s3://bucket"),
        ("s3_locations: ['s3://bucket/*']", "without wildcards"),
        ("allowed_model_ids: ['arn:aws:bedrock:*']", "all six parts"),
        (
            "allowed_model_ids: ['*:inference-profile/*']",
            "matches no model ID",
        ),
        (
            "targets: {a: {model_id: x.y, guardrail: {identifier: a, version: 1}, defaults: {guardrail: {identifier: a, version: 1}}}}",
            "either `guardrail` or `defaults.guardrail`",
        ),
        (
            "guardrail: {enforced: true}",
            "guardrail.identifier: required",
        ),
        ("project: a.b", "`a.b` is not a project: use its ID"),
        ("project: {}", "project: has no entry"),
        (
            "project: {us-east-1: a, nowhere: b}",
            "`nowhere` is not a place",
        ),
        ("projects: ['a b']", "`a b` matches no project"),
        (
            "project: {us-east-1: 'arn:aws:bedrock:us-west-2:123456789012:project/a'}",
            "is in us-west-2, but its key is `us-east-1`",
        ),
        (
            "targets: {a: {model_id: 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x', project: b}}",
            "targets.a.project: target `a`, arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x: \
             an application inference profile cannot be called with the project `b`",
        ),
        (
            "{project: b, targets: {a: {model_id: 'arn:aws:bedrock:us-east-1:123456789012:provisioned-model/x'}}}",
            "targets.a.project: target `a`",
        ),
        (
            "targets: {a: {model_id: x.y, regions: [us-east-1, us-west-2], project: {us-east-1: b}}}",
            "target `a`, x.y: no project is set for us-west-2",
        ),
        (
            "targets: {a: {model_id: x.y, region: us-west-2, project: 'arn:aws:bedrock:us-east-1:123456789012:project/b'}}",
            "is in us-east-1, not in us-west-2",
        ),
        (
            "{accounts: {r: {role_arn: 'arn:aws:iam::111122223333:role/x'}}, targets: {a: {model_id: x.y, region: us-east-1, account: r, \
             project: 'arn:aws:bedrock:us-east-1:123456789012:project/b'}}}",
            "does not belong to the AWS account `r`",
        ),
        (
            "targets: {a: {model_id: x.y, project: {r/us-east-1: b}}}",
            "unknown account `r`; use a name of `accounts`",
        ),
        (
            "{callers: {c: {project: b}}, targets: {a: {model_id: x.y, fallback: z}, \
             z: {model_id: 'arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/x'}}}",
            "callers.c.project: target `z`",
        ),
        (
            "{groups: {g: {project: b}}, targets: {z: {model_id: 'arn:aws:bedrock:us-east-1:123456789012:imported-model/x'}}}",
            "groups.g.project: target `z`",
        ),
        (
            "targets: {a: {model_id: eu.x.y, region: us-east-1, only: [eu]}}",
            "eu.x.y is called in us-east-1, outside of only: [eu]",
        ),
    ] {
        let (code, _, message) = check(text);
        assert_eq!(code, Some(64), "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    }
}

#[test]
fn a_project_is_checked_only_with_the_targets_of_a_caller() {
    let application = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x";
    for more in [
        "callers: {c: {project: b, targets: [a]}}",
        "groups: {g: {targets: [a]}}\ncallers: {c: {project: b, groups: [g]}}",
        "callers: {c: {project: default}}",
    ] {
        let text = format!(
            "targets:\n  a: {{model_id: x.y}}\n  z: {{model_id: '{application}'}}\n{more}\n"
        );
        let (code, _, message) = check(&text);
        assert_eq!(code, Some(0), "{text}: {message}");
    }
    let (code, _, message) = check(&format!(
        "project: b\ntargets: {{a: {{model_id: x.y}}, z: {{model_id: '{application}', project: default}}}}\n"
    ));
    assert_eq!(code, Some(0), "{message}");
}

#[test]
fn the_values_of_the_chart_are_checked_as_the_config_that_they_hold() {
    let good =
        "image: {repository: x}\nconfig: {targets: {a: {model_id: amazon.nova-lite-v1:0}}}\n";
    let (code, out, error) = check_all(&[("values.yaml", good)]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("values.yaml: ok; 1 aliases"), "{out}");

    // A problem is reported with its line in the values file.
    let wrong = "replicaCount: 2\nconfig:\n  limits:\n    idel: 1m\n";
    let (code, _, error) = check_all(&[("values.yaml", wrong)]);
    assert_eq!(code, Some(64));
    assert!(error.contains("values.yaml:4:5: limits.idel: "), "{error}");

    // Values without a configuration use the chart's.
    assert_eq!(check_all(&[("values.yaml", "config:\n")]).0, Some(0));
    // Keys without a value remove those of other values files. In a configuration, they are wrong.
    let target = "{model_id: amazon.nova-lite-v1:0, guardrail: }";
    for (name, text, expected) in [
        (
            "values.yaml",
            format!("config: {{limits: , targets: {{a: {target}}}}}\n"),
            0,
        ),
        ("config.yaml", format!("targets: {{a: {target}}}\n"), 64),
    ] {
        assert_eq!(check_all(&[(name, &text)]).0, Some(expected), "{text}");
    }
}

#[test]
fn a_keys_file_of_the_pod_is_not_expected_on_this_machine() {
    let config = "{callers: {app: {}}, access: {keys_file: /etc/bedrock-grpc/secrets/keys.yaml}}";
    let (code, out, error) = check_all(&[("values.yaml", &format!("config: {config}\n"))]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("1 callers"), "{out}");

    // A configuration file is checked with it.
    let (code, _, error) = check(config);
    assert_eq!(code, Some(64));
    assert!(error.contains("keys.yaml"), "{error}");
}

/// `check` reads the TLS files as the gateway does when it starts.
#[test]
fn the_files_of_tls_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made = |days: std::ops::Range<i64>| {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = time::OffsetDateTime::now_utc();
        params.not_before = now + time::Duration::days(days.start);
        params.not_after = now + time::Duration::days(days.end);
        let key = rcgen::KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let (certificate, key) = made(-1..1);
    let (expired, key_of_expired) = made(-2..-1);
    let (early, key_of_early) = made(1..2);
    let good = write("good.crt", &certificate);
    let good_key = write("good.key", &key);
    let config = |certificate: &str, key: &str, more: &str| {
        format!("tls: {{certificate_file: {certificate}, key_file: {key}{more}}}\n")
    };
    let (code, out, error) = check(&config(&good, &good_key, ""));
    assert_eq!((code, error.as_str()), (Some(0), ""), "{out}");

    for (certificate, key, words) in [
        (expired, key_of_expired, "expired at "),
        (early, key_of_early, "is not valid before "),
    ] {
        let (certificate, key) = (write("other.crt", &certificate), write("other.key", &key));
        let (code, _, error) = check(&config(&certificate, &key, ""));
        assert_eq!(code, Some(0), "{error}");
        assert!(
            error.contains("tls.certificate_file: the certificate in "),
            "{error}"
        );
        assert!(
            error.contains(words) && error.contains(&certificate),
            "{error}"
        );
    }

    // Authorities of clients are reported before they expire.
    let days = |range| write("ca.crt", &made(range).0);
    for (range, words) in [
        (-9..-8, " expired at "),
        (-9..6, " expires at "),
        (-9..8, ""),
    ] {
        let clients = format!(", client_ca_file: {}", days(range));
        let (code, _, error) = check(&config(&good, &good_key, &clients));
        assert_eq!(code, Some(0), "{error}");
        assert!(error.contains(words), "{error}");
        let key = "tls.client_ca_file: the certificate of the authority `";
        assert_eq!(error.contains(key), !words.is_empty(), "{error}");
    }

    let other_key = write("other.key", &made(-1..1).1);
    let (code, _, error) = check(&config(&good, &other_key, ""));
    assert_eq!(code, Some(64));
    assert!(
        error.contains("is not the key of the certificate"),
        "{error}"
    );

    // All problems are reported, even those of other files.
    let broken = write("broken.pem", "no PEM");
    let more = format!(
        ", client_ca_file: {broken}}}\ncallers: {{a: {{}}}}\naccess: {{keys_file: /nonexistent/keys.yaml"
    );
    let (code, _, error) = check(&config(&broken, &broken, &more));
    assert_eq!(code, Some(64));
    for key in [
        "tls.certificate_file: ",
        "tls.key_file: ",
        "tls.client_ca_file: ",
        "keys.yaml",
    ] {
        assert!(error.contains(key), "{key}: {error}");
    }

    // The files of a pod need not exist on this machine.
    let missing = config("/nonexistent/tls.crt", "/nonexistent/tls.key", "");
    assert_eq!(check(&missing).0, Some(64));
    assert_eq!(
        check_all(&[("values.yaml", &format!("config: {{{}}}\n", missing.trim()))]).0,
        Some(0)
    );
}

#[test]
fn every_file_is_checked() {
    let files = [
        ("wrong.yaml", "workers: 0\n"),
        ("good.yaml", "workers: 1\n"),
        ("other.yaml", "wrokers: 1\n"),
    ];
    let (code, out, error) = check_all(&files);
    assert_eq!(code, Some(64));
    assert!(out.contains("good.yaml: ok"), "{out}");
    assert!(error.contains("wrong.yaml:1:10: workers"), "{error}");
    assert!(error.contains("other.yaml:1:1: wrokers"), "{error}");
}

#[test]
fn it_says_who_can_make_calls() {
    let target = "targets: {a: {model_id: 'amazon.nova-lite-v1:0'}}";
    let key = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let caller = format!("callers: {{a: {{keys: [{{sha256: {key}}}]}}}}");
    let issuer = "access: {jwt: [{issuer: 'https://a.example', audiences: [b], unlisted: {groups: [c]}}]}\ngroups: {c: {}}";
    for (text, expected, warning) in [
        ("", "no callers: every client may make calls", ""),
        (&caller, "1 callers\n", ""),
        (issuer, "0 callers\n", ""),
        (
            &format!("{caller}\naccess: {{required: false}}"),
            "1 callers, and calls without a credential are accepted",
            "",
        ),
        ("callers: {a: {}}", "1 callers\n", "no caller has a key"),
    ] {
        let (code, out, err) = check(&format!("{target}\n{text}"));
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains(expected), "{out}");
        assert!(err.contains(warning), "{err}");
        assert_eq!(err.is_empty(), warning.is_empty(), "{err}");
    }
}

/// Valid settings that cannot work are reported with their lines and what to do.
#[test]
fn settings_that_cannot_work_are_reported_with_their_lines() {
    let target = "targets: {a: {model_id: amazon.nova-lite-v1:0}}\n";
    for (text, expected) in [
        (
            "limits:\n  memory: 1B\n",
            "2:11: limits.memory: must be at least 100KB, got 1B",
        ),
        (
            "limits:\n  max_request_size: 1B\n",
            "2:21: limits.max_request_size: must be at least 1KB, got 1B",
        ),
        (
            "listen: 127.0.0.1:80\nadmin:\n  listen: :80\n",
            "3:3: admin.listen: 0.0.0.0:80 is already used by `listen` (127.0.0.1:80); choose another port",
        ),
        (
            "listen: :9090\n",
            "admin.listen: 0.0.0.0:9090 is already used by `listen` (0.0.0.0:9090)",
        ),
        (
            "limits:\n  drain_for_usage:\n    tokens: 7\n",
            "3:5: limits.drain_for_usage: has no effect without `on_cancel: drain_for_usage`; add that",
        ),
        (
            "targets:\n  a:\n    model_id: x.y\n    regions: []\n",
            "3:5: targets.a.regions: is an empty list; name at least one Region",
        ),
        (
            "targets:\n  a:\n    routes:\n      - {model_id: x.y, accounts: []}\n",
            "4:9: targets.a.routes[0].accounts: is an empty list; name at least one of `accounts`",
        ),
    ] {
        let (code, _, error) = check(text);
        assert_eq!(code, Some(64), "{text}: {error}");
        assert!(error.contains(expected), "{text}: {error}");
        assert_eq!(error.lines().count(), 1, "{text}: {error}");
    }
    for text in [
        "listen: 127.0.0.1:80\nadmin: {listen: '127.0.0.2:80'}\n",
        "listen: 127.0.0.1:0\nadmin: {listen: '127.0.0.1:0'}\n",
        "limits: {on_cancel: abort, drain_for_usage: {tokens: 7}}\n",
    ] {
        let (code, _, error) = check(&format!("{target}{text}"));
        assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
    }
    let callers = "callers:\n  x.y:\n    keys: [{sha256: \
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}]\n    methods: [Invoke, StreamInvokeModel]\n";
    let memory = "limits:\n  max_request_size: 16MiB\n  memory: 8MiB\n";
    for (text, expected) in [
        (
            format!("{target}{callers}"),
            "config.yaml:5:5: callers.x.y.methods: every call of StreamInvokeModel will be refused, because no target has `invoke_model: true`",
        ),
        (
            format!("{target}groups:\n  g:\n    methods: [InvokeModel]\n"),
            "config.yaml:4:5: groups.g.methods: every call of InvokeModel will be refused",
        ),
        (
            format!("{target}{memory}"),
            "config.yaml:4:3: limits.memory: requests of the maximum size (16777216 bytes) will be refused",
        ),
    ] {
        let (code, out, warned) = check(&text);
        assert_eq!(code, Some(0), "{text}: {warned}");
        assert!(out.contains("ok"), "{out}");
        assert!(warned.contains(expected), "{text}: {warned}");
        assert_eq!(warned.lines().count(), 1, "{text}: {warned}");
    }
    let native = callers.to_owned()
        + "targets: {a: {model_id: amazon.nova-lite-v1:0, invoke_model: true}}\n";
    assert_eq!(check(&native).2, "");
}

#[test]
fn a_file_in_another_encoding_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, b"targets: {caf\xe9: {model_id: x.y}}\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
        .arg("check")
        .arg(&path)
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = "is not text in UTF-8; save the file in this encoding";
    assert!(error.contains(expected), "{error}");
}

/// A mistake in a file has the same exit code, whether it is found before the start or by it.
#[test]
fn serve_ends_with_the_code_of_check() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let base = "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\n\
                targets: {a: {model_id: amazon.nova-lite-v1:0}}\ncallers: {b: {}}\n";
    let broken = write("broken", "not: [a");
    for (more, part) in [
        (format!("access: {{keys_file: {broken}}}"), "broken"),
        (
            "access: {keys_file: /nonexistent/keys}".to_owned(),
            "/nonexistent/keys",
        ),
        (
            format!("access: {{keys_file: {}}}", write("keys", "c: []\n")),
            "not in `callers`",
        ),
        (
            format!("tls: {{certificate_file: {broken}, key_file: {broken}}}"),
            "tls.certificate_file",
        ),
        (
            format!(
                "access: {{jwt: [{{issuer: 'https://a.example', audiences: [b], jwks_file: {broken}}}]}}"
            ),
            "broken",
        ),
        ("workers: 0".to_owned(), "workers"),
    ] {
        let config = write("config.yaml", &format!("{base}{more}\n"));
        let (code, _, error) = check(&format!("{base}{more}\n"));
        assert_eq!(code, Some(64), "{more}: {error}");
        let served = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
            .args(["serve", "--config", &config])
            .env_clear()
            .env("AWS_REGION", "us-east-1")
            .output()
            .unwrap();
        let error = String::from_utf8(served.stderr).unwrap();
        assert_eq!(served.status.code(), Some(64), "{more}: {error}");
        assert!(error.contains(part), "{more}: {error}");
    }
}
