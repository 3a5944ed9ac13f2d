//! Parses YAML into a tree in which every node has its position, so that all problems of a file can
//! be reported at once.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{
    problem::{ConfigLocation, Problem},
    yaml_error,
};

/// A node and its position.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: ConfigLocation,
}

/// The value of a node. Scalars are kept as text and parsed later.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map and its position.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) place: ConfigLocation,
}

impl Node {
    /// Returns the position of the key with this path, such as `targets.claude.model_id`, or of the
    /// innermost of its sections that the file contains. Unknown if the file contains none of them.
    pub(super) fn place_of(&self, path: &str) -> ConfigLocation {
        let (mut node, mut path, mut place) = (self, path, ConfigLocation::default());
        while let Some((key, next, rest)) = node.entry_of(path) {
            (node, place) = (next, key.place);
            match rest.strip_prefix('.') {
                Some(rest) => path = rest,
                None => break,
            }
        }
        place
    }

    /// Returns the entry with which a path begins, and the rest of the path. Names can contain
    /// dots, so the longest name that matches is used.
    fn entry_of<'a>(&self, path: &'a str) -> Option<(&Key, &Self, &'a str)> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        let matching = entries.iter().filter_map(|(key, node)| {
            let rest = path.strip_prefix(key.name.as_str())?;
            let is_whole = rest.is_empty() || rest.starts_with(['.', '[']);
            is_whole.then_some((key, node, rest))
        });
        matching.max_by_key(|(key, ..)| key.name.len())
    }
}

impl Value {
    /// Returns the kind of value, for error messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Parses a YAML document. An empty document is an empty map.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(Node {
            value: Value::Map(Vec::new()),
            place: ConfigLocation::default(),
        });
    }
    let spanned: Spanned<Value> = serde_saphyr::from_str(text).map_err(|error| {
        let place = error
            .location()
            .map_or_else(ConfigLocation::default, place_of);
        let message = yaml_error::described(error.without_snippet());
        Problem::new("", place, message)
    })?;
    Ok(node(spanned))
}

/// Returns the configuration in the values of a Helm chart, which is the map under `config`, and
/// `true`. A tree without the key `config` is itself a configuration: it is returned unchanged,
/// with `false`.
pub(super) fn config_of_values(tree: Node) -> (Node, bool) {
    if let Value::Map(entries) = &tree.value
        && let Some((_, config)) = entries.iter().find(|(key, _)| key.name == "config")
        && matches!(config.value, Value::Map(_) | Value::Null)
    {
        return (without_nulls(config.clone()), true);
    }
    (tree, false)
}

/// Returns a tree without the keys that have no value: in values files, they remove keys of other
/// values files, and the chart does not render them.
fn without_nulls(node: Node) -> Node {
    let value = match node.value {
        Value::Map(entries) => {
            let entries = entries.into_iter();
            let present = entries.filter(|(_, node)| !matches!(node.value, Value::Null));
            Value::Map(
                present
                    .map(|(key, node)| (key, without_nulls(node)))
                    .collect(),
            )
        }
        Value::List(items) => Value::List(items.into_iter().map(without_nulls).collect()),
        other => other,
    };
    Node { value, ..node }
}

fn place_of(location: serde_saphyr::Location) -> ConfigLocation {
    ConfigLocation {
        line: location.line(),
        column: location.column(),
    }
}

fn node(spanned: Spanned<Value>) -> Node {
    Node {
        place: place_of(spanned.referenced),
        value: spanned.value,
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a map")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Scalar(v.to_string()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Scalar(v.to_string()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Scalar(v.to_string()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Scalar(v.to_string()))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Scalar(v.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(node(item));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Value>>()? {
            let key = Key {
                place: place_of(key.referenced),
                name: key.value,
            };
            map.push((key, node(value)));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_path() {
        let text = "a: {b: 1}\nc:\n  d.e:\n    f: 2\n  d:\n    e: {f: 3}\nl: [1]\n";
        let tree = parse(text).unwrap();
        for (path, line) in [
            ("a.b", 1),
            ("a.x", 1),
            ("c.d.e.f", 4),
            ("c.d.e.x", 3),
            ("c.d.x", 5),
            ("c.x", 2),
            ("l[0]", 7),
            ("x.y", 0),
        ] {
            assert_eq!(tree.place_of(path).line, line, "{path}");
        }
    }
}
