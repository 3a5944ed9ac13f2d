//! Describes the parameters of the service model (types and constraints), and checks requests.

mod check;
mod walk;

pub(super) use check::check;

/// The type of a value.
pub(crate) enum Shape {
    Boolean,
    /// A 32-bit integer with its minimum.
    Integer(i64),
    /// A number with its minimum and maximum.
    Float(f64, f64),
    String(Text),
    /// Base64 that is not empty.
    Blob,
    /// Any JSON value.
    Document,
    Structure(&'static [Member]),
    /// A union, which must have exactly one member. The string is its name in errors.
    Union(&'static str, &'static [Member]),
    List(&'static Shape, Size),
    Map(&'static Text, &'static Shape, Size),
}

/// The minimum and maximum number of items of a list or map, or of characters of a string.
pub(crate) struct Size(pub(crate) usize, pub(crate) usize);

/// Any number of items.
pub(crate) const ANY: Size = Size(0, usize::MAX);

/// A member of a structure or union.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) required: bool,
}

/// Returns an optional member.
pub(crate) const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        shape,
        required: false,
    }
}

/// Returns a required member.
pub(crate) const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        shape,
        required: true,
    }
}

/// The constraints of a string.
pub(crate) struct Text {
    /// The minimum and maximum number of characters.
    pub(crate) length: Size,
    pub(crate) pattern: Option<Pattern>,
    /// The allowed values. If empty, all values are allowed.
    pub(crate) values: &'static [&'static str],
}

/// A regular expression of the service model, and the function that implements it.
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

/// Returns a string without constraints.
pub(crate) const fn any_text() -> Shape {
    Shape::String(Text::length(0, usize::MAX))
}

/// Returns a string with a minimum and a maximum length.
pub(crate) const fn text(min: usize, max: usize) -> Shape {
    Shape::String(Text::length(min, max))
}

/// Returns a string that must be one of these values.
pub(crate) const fn one_of(values: &'static [&'static str]) -> Shape {
    Shape::String(Text {
        length: ANY,
        pattern: None,
        values,
    })
}
