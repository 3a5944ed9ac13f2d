//! Finds the keys in which two configurations differ. The values are compared but never returned,
//! because they can be secrets.

use std::{collections::BTreeSet, path::Path};

use super::{
    ConfigFile,
    value_files::files_of,
    yaml::{self, Node, Value},
};

/// Returns the paths of the keys that differ between two configurations, such as
/// `targets.claude.model_id`. If only one of them has a map under a key, only the path of the map
/// is returned. If a value refers to a file whose content differs, the path is returned together
/// with the file. A text that is not valid YAML counts as a configuration without keys.
pub fn changed_keys(old: &ConfigFile, new: &ConfigFile) -> Vec<String> {
    let (old_tree, new_tree) = (tree(&old.text), tree(&new.text));
    let mut keys = changed_in_text(&old_tree, &new_tree);
    of_files("", &new_tree, &mut |key, path| {
        // If the reference itself is new, its key was already reported.
        let is_old = old.values.paths().any(|other| other == path);
        if is_old && new.values.differ_in(&old.values, path) {
            keys.push(format!("{key} (content of {})", path.display()));
        }
    });
    keys
}

fn tree(text: &str) -> Value {
    yaml::parse(text).map_or(Value::Null, |node| node.value)
}

fn changed_in_text(old: &Value, new: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    compare("", old, new, &mut keys);
    keys
}

/// Calls `note` with each key whose value refers to a file, and that file.
fn of_files(key: &str, value: &Value, note: &mut dyn FnMut(&str, &Path)) {
    match value {
        Value::Null => {}
        Value::Scalar(text) => files_of(text).iter().for_each(|path| note(key, path)),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                of_files(&format!("{key}[{index}]"), &item.value, note);
            }
        }
        Value::Map(entries) => {
            for (name, node) in entries {
                let key = match key {
                    "" => name.name.clone(),
                    key => format!("{key}.{}", name.name),
                };
                of_files(&key, &node.value, note);
            }
        }
    }
}

fn compare(path: &str, old: &Value, new: &Value, keys: &mut Vec<String>) {
    let (old, new) = match (old, new) {
        (Value::Map(old), Value::Map(new)) => (old, new),
        (old, new) if is_same(old, new) => return,
        // One of the configurations is empty: every top-level key of the other one has changed.
        (Value::Null, Value::Map(only)) | (Value::Map(only), Value::Null) if path.is_empty() => {
            keys.extend(only.iter().map(|(key, _)| key.name.clone()));
            return;
        }
        _ => {
            keys.push(path.to_owned());
            return;
        }
    };
    let names = old.iter().chain(new).map(|(key, _)| key.name.as_str());
    for name in names.collect::<BTreeSet<_>>() {
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        match (find(old, name), find(new, name)) {
            (Some(old), Some(new)) => compare(&path, old, new, keys),
            _ => keys.push(path),
        }
    }
}

fn find<'a>(map: &'a [(yaml::Key, Node)], name: &str) -> Option<&'a Value> {
    let found = map.iter().find(|(key, _)| key.name == name);
    found.map(|(_, node)| &node.value)
}

fn is_same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar(old), Value::Scalar(new)) => old == new,
        (Value::List(old), Value::List(new)) => {
            old.len() == new.len()
                && old
                    .iter()
                    .zip(new)
                    .all(|(old, new)| is_same(&old.value, &new.value))
        }
        (Value::Map(_), Value::Map(_)) => {
            let mut keys = Vec::new();
            compare("x", old, new, &mut keys);
            keys.is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_are_named_by_their_paths() {
        let old = "a: {b: 1, c: [1, {d: 2}]}\ne: 3\nf: {g: 4}\n";
        for (new, expected) in [
            (old, &[][..]),
            ("f: {g: 4}\ne: 3\na: {c: [1, {d: 2}], b: 1}\n# x\n", &[]),
            ("a: {b: 2, c: [1, {d: 2}]}\ne: 3\nf: {g: 4}\n", &["a.b"]),
            ("a: {b: 1, c: [1, {d: 3}]}\nf: {g: 4}\n", &["a.c", "e"]),
            ("a: {b: 1, c: [1, {d: 2}]}\ne: 3\nh: 5\n", &["f", "h"]),
            ("", &["a", "e", "f"]),
        ] {
            let (old, new) = (tree(old), tree(new));
            assert_eq!(changed_in_text(&old, &new), expected, "{new:?}");
            assert_eq!(changed_in_text(&new, &old), expected, "{new:?}");
        }
    }
}
