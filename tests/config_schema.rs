//! The schema of the configuration agrees with the readers: it has the same keys, bounds, values
//! and defaults.

use bedrock_grpc::config::{Config, Problem, SCHEMA, needs_restart, weakened};
use serde_json::{Map, Value, json};

/// Similar to no existing key, so that the message lists all known keys.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";

/// A place in a configuration: a path of keys, with `[]` for the item of a list, and the schema of
/// the value.
struct Place {
    path: Vec<String>,
    schema: Map<String, Value>,
}

impl Place {
    /// Returns a configuration with only a value at this place, and the other keys that the readers
    /// require.
    fn holding(&self, value: Value) -> String {
        self.with(Some(value))
    }

    /// Returns the same configuration without a value at this place.
    fn empty(&self) -> String {
        self.with(None)
    }

    fn with(&self, value: Option<Value>) -> String {
        let is_empty = value.is_none();
        let mut inner = value;
        let mut config = inner.clone().unwrap_or_else(|| json!({}));
        for (depth, key) in self.path.iter().enumerate().rev() {
            config = match (key.as_str(), inner) {
                ("[]", Some(inner)) => json!([inner]),
                ("[]", None) => json!([]),
                (key, Some(inner)) => json!({key: inner}),
                (_, None) => json!({}),
            };
            let place: Vec<_> = self.path[..depth].iter().map(String::as_str).collect();
            let leaf = self
                .path
                .last()
                .filter(|_| is_empty && depth + 1 == self.path.len());
            for (key, value) in needed(&place) {
                if leaf == Some(&key) {
                    continue;
                }
                if let Some(map) = config.as_object_mut()
                    && !map.contains_key("routes")
                {
                    map.entry(key).or_insert(value);
                }
            }
            inner = Some(config.clone());
        }
        // A caller's list is valid only if it is within the list for all callers.
        if matches!(
            self.path.first().map(String::as_str),
            Some("callers" | "groups")
        ) && let Some(map) = config.as_object_mut()
        {
            map.insert("allowed_model_ids".to_owned(), json!(["m"]));
        }
        if let Some(map) = config.as_object_mut() {
            match self.path.first().map(String::as_str) {
                // The restrictions of a group without callers protect nothing.
                Some("groups") => {
                    map.insert(
                        "callers".to_owned(),
                        json!({"member": {"groups": ["name"]}}),
                    );
                }
                // The two addresses must differ.
                Some("admin") => {
                    map.insert("listen".to_owned(), json!("127.0.0.1:2"));
                }
                _ => {}
            }
        }
        config.to_string()
    }

    /// Returns the place in the spelling of problems.
    fn key(&self) -> String {
        self.path.join(".").replace(".[]", "[0]")
    }

    /// Returns the problems at this place or below.
    fn problems(&self, value: Value) -> Vec<Problem> {
        let mut problems = parse(&self.holding(value)).err().unwrap_or_default();
        problems.retain(|problem| problem.key.starts_with(&self.key()));
        problems
    }
}

/// Returns the required keys of a map, and keys without which the default of another key does not
/// apply.
fn needed(place: &[&str]) -> Vec<(String, Value)> {
    let pairs: &[(&str, &str)] = match place {
        ["targets", _] | ["targets", _, "routes", "[]"] => &[("model_id", "amazon.nova-lite-v1:0")],
        ["targets", _, "defaults", "guardrail"] => &[("identifier", "gr-1"), ("version", "1")],
        ["callers", _, "keys", "[]"] => &[(
            "sha256",
            "0000000000000000000000000000000000000000000000000000000000000000",
        )],
        ["prices", "[]"] => &[("models", "[m]"), ("input", "1"), ("output", "1")],
        ["prices", "[]", "service_tiers", _] | ["prices", "[]", "optimized_latency"] => {
            &[("input", "1"), ("output", "1")]
        }
        ["prices", "[]", "image_tiers", "[]"] => &[("max_side", "1024"), ("per_image", "1")],
        ["guardrail_prices"] => &[
            ("topic", "1"),
            ("content", "1"),
            ("content_image", "1"),
            ("sensitive_information", "1"),
            ("contextual_grounding", "1"),
            ("automated_reasoning", "1"),
        ],
        ["access", "jwt", "[]"] => &[("issuer", "https://a.example"), ("audiences", "[m]")],
        ["access", "kubernetes"] => &[("audience", "m")],
        ["accounts", _] => &[("role_arn", "arn:aws:iam::123456789012:role/x")],
        ["limits"] => &[("store", "rediss://a"), ("on_cancel", "drain_for_usage")],
        ["limits", "store"] => &[("url", "rediss://a")],
        ["tls"] => &[
            ("certificate_file", "a"),
            ("key_file", "b"),
            ("client_ca_file", "c"),
        ],
        _ => &[],
    };
    let pair = |(key, value): &(&str, &str)| {
        let value = match *value {
            "[m]" => json!(["m"]),
            value => json!(value),
        };
        ((*key).to_owned(), value)
    };
    pairs.iter().map(pair).collect()
}

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    Config::parse(text, &|name| {
        Some(name.to_lowercase()).filter(|name| name == "set")
    })
}

/// Returns a schema in which references are replaced by what they refer to.
fn resolved(schema: &Value, root: &Value) -> Map<String, Value> {
    let mut members = schema.as_object().cloned().unwrap_or_default();
    if let Some(Value::String(reference)) = members.remove("$ref") {
        let pointer = reference.trim_start_matches('#');
        if let Some(target) = root.pointer(pointer) {
            for (key, value) in resolved(target, root) {
                members.entry(key).or_insert(value);
            }
        }
        members.insert("$name".to_owned(), json!(pointer));
    }
    members
}

/// Returns all places of a configuration.
fn places() -> Vec<Place> {
    fn collect(path: Vec<String>, schema: &Value, root: &Value, places: &mut Vec<Place>) {
        let schema = resolved(schema, root);
        let below = |key: &str| path.iter().cloned().chain([key.to_owned()]).collect();
        for (key, member) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            collect(below(key), member, root, places);
        }
        if let Some(item) = schema.get("items") {
            collect(below("[]"), item, root, places);
        }
        if let Some(named @ Value::Object(_)) = schema.get("additionalProperties") {
            let of_region = json!({"$ref": "#/$defs/region"});
            let name = match schema.get("propertyNames") {
                Some(names) if *names == of_region => "eu-west-1",
                _ => "name",
            };
            collect(below(name), named, root, places);
        }
        places.push(Place { path, schema });
    }
    let root: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    let mut places = Vec::new();
    collect(Vec::new(), &root, &root, &mut places);
    places
}

/// Returns values that the schema allows, and values that it refuses. They are derived from the
/// schema's bounds and enums. For texts with a pattern, they are listed here.
fn examples(schema: &Map<String, Value>) -> (Vec<Value>, Vec<Value>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let name = schema
        .get("$name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let (right, wrong): (&[&str], &[&str]) = match name {
        "/$defs/text" => (&["a", "7", "true"], &[]),
        "/$defs/boolean" => (&["true", "false"], &["yes", "1"]),
        "/$defs/duration" => (
            &["0", "1s", "250ms", "10m", "2h"],
            &["10", "1.5s", "-1s", "1 s", "1d", "soon"],
        ),
        "/$defs/heartbeat" => (&["0", "1s", "1500ms", "1m"], &["999ms", "10", "1.5s"]),
        "/$defs/coalesce" => (
            &["0", "1s", "50ms", "1000ms"],
            &["1001ms", "2s", "10", "0.5s"],
        ),
        "/$defs/collector" => (
            &["http://a:4317", "https://a.example/"],
            &["a:4317", "http://a/v1/traces", "grpc://a"],
        ),
        "/$defs/model" => (&["amazon.nova-lite-v1:0", "arn:aws:x"], &["nova"]),
        "/$defs/positive_duration" => (
            &["1s", "250ms", "10m", "2h"],
            &["0", "0s", "10", "1.5s", "1d"],
        ),
        "/$defs/size" => (
            &["512B", "1KB", "256KiB", "32MiB", "1GB"],
            &["1", "1kb", "1.5MiB", "1TB"],
        ),
        "/$defs/request_size" => (
            &["1000B", "1KB", "256KiB", "32MiB", "1GB"],
            &["999B", "0KiB", "1", "1kb", "1.5MiB"],
        ),
        "/$defs/memory" => (
            &["100000B", "100KB", "256KiB", "32MiB", "1GB"],
            &["99999B", "1B", "97KiB", "0MiB", "1", "1.5MiB"],
        ),
        "/$defs/address" => (
            &["127.0.0.1:1", ":50051", "[::]:50051"],
            &["127.0.0.1", "localhost:1", "::1", ":x"],
        ),
        "/$defs/url" => (
            &["http://a", "https://a.example:1/b"],
            &["a.example", "ftp://a", "https://"],
        ),
        "/$defs/secure_url" => (
            &[
                "https://a.example:1/b",
                "http://127.0.0.1:1/b",
                "http://localhost",
            ],
            &["a.example", "http://a", "ftp://a", "https://"],
        ),
        "/$defs/redis_url" => (
            &["redis://a", "rediss://a.example:1/2", "valkey://b"],
            &["a.example:1", "http://a", "redis://"],
        ),
        "/$defs/alias_pattern" => (&["*"], &["a.b", "a:b", "a/b", ""]),
        "/$defs/deployment" => (&["a", "a-b_c.d:e/f"], &["a b", "a{b"]),
        "/$defs/store_timeout" => (
            &["1ms", "50ms", "5000ms", "5s"],
            &["0", "0ms", "5001ms", "6s", "50", "soon"],
        ),
        "/$defs/refresh" => (&["1s", "10m", "24h"], &["0", "10", "999ms", "25h", "soon"]),
        "/$defs/service_account" => (
            &["apps/chat", "apps/*"],
            &[
                "apps",
                "*/*",
                "*/chat",
                "apps/",
                "apps/a/b",
                "Apps/chat",
                "apps/ch*",
            ],
        ),
        "/$defs/certificate" => (
            &["spiffe://a.example/b", "spiffe://a.example/*", "a.example"],
            &[
                "spiffe://*",
                "*.example",
                "a example",
                "spiffe://a/*/b",
                "a/b",
            ],
        ),
        "/$defs/region" => (
            &["us-east-1", "us-gov-west-1"],
            &["us-east", "US-EAST-1", "eu", "us-east-1a"],
        ),
        "/$defs/role_arn" => (
            &["arn:aws:iam::123456789012:role/a/b"],
            &[
                "",
                "a",
                "arn:aws:iam::1:role/a",
                "arn:aws:iam::123456789012:user/a",
            ],
        ),
        "/$defs/external_id" => (&["ab", "a:b/c", "12"], &["", "a", "a b"]),
        "/$defs/session_name" => (&["ab", "a@b"], &["", "a", "a:b"]),
        "/$defs/session_duration" => (&["15m", "1h", "12h"], &["899s", "13h", "1", "0"]),
        "/$defs/tag" => (&["a", "team 7", ""], &["a*b"]),
        "/$defs/sha256" => (
            &["00000000000000000000000000000000000000000000000000000000deadBEEF"],
            &[
                "",
                "deadbeef",
                "bgrpc_0",
                "0000000000000000000000000000000000000000000000000000000000000g00",
            ],
        ),
        "/$defs/usd" => (
            &["0.000000001", "12.50", "1000000"],
            &["0", "-1", "1,5", "1000000.01", "1.0000000001", "$5"],
        ),
        "/$defs/time" => (
            &[
                "2027-01-31",
                "2027-01-31T12:00:00Z",
                "2027-01-31T12:00:00.5+02:00",
            ],
            &["31.1.2027", "tomorrow", "2027-02-30", "2027-01-31T12:00:00"],
        ),
        "/$defs/project" | "/$defs/project_identifier" => (
            &[
                "a",
                "default",
                "7",
                "arn:aws:bedrock:us-east-1:123456789012:project/a_B-9",
            ],
            &[
                "",
                "a.b",
                "a b",
                "arn:aws:bedrock:us-east-1:1:project/a",
                "arn:aws:bedrock:us-east-1:123456789012:prompt/a",
            ],
        ),
        "/$defs/project_pattern" => (
            &[
                "*",
                "a",
                "team-*",
                "arn:aws:bedrock:*:123456789012:project/*",
            ],
            &["", "a b", "a.b", "arn:aws:bedrock:*"],
        ),
        "/$defs/place" => (&["us-east-1", "eu", "global"], &["EU", "us-east-1a", "e u"]),
        _ => (&[], &[]),
    };
    good.extend(right.iter().map(|text| json!(text)));
    bad.extend(wrong.iter().map(|text| json!(text)));
    for choice in schema
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(words) = choice.get("enum").and_then(Value::as_array) {
            good.extend(words.iter().cloned());
            bad.push(json!("none-of-these"));
        }
        let bound = |name| choice.get(name).and_then(Value::as_i64);
        if let (Some(least), Some(most)) = (bound("minimum"), bound("maximum")) {
            good.extend([json!(least), json!(most)]);
            bad.extend([json!(least - 1), json!(most + 1)]);
        }
    }
    (good, bad)
}

#[test]
fn the_schema_has_the_keys_that_the_readers_know() {
    let mut maps = 0;
    for place in places() {
        let Some(properties) = place.schema.get("properties").and_then(Value::as_object) else {
            continue;
        };
        maps += 1;
        assert_eq!(
            place.schema["additionalProperties"],
            json!(false),
            "{}",
            place.key()
        );
        let problems = place.problems(json!({UNKNOWN: 1}));
        let told = problems
            .iter()
            .find_map(|problem| problem.message.split_once("known keys: "))
            .unwrap_or_else(|| panic!("{}: {problems:?}", place.key()));
        let mut keys: Vec<_> = properties.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(told.1, keys.join(", "), "{}", place.key());
    }
    assert!(maps >= 15, "{maps}");
}

/// Returns whether a value is wrong only in combination with other keys.
fn is_of_several_keys(problem: &Problem) -> bool {
    [
        "max_deadline",
        "unknown target",
        "unknown group",
        "unknown account",
        "needs limits.store",
        "needs a password",
        "needs `access.kubernetes`",
        "needs `issuer`",
        "needs `tls.client_ca_file`",
        "cannot be discovered",
        "every call would be refused",
        "needs `prices`",
        "needs `per_image`",
    ]
    .iter()
    .any(|words| problem.message.contains(words))
}

#[test]
fn the_readers_take_what_the_schema_allows_and_nothing_else() {
    let mut tried = 0;
    for place in places() {
        let (good, bad) = examples(&place.schema);
        tried += good.len() + bad.len();
        for value in good {
            // Problems of combinations of keys are not compared here.
            let mut problems = place.problems(value.clone());
            problems.retain(|problem| !is_of_several_keys(problem));
            assert_eq!(problems, [], "{}: {value}", place.key());
        }
        for value in bad {
            // The readers also accept numbers in quotes, but no other wrong value.
            let problems = place.problems(value.clone());
            assert!(!problems.is_empty(), "{}: {value} was taken", place.key());
        }
    }
    assert!(tried > 200, "{tried}");
}

/// A half-written file can end with a key that has no value.
#[test]
fn a_key_without_a_value_is_a_mistake_everywhere() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for place in places().into_iter().filter(|place| !place.path.is_empty()) {
        tried += 1;
        let problems = place.problems(Value::Null);
        let [problem] = &problems[..] else {
            wrong.push(format!("{}: {problems:?}", place.key()));
            continue;
        };
        assert!(problem.message.starts_with("has no value; "), "{problem:?}");
        assert!(problem.place.line > 0 && problem.place.column > 0);
        let kinds = place.schema.get("type");
        assert!(!kinds.is_some_and(|kinds| kinds.to_string().contains("null")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried > 150, "{tried}");
}

#[test]
fn values_from_the_environment_are_allowed_where_the_schema_allows_them() {
    for place in places() {
        if place.schema.get("$name") == Some(&json!("/$defs/text")) {
            let mut problems = place.problems(json!("${SET}"));
            problems.retain(|problem| !is_of_several_keys(problem));
            assert_eq!(problems, [], "{}", place.key());
        }
    }
}

#[test]
fn defaults_are_those_of_the_readers() {
    let mut defaults = 0;
    for place in places() {
        let Some(default) = place.schema.get("default") else {
            continue;
        };
        defaults += 1;
        let with = parse(&place.holding(default.clone())).unwrap();
        let without = parse(&place.empty()).unwrap();
        assert_eq!(with, without, "{}: {default}", place.key());
    }
    assert!(defaults >= 30, "{defaults}");
}

/// The keys whose change replaces the chart's pods.
const CHART: &str = include_str!("../helm/bedrock-grpc/files/restart-keys.json");

#[test]
fn the_chart_replaces_pods_for_the_keys_that_need_a_restart_and_for_no_others() {
    let chart: Vec<String> = serde_json::from_str(CHART).unwrap();
    let (mut needed, mut compared) = (Vec::new(), 0);
    for place in places() {
        let path = place.path.join(".");
        let owner = chart
            .iter()
            .find(|key| path == **key || path.starts_with(&format!("{key}.")));
        let (good, _) = examples(&place.schema);
        let texts = good.into_iter().map(|value| place.holding(value));
        let texts = [place.empty()].into_iter().chain(texts);
        let configs: Vec<_> = texts.filter_map(|text| parse(&text).ok()).collect();
        for pair in configs.windows(2).filter(|pair| pair[0] != pair[1]) {
            compared += 1;
            let restart = needs_restart(&pair[0], &pair[1]);
            assert_eq!(owner.is_some(), !restart.is_empty(), "{path}: {restart:?}");
            needed.extend(owner);
        }
    }
    assert!(compared > 200, "{compared}");
    for key in &chart {
        assert!(needed.contains(&key), "no change of {key} was compared");
    }
}

/// The keys that a reload can remove without `allow_weaker`, and why. A key that ends in a dot is
/// the prefix of other keys.
const HARMLESS: &[(&str, &str)] = &[
    ("listen", "an address"),
    ("admin.", "an address"),
    ("workers", "a size of the process"),
    ("playground", "the page is not served without it"),
    ("allow_weaker", "the default refuses more"),
    ("tls.client_auth", "the default is that it is required"),
    ("bedrock.", "connections to AWS"),
    (
        "accounts.name.external_id",
        "AWS refuses the role without it",
    ),
    ("accounts.name.session_name", "a default applies"),
    ("accounts.name.session_duration", "a default applies"),
    ("accounts.name.sts_region", "a default applies"),
    ("accounts.name.endpoints.", "connections to AWS"),
    ("targets.name.description", "a text"),
    (
        "targets.name.region",
        "the place of a route, which the fence restricts",
    ),
    (
        "targets.name.routes.",
        "the place of a route, which the fence restricts",
    ),
    (
        "targets.name.invoke_model",
        "the method is not allowed without it",
    ),
    (
        "targets.name.body_format",
        "bodies to which a setting cannot be applied are refused without it",
    ),
    (
        "targets.name.limits.max_deadline",
        "the limit of all targets applies",
    ),
    (
        "targets.name.limits.first_event",
        "the limit of all targets applies",
    ),
    (
        "targets.name.limits.idle",
        "the limit of all targets applies",
    ),
    (
        "targets.name.limits.max_attempts",
        "the limit of all targets applies",
    ),
    (
        "targets.name.limits.coalesce",
        "callers can choose it anyway",
    ),
    (
        "access.open_reflection",
        "reflection is not open without it",
    ),
    ("access.failures_per_minute", "a default applies"),
    (
        "access.jwt.[].jwks_url",
        "the keys are those that the issuer publishes",
    ),
    (
        "access.jwt.[].jwks_file",
        "the keys are those that the issuer publishes",
    ),
    ("access.jwt.[].ca_file", "a default applies"),
    ("access.jwt.[].refresh", "a default applies"),
    ("access.jwt.[].caller_claim", "a default applies"),
    (
        "access.kubernetes.",
        "without a group, the keys say who is accepted",
    ),
    ("groups.name.description", "a text"),
    ("prices.", "without prices, limits of money are mistakes"),
    (
        "guardrail_prices.",
        "without them, a limit of money refuses ApplyGuardrail",
    ),
    ("estimates.", "a default applies"),
    ("discovery.", "a default applies"),
    ("limits.store.", "where counts are"),
    ("limits.on_store_failure", "a default applies"),
    ("limits.replicas", "the gateway warns"),
    ("limits.", "a default applies"),
    ("drain.", "a default applies"),
    ("log.", "a default applies"),
    ("traces.", "observation"),
    ("usage_records.", "observation"),
];

/// A default that callers can replace.
fn is_default(path: &str) -> bool {
    path.contains(".defaults.") && !path.contains(".guardrail")
}

/// Every key either protects, or there is a reason why it need not.
#[test]
fn a_reload_refuses_to_remove_every_key_that_restricts() {
    let mut harmless = std::collections::BTreeSet::new();
    let (mut protects, mut missing) = (0, Vec::new());
    for place in places() {
        let path = place.path.join(".");
        let (good, _) = examples(&place.schema);
        if good.is_empty() {
            continue;
        }
        // An empty list allows nothing.
        if path.ends_with("[]") {
            continue;
        }
        let Ok(without) = parse(&place.empty()) else {
            continue;
        };
        let with: Vec<_> = good
            .into_iter()
            .filter_map(|value| parse(&place.holding(value)).ok())
            .filter(|with| *with != without)
            .collect();
        if with.is_empty() {
            continue;
        }
        let refused = |with: &Config| !weakened(with, &without).is_empty();
        if with.iter().any(refused) {
            protects += 1;
            continue;
        }
        if is_default(&path) || path.contains("guardrail.") {
            continue;
        }
        let reason = HARMLESS
            .iter()
            .find(|(key, _)| path == *key || key.ends_with('.') && path.starts_with(key));
        let Some(reason) = reason else {
            missing.push(path);
            continue;
        };
        harmless.insert(reason.0);
    }
    assert!(
        missing.is_empty(),
        "add them to src/config/weaker/protection.rs, or say why they are harmless: {missing:?}"
    );
    assert!(protects >= 25, "{protects}");
    let unused: Vec<_> = HARMLESS
        .iter()
        .filter(|(key, _)| !harmless.contains(key))
        .collect();
    assert!(unused.is_empty(), "no key needs these reasons: {unused:?}");
}
