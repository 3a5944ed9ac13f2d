//! The schema of the configuration as a tree that keeps the order of its keys.

use std::fmt;

use bedrock_grpc::config::SCHEMA;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// A JSON value whose members are in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Text(String),
    /// A number, a boolean or null, as text.
    Other(String),
}

impl Node {
    /// The schema of the whole configuration.
    pub(crate) fn root() -> Self {
        serde_json::from_str(SCHEMA).unwrap()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.members()
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Map(members) => members,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Other(text) => text,
            _ => "",
        }
    }

    pub(crate) fn member_text(&self, name: &str) -> &str {
        self.get(name).map_or("", Self::text)
    }

    /// The definition that `$ref` names, without `#/$defs/`.
    pub(crate) fn reference(&self) -> &str {
        self.member_text("$ref").trim_start_matches("#/$defs/")
    }

    /// The schema with the definition that it refers to in place of the reference.
    pub(crate) fn resolved<'a>(&'a self, root: &'a Self) -> &'a Self {
        match self.reference() {
            "" => self,
            name => root
                .get("$defs")
                .and_then(|definitions| definitions.get(name))
                .unwrap_or(self),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Other(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other("null".to_owned()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Node::Map(members))
    }
}

/// A key of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Such as `limits.idle` or `targets.<name>.routes[].weight`.
    pub(crate) path: String,
    /// A description of its values, for readers.
    pub(crate) value: String,
    /// The default, as it would be written. Empty if there is none, or if it depends.
    pub(crate) default: String,
    pub(crate) description: String,
}

/// All keys, in the order of the file; a section comes before its keys.
pub(crate) fn keys() -> Vec<Key> {
    let root = Node::root();
    let mut keys = Vec::new();
    collect("", &root, &root, &mut keys);
    keys
}

fn collect(path: &str, schema: &Node, root: &Node, keys: &mut Vec<Key>) {
    let resolved = schema.resolved(root);
    let below = |key: &str| match path {
        "" => key.to_owned(),
        _ => format!("{path}.{key}"),
    };
    for (key, member) in resolved.get("properties").map_or(&[][..], Node::members) {
        let path = below(key);
        let description = match member.member_text("description") {
            "" => member.resolved(root).member_text("description"),
            own => own,
        };
        keys.push(Key {
            path: path.clone(),
            value: value(member, root),
            default: default(member),
            description: description.to_owned(),
        });
        collect(&path, member, root, keys);
    }
    if let Some(item) = resolved.get("items") {
        collect(&format!("{path}[]"), item, root, keys);
    }
    if let Some(named @ Node::Map(_)) = resolved.get("additionalProperties") {
        collect(&below("<name>"), named, root, keys);
    }
}

fn default(schema: &Node) -> String {
    match schema.get("default") {
        Some(Node::List(items)) if items.is_empty() => "`[]`".to_owned(),
        Some(default) => format!("`{}`", default.text()),
        None => String::new(),
    }
}

/// Returns a description of the values that a schema allows, for readers.
fn value(schema: &Node, root: &Node) -> String {
    let resolved = schema.resolved(root);
    match schema.reference() {
        "address" => return "address".to_owned(),
        "boolean" => return "`true` or `false`".to_owned(),
        "duration" | "positive_duration" | "heartbeat" | "coalesce" | "refresh"
        | "store_timeout" => {
            return "duration".to_owned();
        }
        "size" | "request_size" | "memory" => return "size".to_owned(),
        "text" | "deployment" | "project_pattern" => return "text".to_owned(),
        "project" => return "ID or ARN, or a map with one for each Region".to_owned(),
        "usd" => return "US dollars".to_owned(),
        "sha256" => return "64 hexadecimal digits".to_owned(),
        "role_arn" => return "ARN of a role".to_owned(),
        "external_id" | "session_name" | "tag" => return "text".to_owned(),
        "session_duration" => return "duration".to_owned(),
        "time" => return "day or point in time".to_owned(),
        "region" => return "Region".to_owned(),
        "place" => return "Region or geography".to_owned(),
        "model" => return "model ID or ARN".to_owned(),
        "url" | "secure_url" | "collector" | "redis_url" => return "URL".to_owned(),
        _ => {}
    }
    for alternative in resolved.get("anyOf").map_or(&[][..], Node::items) {
        let words: Vec<_> = alternative
            .get("enum")
            .map_or(&[][..], Node::items)
            .iter()
            .map(|word| format!("`{}`", word.text()))
            .collect();
        if let Some((last, others)) = words.split_last() {
            return match others {
                [] => last.clone(),
                others => format!("{} or {last}", others.join(", ")),
            };
        }
        let number = match alternative.member_text("type") {
            "integer" => "integer",
            "number" => "number",
            _ => continue,
        };
        // A version can be written as a number, too.
        if resolved.get("anyOf").is_some_and(|all| {
            all.items()
                .iter()
                .any(|other| other.member_text("pattern").contains("DRAFT"))
        }) {
            return "text".to_owned();
        }
        let (least, most) = (
            alternative.member_text("minimum"),
            alternative.member_text("maximum"),
        );
        return format!("{number}, {least} to {most}");
    }
    if let Some(item) = resolved.get("items") {
        let of = value(item, root);
        return format!("list of {}", if of.is_empty() { "text" } else { &of });
    }
    match resolved.get("additionalProperties") {
        Some(Node::Map(_)) => "map".to_owned(),
        Some(_) => "section".to_owned(),
        None => String::new(),
    }
}
