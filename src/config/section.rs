//! Reads a map of the YAML tree key by key, and collects all problems.

use std::{cell::RefCell, collections::BTreeMap};

use super::{
    problem::{ConfigLocation, Problem},
    reference::{Part, parts},
    value_files::{NoValue, ValueFiles, files_of},
    yaml::{Key, Node, Value},
};

/// Returns the value of an environment variable that `${NAME}` refers to.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The state that all sections of a configuration share.
pub(super) struct Reading<'a> {
    problems: RefCell<Vec<Problem>>,
    environment: Environment<'a>,
    files: &'a ValueFiles,
}

impl<'a> Reading<'a> {
    pub(super) fn new(environment: Environment<'a>, files: &'a ValueFiles) -> Self {
        Self {
            problems: RefCell::default(),
            environment,
            files,
        }
    }

    pub(super) fn report(
        &self,
        key: impl Into<String>,
        place: ConfigLocation,
        message: impl Into<String>,
    ) {
        self.problems
            .borrow_mut()
            .push(Problem::new(key, place, message));
    }

    /// Returns all problems, in the order of their positions in the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        for problem in &mut problems {
            problem.message = self.files.hide_in(&problem.message);
        }
        problems.sort_by_key(|problem| (problem.place.line, problem.place.column));
        problems
    }
}

/// The message for a key without a value. A file that is only half-written can end with such a key,
/// and a template can leave one behind. If it counted as absent, a restriction could get lost.
const NO_VALUE: &str = "has no value; write one, or remove the line";
/// The message for such a key if its value must be a map.
const NO_KEYS: &str = "has no value; write its keys below it, indented, or remove the line";
/// The message for a name without a value, such as that of a caller.
const NO_SETTINGS: &str =
    "has no value; write its keys below it, indented, or `{}` if it needs none";

/// A map whose keys are read one by one. Keys that have not been read at the end are unknown and
/// are reported.
pub(super) struct Section<'a> {
    path: String,
    place: ConfigLocation,
    entries: Vec<(Key, Node)>,
    known: Vec<&'static str>,
    /// Those of the known keys whose value is a map.
    maps: Vec<&'static str>,
    /// The keys that were present and have been read.
    taken: Vec<&'static str>,
    reading: &'a Reading<'a>,
}

impl<'a> Section<'a> {
    /// Creates the section of a node. The section is empty if the value is absent. If the value is
    /// not a map, this is reported as a problem.
    pub(super) fn of(path: impl Into<String>, node: Node, reading: &'a Reading<'a>) -> Self {
        let path = path.into();
        let entries = match node.value {
            Value::Map(entries) => entries,
            // The key is absent, or has no value, which has been reported.
            Value::Null => Vec::new(),
            other => {
                reading.report(
                    &path,
                    node.place,
                    format!("expected a map with one key per line, got {}", other.kind()),
                );
                Vec::new()
            }
        };
        Self {
            path,
            place: node.place,
            entries,
            known: Vec::new(),
            maps: Vec::new(),
            taken: Vec::new(),
            reading,
        }
    }

    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        let index = self.entries.iter().position(|(k, _)| k.name == key)?;
        let (Key { place, .. }, node) = self.entries.remove(index);
        self.taken.push(key);
        if matches!(node.value, Value::Null) {
            let message = match self.maps.contains(&key) {
                true => NO_KEYS,
                false => NO_VALUE,
            };
            self.reading.report(self.path(key), place, message);
            return None;
        }
        Some(node)
    }

    /// Returns whether a key is present and has not been read.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(k, _)| k.name == key)
    }

    /// Returns whether the value of a key that has not been read is a map.
    pub(super) fn has_map(&self, key: &str) -> bool {
        let entry = self.entries.iter().find(|(k, _)| k.name == key);
        entry.is_some_and(|(_, node)| matches!(node.value, Value::Map(_)))
    }

    /// Adds keys that are valid in this section but are read elsewhere, so that errors can suggest
    /// them.
    pub(super) fn know(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Returns whether a key was present. The key must have been read before.
    pub(super) fn has_had(&self, key: &str) -> bool {
        self.taken.contains(&key)
    }

    /// Returns the section under a key. If the key is absent, the section is empty.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        self.maps.push(key);
        let node = self.take(key).unwrap_or(Node {
            value: Value::Null,
            place: self.place,
        });
        Section::of(self.path(key), node, self.reading)
    }

    /// Returns the section under a key, if the key is present.
    pub(super) fn optional_section(&mut self, key: &'static str) -> Option<Section<'a>> {
        self.maps.push(key);
        let node = self.take(key)?;
        Some(Section::of(self.path(key), node, self.reading))
    }

    /// Returns the sections under a key whose value is a map, each with its name.
    pub(super) fn named_sections(&mut self, key: &'static str) -> Vec<(Key, Section<'a>)> {
        self.maps.push(key);
        let path = self.path(key);
        let Some(node) = self.take(key) else {
            return Vec::new();
        };
        let names = Section::of(&path, node, self.reading);
        names
            .entries
            .into_iter()
            .filter_map(|(key, node)| {
                let path = format!("{path}.{}", key.name);
                if matches!(node.value, Value::Null) {
                    self.reading.report(path, key.place, NO_SETTINGS);
                    return None;
                }
                let section = Section::of(path, node, self.reading);
                Some((key, section))
            })
            .collect()
    }

    /// Returns the sections in the list under a key, if the key is present.
    pub(super) fn list_of_sections(&mut self, key: &'static str) -> Option<Vec<Section<'a>>> {
        let node = self.take(key)?;
        let path = self.path(key);
        let Value::List(items) = node.value else {
            let message = format!("expected a list, got {}", node.value.kind());
            self.reading.report(path, node.place, message);
            return Some(Vec::new());
        };
        let sections = items.into_iter().enumerate();
        Some(
            sections
                .filter_map(|(i, item)| {
                    let path = format!("{path}[{i}]");
                    if matches!(item.value, Value::Null) {
                        self.reading.report(path, item.place, NO_SETTINGS);
                        return None;
                    }
                    Some(Section::of(path, item, self.reading))
                })
                .collect(),
        )
    }

    /// Returns the map under a key. The two functions parse keys and values, and their errors must
    /// say what to write instead.
    pub(super) fn map<V>(
        &mut self,
        key: &'static str,
        read_key: impl Fn(&str) -> Result<String, String>,
        read_value: impl Fn(&str) -> Result<V, String>,
    ) -> BTreeMap<String, V> {
        let path = self.path(key);
        let Some(node) = self.take(key) else {
            return BTreeMap::new();
        };
        let mut map = BTreeMap::new();
        for (key, node) in Section::of(&path, node, self.reading).entries {
            let path = format!("{path}.{}", key.name);
            let value = self.scalar(&path, node, &read_value);
            match read_key(&key.name) {
                Ok(key) => map.extend(value.map(|value| (key, value))),
                Err(message) => self.reading.report(path, key.place, message),
            }
        }
        map
    }

    /// Returns the value under a key. `read` parses it, and its errors must say what to write
    /// instead.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.take(key)?;
        let path = self.path(key);
        self.scalar(&path, node, &read)
    }

    /// Returns the path of a file under a key. A path cannot be read from another file with
    /// `${file:…}`, because errors show paths and the content of such a file is secret.
    pub(super) fn path_value<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.take(key)?;
        let path = self.path(key);
        if let Value::Scalar(text) = &node.value
            && !files_of(text).is_empty()
        {
            let message = "a path cannot be read from a file, because errors show it; \
                write the path itself, or ${NAME}";
            self.reading.report(path, node.place, message);
            return None;
        }
        self.scalar(&path, node, &read)
    }

    /// Returns the value of an environment variable. An empty variable is treated as absent, as the
    /// specifications of these variables require.
    pub(super) fn variable<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = (self.reading.environment)(name).filter(|text| !text.trim().is_empty())?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.reading
                    .report(name, ConfigLocation::default(), message);
                None
            }
        }
    }

    /// Returns the list under a key. `read` parses each item. `None` if the key is absent, or if no
    /// item is valid, which has been reported.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let node = self.take(key)?;
        let path = self.path(key);
        let Value::List(items) = node.value else {
            self.reading.report(
                path,
                node.place,
                format!("expected a list such as [a, b], got {}", node.value.kind()),
            );
            return None;
        };
        let is_empty = items.is_empty();
        let items = items.into_iter().enumerate();
        let valid: Vec<_> = items
            .filter_map(|(i, item)| self.scalar(&format!("{path}[{i}]"), item, &read))
            .collect();
        (is_empty || !valid.is_empty()).then_some(valid)
    }

    fn scalar<T>(
        &self,
        path: &str,
        node: Node,
        read: &impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = match node.value {
            Value::Scalar(text) => text,
            Value::Null => {
                self.reading.report(path, node.place, NO_VALUE);
                return None;
            }
            other => {
                let message = format!("expected a single value, got {}", other.kind());
                self.reading.report(path, node.place, message);
                return None;
            }
        };
        let message = match expand(&text, self.reading) {
            Ok(expanded) => match read(&expanded.text) {
                Ok(value) => return Some(value),
                // The message can contain the value or a part of it, so it is not shown.
                Err(_) if expanded.is_secret => format!(
                    "the value with the content of {} is not valid for this key; correct the file",
                    files_of(&text)
                        .iter()
                        .map(|path| path.display().to_string())
                        .collect::<Vec<_>>()
                        .join(" and ")
                ),
                Err(message) => message,
            },
            Err(NoValue::Wrong(message)) => message,
            Err(NoValue::Elsewhere) => return None,
        };
        self.reading.report(path, node.place, message);
        None
    }

    /// Reports a problem of a key, or of the whole section if `key` is empty.
    pub(super) fn report(&self, key: &str, message: impl Into<String>) {
        let path = if key.is_empty() {
            self.path.clone()
        } else {
            self.path(key)
        };
        self.reading.report(path, self.place, message);
    }

    /// Reports the keys that were not read, each with the most similar known key.
    pub(super) fn finish(self) {
        for (key, node) in &self.entries {
            // A key for the same kind of value is more likely to be meant.
            let is_map = matches!(node.value, Value::Map(_));
            let known = self.known.iter().copied();
            let of_kind = known
                .clone()
                .filter(|key| self.maps.contains(key) == is_map);
            let near = nearest(&key.name, of_kind).or_else(|| nearest(&key.name, known));
            let hint = near.map_or_else(
                || {
                    let mut known = self.known.clone();
                    known.sort_unstable();
                    format!("known keys: {}", known.join(", "))
                },
                |name| format!("did you mean `{name}`?"),
            );
            self.reading.report(
                self.path(&key.name),
                key.place,
                format!("unknown key; {hint}"),
            );
        }
    }
}

/// A value in which references are replaced.
struct Expanded {
    text: String,
    /// Whether a part of the text was read from a file.
    is_secret: bool,
}

/// Replaces `${NAME}` by the value of the environment variable, `${NAME:-default}` by the value or
/// the default, and `${file:/path}` by the content of the file. `$${` is a literal `${`.
fn expand(text: &str, reading: &Reading<'_>) -> Result<Expanded, NoValue> {
    let mut expanded = Expanded {
        text: String::new(),
        is_secret: false,
    };
    for part in parts(text).map_err(NoValue::Wrong)? {
        match part {
            Part::Text(text) => expanded.text.push_str(text),
            Part::Variable { name, default } => {
                let value = (reading.environment)(name)
                    .or_else(|| default.map(str::to_owned))
                    .ok_or_else(|| NoValue::Wrong(format!("the environment variable {name} is not set; set it, or give a default: ${{{name}:-default}}")))?;
                expanded.text.push_str(&value);
            }
            Part::File(path) => {
                let value = reading.files.get(path).map_err(|wrong| match wrong {
                    NoValue::Wrong(what) => {
                        NoValue::Wrong(format!("the file {} {what}", path.display()))
                    }
                    NoValue::Elsewhere => NoValue::Elsewhere,
                })?;
                expanded.text.push_str(value);
                expanded.is_secret = true;
            }
        }
    }
    Ok(expanded)
}

/// Returns the candidate that is most similar to a name. `None` if every candidate differs from the
/// name in more than a third of its letters.
///
/// A candidate is not compared if the lengths differ too much, so that a long name does not cost
/// much time.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    candidates
        .filter_map(|candidate| {
            let its_length = candidate.chars().count();
            let most = its_length.max(3) / 3;
            // Each additional or missing letter counts as a difference.
            let comparable = length.abs_diff(its_length) <= most;
            let distance = comparable.then(|| distance(name, candidate))?;
            (distance <= most).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the number of letters that must be inserted, removed, replaced or swapped with their
/// neighbour to turn one word into the other (the optimal string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // A row contains the distances between the part of `a` that has been processed and each prefix
    // of `b`.
    let mut two_before = Vec::new();
    let mut before: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = before[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(before[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(two_before[j - 2] + 1);
            }
            row.push(least);
        }
        two_before = std::mem::replace(&mut before, row);
    }
    before[b.len()]
}
