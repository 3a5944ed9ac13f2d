//! Represents the position of a value in a JSON document, as a path and as a JSON Pointer.

use std::fmt::Write;

/// The position of a value in a document. It is a linked list on the stack, so that walking a
/// document allocates nothing.
#[derive(Clone, Copy)]
pub(crate) struct Position<'p> {
    parent: Option<&'p Position<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Member(&'p str),
    Index(usize),
}

impl<'p> Position<'p> {
    pub(crate) const ROOT: Self = Self {
        parent: None,
        step: Step::Root,
    };

    pub(crate) const fn member(&'p self, name: &'p str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Member(name),
        }
    }

    pub(crate) const fn index(&'p self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    /// Returns the position of the sibling member with this name.
    pub(crate) const fn sibling(&self, name: &'p str) -> Self {
        Self {
            parent: self.parent,
            step: Step::Member(name),
        }
    }

    /// Returns whether this is the position of the member `name` of the root.
    pub(crate) fn is_root_member(&self, name: &str) -> bool {
        let parent_is_root = self
            .parent
            .is_some_and(|parent| matches!(parent.step, Step::Root));
        parent_is_root && matches!(self.step, Step::Member(own) if own == name)
    }

    /// Returns the position as a JSON Pointer (RFC 6901), such as `/messages/0/role`.
    pub(crate) fn pointer(&self) -> String {
        let mut pointer = String::new();
        self.write(&mut pointer, &mut |out, step| match step {
            Step::Root => {}
            Step::Member(name) => {
                out.push('/');
                for c in name.chars() {
                    match c {
                        '~' => out.push_str("~0"),
                        '/' => out.push_str("~1"),
                        c => out.push(c),
                    }
                }
            }
            Step::Index(index) => {
                let _ = write!(out, "/{index}");
            }
        });
        pointer
    }

    /// Returns the position as a path with the names of the JSON, such as `messages[0].toolUse`.
    /// Empty for the root.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        self.write(&mut path, &mut |out, step| match step {
            Step::Root => {}
            Step::Member(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            Step::Index(index) => {
                let _ = write!(out, "[{index}]");
            }
        });
        path
    }

    /// Returns the position as a path with the names of the proto, such as
    /// `input.messages[0].tool_use`. These are Bedrock's member names in snake case, below `input`.
    pub(crate) fn field(&self) -> String {
        let mut field = String::from("input");
        self.write(&mut field, &mut |out, step| match step {
            Step::Root => {}
            Step::Member(name) => {
                out.push('.');
                for c in name.chars() {
                    if c.is_ascii_uppercase() {
                        out.push('_');
                    }
                    out.push(c.to_ascii_lowercase());
                }
            }
            Step::Index(index) => {
                let _ = write!(out, "[{index}]");
            }
        });
        field
    }

    fn write(&self, out: &mut String, step: &mut impl FnMut(&mut String, Step<'_>)) {
        if let Some(parent) = self.parent {
            parent.write(out, step);
        }
        step(out, self.step);
    }
}
