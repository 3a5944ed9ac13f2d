//! Inserts raw members into JSON text in one pass. It builds no tree, and leaves all other bytes
//! unchanged.

use std::{borrow::Cow, collections::HashMap};

use super::json::{Reader, Syntax, ValueKind, Writer};
use crate::{error::MAX_VIOLATIONS, pb};

/// The maximum number of steps of a pointer. Without this limit, a pointer could nest JSON deeper
/// than readers accept.
const MAX_STEPS: usize = 64;

/// A raw member that could not be inserted.
pub(crate) struct Problem {
    /// The index of the raw member.
    pub(crate) index: usize,
    /// The invalid field of the raw member.
    pub(crate) field: &'static str,
    /// What is wrong, and what to do.
    pub(crate) description: String,
}

/// The raw members that could not be inserted. Beyond [`MAX_VIOLATIONS`], they are only counted.
#[derive(Default)]
pub(crate) struct Problems {
    /// The first problems, in the order of the raw members.
    pub(crate) kept: Vec<Problem>,
    pub(crate) left_out: usize,
}

impl Problems {
    /// Adds a problem. Calls `make` only if the problem is kept.
    fn add(&mut self, make: impl FnOnce() -> Problem) {
        if self.kept.len() == MAX_VIOLATIONS {
            self.left_out += 1;
        } else {
            self.kept.push(make());
        }
    }
}

/// Whether the JSON text of raw members was validated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Json {
    /// The text has not been validated, and may not be JSON.
    Unknown,
    /// The text was validated.
    Checked,
}

/// Returns `body` with the raw members inserted, one after the other. Values may be nested `depth`
/// levels deep.
pub(crate) fn merge(
    body: String,
    raw: &[pb::RawMember],
    depth: u32,
    json: Json,
) -> (String, Problems) {
    if raw.is_empty() {
        return (body, Problems::default());
    }
    let mut problems = Problems::default();
    let mut insertions = Vec::with_capacity(raw.len());
    for (index, member) in raw.iter().enumerate() {
        match Insertion::new(index, member, depth, json) {
            Ok(insertion) => insertions.push(insertion),
            Err(problem) => problems.add(|| problem),
        }
    }
    let inserted: usize = raw.iter().map(|member| member.json.len() + 16).sum();
    let mut merged = String::with_capacity(body.len() + inserted);
    write_merged(&mut merged, &body, insertions, &mut problems);
    problems.kept.sort_by_key(|problem| problem.index);
    (merged, problems)
}

/// A value to insert.
#[derive(Clone, Copy)]
struct Insertion<'m> {
    index: usize,
    json: &'m str,
    /// The remaining part of the pointer: empty, or a slash and at least one step.
    way: &'m str,
}

impl<'m> Insertion<'m> {
    fn new(
        index: usize,
        member: &'m pb::RawMember,
        depth: u32,
        known: Json,
    ) -> Result<Self, Problem> {
        let insertion = Self {
            index,
            json: &member.json,
            way: &member.pointer,
        };
        let mut json = Reader::with_limit(&member.json, depth);
        if known == Json::Unknown
            && let Err(syntax) = json.skip().and_then(|_| json.end())
        {
            return Err(Problem {
                index,
                field: "json",
                description: syntax.to_string(),
            });
        }
        if !insertion.way.starts_with('/') {
            return Err(insertion.problem("must be a JSON Pointer that begins with `/`"));
        }
        if insertion.way.matches('/').count() > MAX_STEPS {
            return Err(insertion.problem(&format!("has more than {MAX_STEPS} steps")));
        }
        let escapes = insertion.way.split('~').skip(1);
        if !escapes.into_iter().all(|rest| rest.starts_with(['0', '1'])) {
            return Err(insertion.problem("has a `~` that is not `~0` (for `~`) or `~1` (for `/`)"));
        }
        Ok(insertion)
    }

    fn has_arrived(&self) -> bool {
        self.way.is_empty()
    }

    /// Splits off the next step of the pointer. Returns the step, which is a member's name or an
    /// index, and the insertion with the remaining pointer.
    fn step(self) -> (Cow<'m, str>, Self) {
        let way = self.way.strip_prefix('/').unwrap_or_default();
        let end = way.find('/').unwrap_or(way.len());
        let (token, way) = way.split_at_checked(end).unwrap_or_default();
        let token = if token.contains('~') {
            Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(token)
        };
        (token, Self { way, ..self })
    }

    fn problem(&self, description: &str) -> Problem {
        Problem {
            index: self.index,
            field: "pointer",
            description: description.to_owned(),
        }
    }

    fn exists(&self) -> Problem {
        self.problem("is a member that the request already sets; set its field instead")
    }

    fn no_parent(&self) -> Problem {
        self.problem("has no parent in the request: each step but the last must name an existing object or array")
    }
}

/// Writes `text` with the insertions to `out`. Each byte is written once, even if values are
/// inserted into inserted values.
fn write_merged(
    out: &mut String,
    text: &str,
    insertions: Vec<Insertion<'_>>,
    problems: &mut Problems,
) {
    if insertions.is_empty() {
        out.push_str(text);
        return;
    }
    let mut walk = Walk {
        reader: Reader::with_limit(text, u32::MAX),
        text,
        written: 0,
        out,
        problems,
    };
    // The gateway wrote the text or checked it before, so the walk cannot fail. If it failed
    // anyway, the insertions that were found until then would still be valid.
    let _ = walk.value(insertions);
    walk.write_until(text.len());
}

struct Walk<'t, 'o> {
    reader: Reader<'t>,
    text: &'t str,
    /// The offset up to which `text` was written to `out`.
    written: usize,
    out: &'o mut String,
    problems: &'o mut Problems,
}

impl Walk<'_, '_> {
    /// Skips an existing value, and collects the insertions that replace it or belong inside it.
    fn value(&mut self, mut insertions: Vec<Insertion<'_>>) -> Result<(), Syntax> {
        insertions.retain(|insertion| {
            if insertion.has_arrived() {
                self.problems.add(|| insertion.exists());
            }
            !insertion.has_arrived()
        });
        let kind = self.reader.peek()?;
        match kind {
            _ if insertions.is_empty() => self.reader.skip().map(drop),
            ValueKind::Object => self.object(insertions),
            ValueKind::Array => self.array(insertions),
            _ => {
                for orphan in &insertions {
                    self.problems.add(|| orphan.no_parent());
                }
                self.reader.skip().map(drop)
            }
        }
    }

    fn object(&mut self, insertions: Vec<Insertion<'_>>) -> Result<(), Syntax> {
        let mut order = Vec::new();
        let mut by_name: HashMap<Cow<'_, str>, Vec<Insertion<'_>>> = HashMap::new();
        for insertion in insertions {
            let (name, insertion) = insertion.step();
            let same_name = by_name.entry(name.clone()).or_insert_with(|| {
                order.push(name);
                Vec::new()
            });
            same_name.push(insertion);
        }

        self.reader.enter_object()?;
        let mut first = true;
        while let Some(name) = self.reader.member(&mut first)? {
            let into = by_name.remove(&name).unwrap_or_default();
            self.value(into)?;
        }

        for name in order {
            let insertions = by_name.remove(&name).unwrap_or_default();
            let Some((value, into)) = self.new_value(insertions) else {
                continue;
            };
            self.write_separator(&mut first);
            let mut key = Writer::default();
            key.string(&name);
            self.out.push_str(&key.into_string());
            self.out.push(':');
            write_merged(self.out, value, into, self.problems);
        }
        Ok(())
    }

    fn array(&mut self, insertions: Vec<Insertion<'_>>) -> Result<(), Syntax> {
        let mut by_index: HashMap<usize, Vec<Insertion<'_>>> = HashMap::new();
        let mut steps = Vec::new();
        for insertion in insertions {
            let (token, insertion) = insertion.step();
            let index = index(&token);
            if let Some(index) = index {
                by_index.entry(index).or_default().push(insertion);
            }
            steps.push((token == "-", index, insertion));
        }

        self.reader.enter_array()?;
        let mut first = true;
        let mut count = 0;
        while self.reader.element(&mut first)? {
            let into = by_index.remove(&count).unwrap_or_default();
            self.value(into)?;
            count += 1;
        }

        // Insertions that do not belong inside an existing element are appended, in the given
        // order.
        let mut new: Vec<Vec<Insertion<'_>>> = Vec::new();
        for (append, index, insertion) in steps {
            let end = count + new.len();
            let here = if append { Some(end) } else { index };
            match here {
                Some(index) if index < count => {}
                Some(index) if index == end && insertion.has_arrived() => new.push(vec![insertion]),
                Some(index) if index < end => {
                    if let Some(element) = new.get_mut(index - count) {
                        element.push(insertion);
                    }
                }
                _ => {
                    self.problems.add(|| {
                        insertion.problem(&format!(
                            "is not an index in an array of {end} elements: use `-` or {end} to append"
                        ))
                    });
                }
            }
        }
        for insertions in new {
            if let Some((value, into)) = self.new_value(insertions) {
                self.write_separator(&mut first);
                write_merged(self.out, value, into, self.problems);
            }
        }
        Ok(())
    }

    /// Splits the insertions for one new value. Returns the JSON of that value, and the insertions
    /// into it.
    fn new_value<'m>(
        &mut self,
        insertions: Vec<Insertion<'m>>,
    ) -> Option<(&'m str, Vec<Insertion<'m>>)> {
        let mut value = None;
        let mut into = Vec::new();
        for insertion in insertions {
            match (insertion.has_arrived(), value) {
                (true, None) => value = Some(insertion.json),
                (true, Some(_)) => self.problems.add(|| insertion.exists()),
                (false, Some(_)) => into.push(insertion),
                (false, None) => self.problems.add(|| insertion.no_parent()),
            }
        }
        Some((value?, into))
    }

    /// Writes the text before the bracket that was just read, and a comma unless the container is
    /// still empty.
    fn write_separator(&mut self, empty: &mut bool) {
        self.write_until(self.reader.offset() - 1);
        if !std::mem::replace(empty, false) {
            self.out.push(',');
        }
    }

    fn write_until(&mut self, end: usize) {
        self.out
            .push_str(self.text.get(self.written..end).unwrap_or_default());
        self.written = end;
    }
}

/// Parses an array index in the format of JSON Pointers: without a sign or a leading zero.
pub(super) fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = token.len() > 1 && token.starts_with('0');
    if digits && !leading_zero {
        token.parse().ok()
    } else {
        None
    }
}
