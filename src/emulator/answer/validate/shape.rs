//! What the service model says of a parameter: its type and its constraints.

/// The type of a value.
pub(super) enum Shape {
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
pub(super) struct Size(pub(super) usize, pub(super) usize);

/// Any number of items.
pub(super) const ANY: Size = Size(0, usize::MAX);

/// A member of a structure or union.
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) shape: &'static Shape,
    pub(super) required: bool,
}

/// A member that may be absent.
pub(super) const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        shape,
        required: false,
    }
}

/// A member that has to be there.
pub(super) const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        shape,
        required: true,
    }
}

/// The constraints of a string.
pub(super) struct Text {
    /// Fewest and most characters.
    pub(super) length: Size,
    pub(super) pattern: Option<Pattern>,
    /// The only values; empty if all are good.
    pub(super) values: &'static [&'static str],
}

/// A regular expression as the service model writes it, and what it means.
pub(super) struct Pattern {
    pub(super) regex: &'static str,
    pub(super) matches: fn(&str) -> bool,
}

impl Text {
    pub(super) const fn length(min: usize, max: usize) -> Self {
        Self {
            length: Size(min, max),
            pattern: None,
            values: &[],
        }
    }

    pub(super) const fn matching(mut self, regex: &'static str, matches: fn(&str) -> bool) -> Self {
        self.pattern = Some(Pattern { regex, matches });
        self
    }
}

/// A string without constraints.
pub(super) const fn any_text() -> Shape {
    Shape::String(Text::length(0, usize::MAX))
}

/// A string with a length.
pub(super) const fn text(min: usize, max: usize) -> Shape {
    Shape::String(Text::length(min, max))
}

/// One of these strings.
pub(super) const fn one_of(values: &'static [&'static str]) -> Shape {
    Shape::String(Text {
        length: ANY,
        pattern: None,
        values,
    })
}
