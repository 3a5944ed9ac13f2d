//! The configuration with its defaults and the keys of the keys file, with secrets masked.

use serde_json::{Map, Value as Json, json};

use super::{Config, ConfigFile, KeysByCaller, LimitsStore, SCHEMA, default_budget, masked};

/// The prefix of every reference in the schema.
const DEFS: &str = "#/$defs/";

/// What can be added to the configuration only while the gateway runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// The source Region that the AWS SDK has found.
    pub region: Option<&'a str>,
    /// The keys of the keys file.
    pub keys: Option<&'a KeysByCaller>,
}

/// Returns the configuration of a file as JSON. Keys that the file does not set have their
/// defaults, and the keys of the keys file are added to their callers. Secrets are masked.
/// References such as `${NAME}` are not replaced.
pub fn effective(file: Option<&ConfigFile>, config: &Config, found: Found<'_>) -> Json {
    let written = file.map(masked::masked);
    let mut whole = match written {
        Some(Json::Object(entries)) => entries,
        _ => Map::new(),
    };
    // A test checks that the schema is valid JSON, so the default is never used.
    let schema: Json = serde_json::from_str(SCHEMA).unwrap_or_default();
    fill(&schema, &schema, &mut whole);
    // Without a remote store, `on_store_failure` has no effect, and a configuration that sets it is
    // refused. So it is not shown.
    if !matches!(config.access.store, LimitsStore::Redis(_))
        && let Some(limits) = section_of(&mut whole, "limits")
    {
        limits.remove("on_store_failure");
    }
    for (section, key, value) in of_machine(config, found) {
        if let Some(section) = section_of(&mut whole, section)
            && section.get(key).is_none_or(Json::is_null)
        {
            section.insert(key.to_owned(), value);
        }
    }
    for (caller, keys) in found.keys.into_iter().flatten() {
        add_keys(&mut whole, caller, keys);
    }
    Json::Object(whole)
}

/// Returns the defaults that depend on the machine, its environment or other keys. Each consists of
/// a section, a key and its value.
fn of_machine(
    config: &Config,
    found: Found<'_>,
) -> impl Iterator<Item = (&'static str, &'static str, Json)> {
    let masked = |key: &str, url: &Option<String>| {
        url.as_deref().map(|url| masked::mask(&[key], url).into())
    };
    let store = match config.access.store {
        LimitsStore::Unset | LimitsStore::Memory => Some("memory".into()),
        LimitsStore::Redis(_) => None,
    };
    let memory = config.limits.memory.unwrap_or_else(default_budget);
    let memory = format!("{}KiB", memory >> 10);
    let endpoint = masked("otlp_endpoint", &config.traces.otlp_endpoint);
    let records = masked("otlp_endpoint", &config.usage_records.otlp_endpoint);
    [
        ("", "workers", Some(config.server.workers.into())),
        ("access", "required", Some(config.access.required.into())),
        ("bedrock", "region", found.region.map(Json::from)),
        ("limits", "memory", Some(memory.into())),
        ("limits", "store", store),
        ("traces", "otlp_endpoint", endpoint),
        ("usage_records", "otlp_endpoint", records),
    ]
    .into_iter()
    .filter_map(|(section, key, value)| Some((section, key, value?)))
}

/// Returns the section with this name, and creates it if it is absent. An empty name means the
/// whole configuration.
fn section_of<'a>(
    whole: &'a mut Map<String, Json>,
    name: &str,
) -> Option<&'a mut Map<String, Json>> {
    if name.is_empty() {
        return Some(whole);
    }
    let section = whole.entry(name).or_insert(Json::Null);
    if section.is_null() {
        *section = Json::Object(Map::new());
    }
    section.as_object_mut()
}

/// Adds keys of the keys file to the keys of a caller.
fn add_keys(whole: &mut Map<String, Json>, caller: &str, keys: &[super::ApiKey]) {
    let Some(callers) = section_of(whole, "callers") else {
        return;
    };
    let Some(caller) = section_of(callers, caller) else {
        return;
    };
    let listed = caller.entry("keys").or_insert(Json::Null);
    if listed.is_null() {
        *listed = json!([]);
    }
    let Some(listed) = listed.as_array_mut() else {
        return;
    };
    listed.extend(keys.iter().map(|key| {
        let mut shown = json!({"sha256": masked::MASK, "of_keys_file": true});
        if let Some(time) = key.expiry() {
            shown["not_after"] = time.into();
        }
        shown
    }));
}

/// Adds the defaults of a section and of its subsections.
fn fill(schema: &Json, section: &Json, entries: &mut Map<String, Json>) {
    let none = Map::new();
    let known = section["properties"].as_object().unwrap_or(&none);
    for (name, property) in known {
        let resolved = resolved(schema, property);
        let value = entries.get_mut(name).filter(|value| !value.is_null());
        if let Some(value) = value {
            fill_value(schema, resolved, value);
        } else if let Some(default) = property.get("default") {
            entries.insert(name.clone(), default.clone());
        } else if resolved.get("required").is_none() && resolved["properties"].is_object() {
            // A section with required keys, such as `tls`, has an effect only if the configuration
            // contains it, so its defaults are not added.
            let mut below = Map::new();
            fill(schema, resolved, &mut below);
            if !below.is_empty() {
                entries.insert(name.clone(), Json::Object(below));
            }
        }
    }
    let of_others = &section["additionalProperties"];
    if of_others.is_object() {
        let resolved = resolved(schema, of_others);
        let others = entries.iter_mut();
        for (_, value) in others.filter(|(name, _)| !known.contains_key(*name)) {
            fill_value(schema, resolved, value);
        }
    }
}

fn fill_value(schema: &Json, section: &Json, value: &mut Json) {
    match value {
        Json::Object(entries) => fill(schema, section, entries),
        Json::Array(items) => {
            let of_items = resolved(schema, &section["items"]);
            items
                .iter_mut()
                .for_each(|item| fill_value(schema, of_items, item));
        }
        _ => {}
    }
}

/// Returns the part of the schema that a reference refers to. If the node is not a reference,
/// returns the node itself.
fn resolved<'a>(schema: &'a Json, node: &'a Json) -> &'a Json {
    let name = node["$ref"].as_str().and_then(|to| to.strip_prefix(DEFS));
    name.map_or(node, |name| &schema["$defs"][name])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ApiKey, ValueFiles};

    fn effective_of(text: &str, keys: &KeysByCaller) -> Json {
        let file = ConfigFile {
            path: "config.yaml".into(),
            text: text.to_owned(),
            values: ValueFiles::default(),
        };
        let config = Config::parse(text, &|_| None).unwrap();
        let found = Found {
            region: Some("eu-west-1"),
            keys: Some(keys),
        };
        effective(Some(&file), &config, found)
    }

    #[test]
    fn defaults_are_filled_in() {
        let text = "workers: 3\nbedrock: {region: '${R:-us-east-1}'}\n\
            targets: {a: {routes: [{model_id: amazon.nova-lite-v1:0}]}}\nlimits: {idle: 5s}\n";
        let whole = effective_of(text, &KeysByCaller::new());
        for (pointer, expected) in [
            ("/workers", json!(3)),
            ("/listen", json!("0.0.0.0:50051")),
            ("/admin/listen", json!("0.0.0.0:9090")),
            ("/bedrock/region", json!("${R:-us-east-1}")),
            ("/bedrock/connect_timeout", json!("3s")),
            ("/limits/idle", json!("5s")),
            ("/limits/max_attempts", json!(3)),
            ("/limits/store", json!("memory")),
            ("/access/required", json!(false)),
            ("/targets/a/routes/0/weight", json!(1)),
        ] {
            assert_eq!(whole.pointer(pointer), Some(&expected), "{pointer}");
        }
        assert_eq!(whole["limits"].get("on_store_failure"), None);
        // Sections that have an effect only if the configuration contains them.
        for absent in ["/tls", "/guardrail", "/access/kubernetes"] {
            assert_eq!(whole.pointer(absent), None, "{absent}");
        }
        let whole = effective_of("", &KeysByCaller::new());
        assert_eq!(whole["bedrock"]["region"], "eu-west-1");
    }

    /// The result can be parsed, and has the same meaning as the original configuration.
    #[test]
    fn the_effective_configuration_means_the_same() {
        for text in [
            "",
            "targets: {a: {model_id: amazon.nova-lite-v1:0}}\ncallers: {x: {}, y: {limits: {open_streams: 2}}}\n",
            "tls: {certificate_file: /a, key_file: /b, client_ca_file: /c}\ncallers: {x: {certificates: [a.example]}}\n",
        ] {
            let mut whole = effective_of(text, &KeysByCaller::new());
            let before = Config::parse(text, &|_| None).unwrap();
            let has_region = before.bedrock.region.is_some();
            assert!(!has_region);
            whole["bedrock"].as_object_mut().unwrap().remove("region");
            let mut again = Config::parse(&whole.to_string(), &|_| None).unwrap();
            again.limits.memory = None;
            again.access.store = before.access.store.clone();
            assert_eq!(again, before, "{text}");
        }
    }

    #[test]
    fn keys_of_the_keys_file_belong_to_their_callers() {
        let key = |not_after| ApiKey {
            sha256: [7; 32],
            not_after,
        };
        let time = ApiKey::read_time("2030-01-31").unwrap();
        let keys = KeysByCaller::from([
            ("a".to_owned(), vec![key(Some(time))]),
            ("b".to_owned(), vec![key(None)]),
        ]);
        let text = format!(
            "callers: {{a: {{}}, b: {{keys: [{{sha256: {}}}]}}}}",
            "0f".repeat(32)
        );
        let whole = effective_of(&text, &keys);
        assert_eq!(
            whole["callers"],
            json!({
                "a": {"keys": [
                    {"sha256": "***", "not_after": "2030-01-31T00:00:00Z", "of_keys_file": true}
                ]},
                "b": {"keys": [{"sha256": "***"}, {"sha256": "***", "of_keys_file": true}]},
            })
        );
    }
}
