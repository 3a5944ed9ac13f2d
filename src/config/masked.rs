//! The configuration with masked values, so that it can be shown. References such as `${NAME}` and
//! `${file:/path}` are not replaced.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{
    ConfigFile,
    reference::{Part, parts},
    value_files::ValueFiles,
    yaml::{self, Value},
};

/// The text that replaces a secret.
pub(super) const MASK: &str = "***";
/// The keys whose values are secrets, or would help to guess a secret.
const SECRET: &[&str] = &["password", "sha256", "external_id"];
/// The paths of other secrets. The user in the URL of the store is masked, too.
const SECRET_PATHS: &[&[&str]] = &[&["limits", "store", "username"]];
/// The keys whose values are maps that contain secrets.
const SECRET_MAPS: &[&str] = &["headers"];

/// Returns a configuration file, or the configuration in the values of the Helm chart, as JSON with
/// masked secrets. The result is `null` if the text is not valid YAML.
pub fn masked(file: &ConfigFile) -> Json {
    json(&[], &tree(&file.text), &|path, text| mask(path, text))
}

/// A key in which two configurations differ. Secrets are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedKey {
    /// The path of the key, such as `targets.claude.model_id`.
    pub key: String,
    /// The value in the old configuration. `None` if the key is not set.
    pub old: Option<String>,
    /// The value in the new configuration. `None` if the key is not set.
    pub new: Option<String>,
}

/// The keys and values of a configuration, for a comparison with another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskedConfig {
    /// The values, by path.
    values: BTreeMap<String, ShownValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ShownValue {
    masked: String,
    /// The value with the content of the files that it refers to. `None` if only the masked value
    /// is known.
    whole: Option<String>,
}

impl MaskedConfig {
    /// Returns the keys and values of a configuration file.
    pub fn of_file(file: &ConfigFile) -> Self {
        let tree = tree(&file.text);
        let whole = json(&[], &tree, &|_, text| whole(text, &file.values));
        let (mut masked, mut exact) = (BTreeMap::new(), BTreeMap::new());
        flatten("", &self::masked(file), &mut masked);
        flatten("", &whole, &mut exact);
        let value = |(key, masked)| {
            let whole = exact.remove(&key);
            (key, ShownValue { masked, whole })
        };
        Self {
            values: masked.into_iter().map(value).collect(),
        }
    }

    /// Returns the keys and values of JSON that [`masked`] returned in another process. The masked
    /// values themselves remain unknown.
    pub fn of_masked(masked: &Json) -> Self {
        let mut values = BTreeMap::new();
        flatten("", masked, &mut values);
        let value = |(key, masked)| {
            (
                key,
                ShownValue {
                    masked,
                    whole: None,
                },
            )
        };
        Self {
            values: values.into_iter().map(value).collect(),
        }
    }

    /// Returns the keys in which a newer configuration differs from this one, in alphabetical
    /// order.
    pub fn changes_to(&self, new: &Self) -> Vec<ChangedKey> {
        let mut changes = Vec::new();
        let keys = self.values.keys().chain(new.values.keys());
        for key in keys.collect::<std::collections::BTreeSet<_>>() {
            let (old, new) = (self.values.get(key), new.values.get(key));
            let is_same = match (old, new) {
                (Some(old), Some(new)) => match (&old.whole, &new.whole) {
                    (Some(old), Some(new)) => old == new,
                    _ => old.masked == new.masked,
                },
                _ => false,
            };
            if !is_same {
                let masked = |value: Option<&ShownValue>| value.map(|value| value.masked.clone());
                changes.push(ChangedKey {
                    key: key.clone(),
                    old: masked(old),
                    new: masked(new),
                });
            }
        }
        changes
    }

    /// Returns the keys whose values cannot be compared with those of another configuration: both
    /// configurations show the same masked value, and at least one does not contain the value
    /// itself.
    pub fn incomparable_with(&self, new: &Self) -> Vec<&str> {
        let values = self.values.iter().filter(|(key, old)| {
            let new = new.values.get(*key);
            new.is_some_and(|new| {
                (old.whole.is_none() || new.whole.is_none())
                    && old.masked == new.masked
                    && (old.masked.contains(MASK) || old.masked.contains("${file:"))
            })
        });
        values.map(|(key, _)| key.as_str()).collect()
    }
}

fn tree(text: &str) -> Value {
    yaml::parse(text).map_or(Value::Null, |tree| yaml::config_of_values(tree).0.value)
}

/// Converts a tree to JSON. `show` receives the path and the text of a scalar, and returns the text
/// to show.
fn json(path: &[&str], value: &Value, show: &dyn Fn(&[&str], &str) -> String) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Scalar(text) => typed(show(path, text)),
        Value::List(items) => {
            let items = items.iter().map(|item| json(path, &item.value, show));
            Json::Array(items.collect())
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| {
                let path: Vec<_> = path.iter().copied().chain([key.name.as_str()]).collect();
                (key.name.clone(), json(&path, &node.value, show))
            });
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// Converts a text that is a boolean or an integer to that type, because the tree contains only
/// text.
fn typed(text: String) -> Json {
    match text.as_str() {
        "true" => return Json::Bool(true),
        "false" => return Json::Bool(false),
        _ => {}
    }
    match text.parse::<i64>() {
        // Numbers in another spelling, such as `007` or `+1`, can be names and stay text.
        Ok(number) if number.to_string() == text => Json::from(number),
        _ => Json::String(text),
    }
}

/// Adds values by the paths of their keys. A list of scalars is a single value.
fn flatten(path: &str, value: &Json, values: &mut BTreeMap<String, String>) {
    match value {
        Json::Null => {}
        Json::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let path = match path {
                    "" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                flatten(&path, value, values);
            }
        }
        Json::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), item, values);
            }
        }
        Json::Object(_) if path.is_empty() => {}
        Json::String(text) => {
            values.insert(path.to_owned(), text.clone());
        }
        value => {
            values.insert(path.to_owned(), value.to_string());
        }
    }
}

/// Returns a value with the content of the files that it refers to, only for comparisons.
fn whole(text: &str, files: &ValueFiles) -> String {
    let mut whole = text.to_owned();
    for part in parts(text).unwrap_or_default() {
        if let Part::File(path) = part {
            whole.push('\0');
            whole.push_str(files.get(path).unwrap_or_default());
        }
    }
    whole
}

/// Masks a value that is a secret, or the secret parts of a value.
pub(super) fn mask(path: &[&str], text: &str) -> String {
    let is_secret = path.last().is_some_and(|key| SECRET.contains(key))
        || SECRET_PATHS.contains(&path)
        || path
            .iter()
            .rev()
            .skip(1)
            .any(|key| SECRET_MAPS.contains(key));
    if is_secret {
        return masked_text(text);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    // A password can contain `@`, so the last `@` is its end.
    let (user, server) = match rest.rsplit_once('@') {
        Some((user, server)) => (format!("{}@", masked_text(user)), server),
        None => (String::new(), rest),
    };
    let server = match server.split_once('?') {
        Some((server, query)) => format!("{server}?{}", masked_text(query)),
        None => server.to_owned(),
    };
    format!("{scheme}://{user}{server}")
}

/// Returns a text that should be a URL, for a message. Its user, password and query are masked.
pub(super) fn masked_url(text: &str) -> String {
    match text.contains("://") {
        true => mask(&[], text),
        false if text.contains(['@', '?']) => MASK.to_owned(),
        false => text.to_owned(),
    }
}

/// Masks a text, except for the references in it.
fn masked_text(text: &str) -> String {
    let Ok(parts) = parts(text) else {
        return MASK.to_owned();
    };
    let mut masked = String::new();
    for part in parts {
        match part {
            // Two texts in a row are parts of one secret.
            Part::Text(_) if masked.ends_with(MASK) => {}
            Part::Text(_) => masked.push_str(MASK),
            Part::Variable {
                name,
                default: None,
            } => masked.push_str(&format!("${{{name}}}")),
            Part::Variable { name, .. } => masked.push_str(&format!("${{{name}:-{MASK}}}")),
            Part::File(path) => masked.push_str(&format!("${{file:{}}}", path.display())),
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> ConfigFile {
        ConfigFile {
            path: "config.yaml".into(),
            text: text.to_owned(),
            values: ValueFiles::default(),
        }
    }

    #[test]
    fn secrets_are_masked() {
        for (text, expected) in [
            ("workers: 2", r#"{"workers":2}"#),
            ("playground: true", r#"{"playground":true}"#),
            ("only: [us, '007']", r#"{"only":["us","007"]}"#),
            (
                "callers: {a: {keys: [{sha256: 00ff, not_after: 2030-01-01}]}}",
                r#"{"callers":{"a":{"keys":[{"sha256":"***","not_after":"2030-01-01"}]}}}"#,
            ),
            (
                "accounts: {a: {role_arn: r, external_id: hunter2}}",
                r#"{"accounts":{"a":{"role_arn":"r","external_id":"***"}}}"#,
            ),
            (
                "limits: {store: 'rediss://user:p@ss@host:6379/1'}",
                r#"{"limits":{"store":"rediss://***@host:6379/1"}}"#,
            ),
            (
                "limits: {store: 'rediss://user:${PW:-hunter2}@host'}",
                r#"{"limits":{"store":"rediss://***${PW:-***}@host"}}"#,
            ),
            (
                "limits: {store: '${STORE:-redis://u:hunter2@host}'}",
                r#"{"limits":{"store":"${STORE:-redis://***@host}"}}"#,
            ),
            (
                "limits: {store: {url: 'redis://host', username: hunter, password: hunter2}}",
                r#"{"limits":{"store":{"url":"redis://host","username":"***","password":"***"}}}"#,
            ),
            (
                "limits: {store: {password: '${PW}'}}",
                r#"{"limits":{"store":{"password":"${PW}"}}}"#,
            ),
            (
                "traces: {headers: {authorization: 'Bearer ${file:/run/token}', x: hunter2}}",
                r#"{"traces":{"headers":{"authorization":"***${file:/run/token}","x":"***"}}}"#,
            ),
            (
                "bedrock: {endpoint_url: 'https://host/x?token=hunter2'}",
                r#"{"bedrock":{"endpoint_url":"https://host/x?***"}}"#,
            ),
            (
                "bedrock: {region: '${REGION:-us-east-1}'}",
                r#"{"bedrock":{"region":"${REGION:-us-east-1}"}}"#,
            ),
        ] {
            let expected: Json = serde_json::from_str(expected).unwrap();
            assert_eq!(masked(&file(text)), expected, "{text}");
        }
    }

    fn changes(old: &MaskedConfig, new: &MaskedConfig) -> Vec<String> {
        let changes = old.changes_to(new);
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        changes
            .into_iter()
            .map(|change| format!("{} {} {}", change.key, shown(change.old), shown(change.new)))
            .collect()
    }

    #[test]
    fn changes_are_listed_by_key() {
        let old = "workers: 2\ntargets: {a: {model_id: x, routes: [{model_id: y}]}}\nonly: [us]\n\
            callers: {a: {keys: [{sha256: aa}]}}\n";
        let new = "targets: {a: {model_id: z, routes: [{model_id: y}, {model_id: w}]}}\n\
            only: [us, eu]\ncallers: {a: {keys: [{sha256: bb}]}}\n";
        let (old, new) = (
            MaskedConfig::of_file(&file(old)),
            MaskedConfig::of_file(&file(new)),
        );
        assert_eq!(changes(&old, &old), [""; 0]);
        assert_eq!(
            changes(&old, &new),
            [
                "callers.a.keys[0].sha256 *** ***",
                "only [\"us\"] [\"us\",\"eu\"]",
                "targets.a.model_id x z",
                "targets.a.routes[1].model_id - w",
                "workers 2 -",
            ]
        );
        assert!(old.incomparable_with(&new).is_empty());
    }

    #[test]
    fn masked_values_of_another_process_cannot_be_compared() {
        let old = file("workers: 2\ncallers: {a: {keys: [{sha256: aa}]}}\n");
        let new = file("workers: 3\ncallers: {a: {keys: [{sha256: bb}]}}\n");
        let (old, new) = (
            MaskedConfig::of_masked(&masked(&old)),
            MaskedConfig::of_file(&new),
        );
        assert_eq!(changes(&old, &new), ["workers 2 3"]);
        assert_eq!(old.incomparable_with(&new), ["callers.a.keys[0].sha256"]);
    }
}
