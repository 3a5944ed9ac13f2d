//! What the service model says of a parameter: its type and its constraints; and whether a request keeps them.

mod walk;

use serde_json::Value;

use super::script::ApiError;

/// Checks a parameter of the path, with its name, and a body.
///
/// # Errors
/// JSON of the wrong type is a `SerializationException`; all broken constraints at once are one `ValidationException`.
pub(super) fn check(
    path: &[(&str, &str, &Text)],
    body: &Value,
    shape: &Shape,
) -> Result<(), ApiError> {
    let mut findings = walk::Findings::default();
    for (name, content, text) in path {
        walk::string(name, content, text, &mut findings);
    }
    walk::walk(body, shape, &mut findings).map_err(|message| ApiError {
        status: 400,
        code: "SerializationException",
        message,
    })?;
    match findings.into_message() {
        Some(message) => Err(ApiError::validation(message)),
        None => Ok(()),
    }
}

/// The type of a value.
pub(crate) enum Shape {
    Boolean,
    /// A 32-bit integer with its smallest value.
    Integer(i64),
    /// A number with its smallest and its largest value.
    Float(f64, f64),
    String(Text),
    /// Base64; not empty.
    Blob,
    /// Any JSON.
    Document,
    Structure(&'static [Member]),
    /// Exactly one member; with the name that errors call it by.
    Union(&'static str, &'static [Member]),
    List(&'static Shape, Size),
    Map(&'static Text, &'static Shape, Size),
}

/// How many items a list or map has: at least, at most.
pub(crate) struct Size(pub(crate) usize, pub(crate) usize);

/// Any number of items.
pub(crate) const ANY: Size = Size(0, usize::MAX);

/// A member of a structure or union.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) required: bool,
}

/// A member that may be absent.
pub(crate) const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        shape,
        required: false,
    }
}

/// A member that has to be there.
pub(crate) const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        shape,
        required: true,
    }
}

/// The constraints of a string.
pub(crate) struct Text {
    /// Fewest and most characters.
    pub(crate) length: Size,
    pub(crate) pattern: Option<Pattern>,
    /// The only values; empty if all are good.
    pub(crate) values: &'static [&'static str],
}

/// A regular expression as the service model writes it, and what it means.
pub(crate) struct Pattern {
    pub(crate) regex: &'static str,
    pub(crate) matches: fn(&str) -> bool,
}

impl Text {
    pub(crate) const fn length(min: usize, max: usize) -> Self {
        Self {
            length: Size(min, max),
            pattern: None,
            values: &[],
        }
    }

    pub(crate) const fn matching(mut self, regex: &'static str, matches: fn(&str) -> bool) -> Self {
        self.pattern = Some(Pattern { regex, matches });
        self
    }
}

/// A string without constraints.
pub(crate) const fn any_text() -> Shape {
    Shape::String(Text::length(0, usize::MAX))
}

/// A string with a length.
pub(crate) const fn text(min: usize, max: usize) -> Shape {
    Shape::String(Text::length(min, max))
}

/// One of these strings.
pub(crate) const fn one_of(values: &'static [&'static str]) -> Shape {
    Shape::String(Text {
        length: ANY,
        pattern: None,
        values,
    })
}
