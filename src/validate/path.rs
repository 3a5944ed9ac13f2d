//! Collects violations, and tracks the path of the field that is being checked.

use std::fmt;

use super::raw_pointers::RawPointers;
pub use crate::error::MAX_VIOLATIONS;
use crate::{
    bounds::Stop,
    error::{Violation, ViolationList},
    pb,
};

/// How many items are checked before `stop` is checked again.
const ITEMS_BETWEEN_LOOKS: usize = 256;
/// The maximum number of characters of a caller's value that a description shows.
const SHOWN_CHARS: usize = 64;
/// The maximum number of steps in a path. The longest path in the protos has 9 steps: a chunk of a
/// document in a tool result.
const MAX_DEPTH: usize = 16;
/// The path of the last violation, which says how many violations are not listed. Only `input`
/// contains lists, so only `input` can have so many.
const REST: &str = "input";

/// One step of a path.
#[derive(Clone, Copy)]
enum Step {
    Field(&'static str),
    Item(&'static str, usize),
}

impl Step {
    /// Appends the step to a JSON Pointer. The names are those of Bedrock's JSON, which are the
    /// proto's names in camel case.
    fn append_to(self, pointer: &mut String) {
        let (Self::Field(name) | Self::Item(name, _)) = self;
        let name = match name {
            // JSON has no member for these messages, only the list that they contain.
            "blocks" => "",
            // These fields are alternatives of one member.
            "input_json" | "input_struct" => "input",
            "json_struct" => "json",
            "format_name" => "format",
            "type_name" => "type",
            "ttl_name" => "ttl",
            "latency_name" => "latency",
            "effort_name" => "effort",
            "trace_name" => "trace",
            "stream_processing_mode_name" => "stream_processing_mode",
            "additional_model_request_fields_json" | "additional_model_request_fields_struct" => {
                "additional_model_request_fields"
            }
            name => name,
        };
        if !name.is_empty() {
            pointer.push('/');
        }
        let mut after_underscore = false;
        for c in name.chars() {
            match c {
                '_' => after_underscore = true,
                c if after_underscore => {
                    after_underscore = false;
                    pointer.push(c.to_ascii_uppercase());
                }
                c => pointer.push(c),
            }
        }
        if let Self::Item(_, index) = self {
            pointer.push_str(&format!("/{index}"));
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => f.write_str(name),
            Self::Item(name, index) => write!(f, "{name}[{index}]"),
        }
    }
}

/// The violations of one request, and the path from the request to the field that is being checked.
///
/// Allocates nothing while there are no violations.
pub struct Violations {
    steps: [Step; MAX_DEPTH],
    depth: usize,
    /// The raw members of the request, which may provide fields that are missing.
    raw: RawPointers,
    found: ViolationList,
    stop: Stop,
}

impl Default for Violations {
    fn default() -> Self {
        Self::new()
    }
}

impl Violations {
    /// Creates an empty list. The current path is that of the request.
    pub const fn new() -> Self {
        Self {
            steps: [Step::Field(""); MAX_DEPTH],
            depth: 0,
            raw: RawPointers::new(),
            found: ViolationList::new(),
            stop: Stop::never(),
        }
    }

    /// Creates an empty list. The current path is that of the request. Checks end early once `stop`
    /// is set.
    pub(crate) fn until(stop: Stop) -> Self {
        Self {
            stop,
            ..Self::new()
        }
    }

    /// Returns the flag that is set when the result is no longer needed.
    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Runs a check on a field of the message at the current path.
    pub fn field(&mut self, name: &'static str, check: impl FnOnce(&mut Self)) {
        self.step(Step::Field(name), check);
    }

    /// Runs a check on every item of a repeated field of the message at the current path.
    pub fn items<'a, T>(
        &mut self,
        name: &'static str,
        items: &'a [T],
        mut check: impl FnMut(&'a T, &mut Self),
    ) {
        for (index, item) in items.iter().enumerate() {
            if index % ITEMS_BETWEEN_LOOKS == ITEMS_BETWEEN_LOOKS - 1 && self.stop.is_set() {
                return;
            }
            self.step(Step::Item(name, index), |out| check(item, out));
        }
    }

    /// Adds a violation of the field or message at the current path. The description says what is
    /// wrong and what to do.
    pub fn add(&mut self, description: impl fmt::Display) {
        self.push(None, &description);
    }

    /// Sets the raw members of the input, which may provide fields that are missing.
    pub fn expect_raw(&mut self, members: &[pb::RawMember]) {
        self.raw = RawPointers::of(members);
    }

    /// Adds a violation: the field or message at the current path is missing or empty. Adds none if
    /// a raw member is at this path or below.
    pub fn missing(&mut self, description: impl fmt::Display) {
        if !self.is_raw_here() {
            self.add(description);
        }
    }

    /// Adds a violation: a field of the message at the current path is missing or empty. Adds none
    /// if a raw member is at the field's path or below.
    pub fn missing_at(&mut self, field: &'static str, description: impl fmt::Display) {
        self.field(field, |out| out.missing(description));
    }

    /// Adds a violation: a list field of the message at the current path has no items. Adds none if
    /// a raw member is the list or one of its items.
    pub fn no_items_at(&mut self, field: &'static str, description: impl fmt::Display) {
        self.field(field, |out| {
            if out.raw.is_empty() || !out.raw.has_list_or_item(&out.pointer()) {
                out.add(description);
            }
        });
    }

    /// Adds a violation: an entry of a map field of the message at the current path is empty. Adds
    /// none if a raw member is at the entry's path or below.
    pub fn missing_at_key(
        &mut self,
        field: &'static str,
        key: &str,
        description: impl fmt::Display,
    ) {
        self.field(field, |out| {
            let step = key.replace('~', "~0").replace('/', "~1");
            if out.raw.is_empty()
                || !out
                    .raw
                    .has_at_or_below(&format!("{}/{step}", out.pointer()))
            {
                out.push(Some(key), &description);
            }
        });
    }

    /// Returns whether a raw member is at the current path or below it.
    pub fn is_raw_here(&self) -> bool {
        !self.raw.is_empty() && self.raw.has_at_or_below(&self.pointer())
    }

    /// Returns the current path as a JSON Pointer with the names of Bedrock's JSON.
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        // The pointers of raw members begin at the input, so the first step is left out.
        for step in self.steps.iter().take(self.depth).skip(1) {
            step.append_to(&mut pointer);
        }
        pointer
    }

    /// Adds a violation of a field of the message at the current path.
    pub fn add_at(&mut self, field: &'static str, description: impl fmt::Display) {
        self.field(field, |out| out.add(description));
    }

    /// Adds a violation of the entry of a map field of the message at the current path.
    pub fn add_at_key(&mut self, field: &'static str, key: &str, description: impl fmt::Display) {
        self.field(field, |out| out.push(Some(key), &description));
    }

    /// Returns whether there are no violations.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns how many of the violations will be listed.
    pub(crate) fn listed(&self) -> usize {
        self.found.listed()
    }

    /// Returns the result of the checks.
    ///
    /// # Errors
    /// Returns the violations in the order in which they were found, at most [`MAX_VIOLATIONS`]. If
    /// there are more, the last one says how many are not listed.
    pub fn finish(self) -> Result<(), Vec<Violation>> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(self.found.finish(REST))
        }
    }

    fn step(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        if let Some(slot) = self.steps.get_mut(self.depth) {
            *slot = step;
        }
        self.depth += 1;
        check(self);
        self.depth -= 1;
    }

    fn push(&mut self, key: Option<&str>, description: &dyn fmt::Display) {
        let Self {
            steps,
            depth,
            found,
            ..
        } = self;
        found.add(|| {
            let mut field = String::new();
            for step in steps.iter().take(*depth) {
                if !field.is_empty() {
                    field.push('.');
                }
                field.push_str(&step.to_string());
            }
            if let Some(key) = key {
                field.push_str(&format!("[{}]", Shown(key)));
            }
            Violation {
                field,
                description: description.to_string(),
            }
        });
    }
}

/// A caller's value in a description. It is quoted, escaped and shortened, so that errors do not
/// contain whole prompts.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars();
        f.write_str("\"")?;
        for c in rest.by_ref().take(SHOWN_CHARS) {
            write!(f, "{}", c.escape_debug())?;
        }
        f.write_str(if rest.next().is_some() { "…\"" } else { "\"" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_in_the_protos_terms() {
        let mut out = Violations::new();
        out.field("input", |out| {
            out.items("messages", &[1, 2], |item, out| {
                if *item == 2 {
                    out.add_at("role", "wrong");
                    out.add_at_key("map", "a\"\n", "wrong");
                }
            });
        });
        let found = out.finish().unwrap_err();
        assert_eq!(found[0].field, "input.messages[1].role");
        assert_eq!(found[1].field, r#"input.messages[1].map["a\"\n"]"#);
    }

    #[test]
    fn a_path_that_is_too_deep_is_cut_and_comes_back() {
        fn dive(depth: usize, out: &mut Violations) {
            if depth > 0 {
                out.field("a", |out| dive(depth - 1, out));
            } else {
                out.add("deep");
            }
        }
        let mut out = Violations::new();
        dive(40, &mut out);
        out.add_at("b", "shallow");
        let found = out.finish().unwrap_err();
        assert_eq!(found[0].field, ["a"; MAX_DEPTH].join("."));
        assert_eq!(found[1].field, "b");
    }

    #[test]
    fn the_list_is_bounded_and_counts_the_rest() {
        for (count, listed) in [(1, 1), (49, 49), (50, 50), (51, 50), (1000, 50)] {
            let mut out = Violations::new();
            for n in 0..count {
                out.add_at("x", format_args!("wrong {n}"));
            }
            let found = out.finish().unwrap_err();
            assert_eq!(found.len(), listed);
            if count > MAX_VIOLATIONS {
                assert_eq!(
                    found[49].description,
                    format!(
                        "violates {} more rules, which are not listed here",
                        count - MAX_VIOLATIONS + 1
                    )
                );
            }
        }
    }

    #[test]
    fn values_are_shown_short_and_escaped() {
        assert_eq!(Shown("a\u{1b}[31m\n").to_string(), r#""a\u{1b}[31m\n""#);
        assert_eq!(
            Shown(&"é".repeat(65)).to_string(),
            format!("\"{}…\"", "é".repeat(64))
        );
        assert_eq!(
            Shown(&"x".repeat(64)).to_string(),
            format!("\"{}\"", "x".repeat(64))
        );
    }
}
