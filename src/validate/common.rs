//! Rules that many fields share: enums, lengths and character sets.

use std::fmt;

use super::path::{Shown, Violations};

/// Checks an optional enum. Its number must be 0 or a known one.
pub(super) fn optional_enum<E: TryFrom<i32>>(
    field: &'static str,
    value: i32,
    out: &mut Violations,
) {
    if E::try_from(value).is_err() {
        out.add_at(field, UnknownNumber(value));
    }
}

/// The rule for the names of values that an enum does not have.
const NAME: Word = Word {
    max: 64,
    set: "letters, digits and `._-`",
    allowed: |c| c.is_ascii_alphanumeric() || "._-".contains(c),
};

/// Checks an optional open enum. `name_field` is the field with the name of a value that
/// the enum does not have. At most one of both can be set.
pub(super) fn open_enum<E: TryFrom<i32>>(
    field: &'static str,
    name_field: &'static str,
    value: i32,
    name: &str,
    out: &mut Violations,
) {
    if E::try_from(value).is_err() {
        out.add_at(
            field,
            format_args!(
                "{}: use `{name_field}` for values that this gateway does not know",
                UnknownNumber(value)
            ),
        );
    } else if name.is_empty() {
        return;
    }
    if value != 0 && !name.is_empty() {
        out.add_at(
            name_field,
            format_args!("`{field}` is set, too: set only one of them"),
        );
    } else if !NAME.fits(name) {
        NAME.required(name_field, name, out);
    }
}

/// Checks a required enum. Its number must be a known one other than 0. `values` lists the valid
/// values.
pub(super) fn required_enum<E: TryFrom<i32>>(
    field: &'static str,
    value: i32,
    values: &str,
    out: &mut Violations,
) {
    out.field(field, |out| required_enum_item::<E>(value, values, out));
}

/// Checks a required enum like [`required_enum`]. The enum is the item at the current path.
pub(super) fn required_enum_item<E: TryFrom<i32>>(value: i32, values: &str, out: &mut Violations) {
    if value == 0 {
        out.missing(format_args!("is required: use {values}"));
    } else if E::try_from(value).is_err() {
        out.add(format_args!("{}: use {values}", UnknownNumber(value)));
    }
}

/// The description of an enum number that this version of the API does not contain.
pub(super) struct UnknownNumber(pub(super) i32);

impl fmt::Display for UnknownNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a known value of this enum", self.0)
    }
}

/// A rule for texts: they must have 1 to `max` characters of a certain set.
pub(super) struct Word {
    pub(super) max: usize,
    /// The set of characters, as error messages describe it.
    pub(super) set: &'static str,
    pub(super) allowed: fn(char) -> bool,
}

impl Word {
    /// Checks a required text.
    pub(super) fn required(&self, field: &'static str, value: &str, out: &mut Violations) {
        let Self { max, set, .. } = *self;
        if value.is_empty() {
            out.missing_at(
                field,
                format_args!("is required: use 1 to {max} characters of {set}"),
            );
        } else if !self.fits(value) {
            out.add_at(
                field,
                format_args!(
                    "invalid value {}: use 1 to {max} characters of {set}",
                    Shown(value)
                ),
            );
        }
    }

    /// Returns whether a text satisfies the rule. The empty text does, too.
    pub(super) fn fits(&self, value: &str) -> bool {
        value.chars().all(self.allowed) && !longer_than(value, self.max)
    }
}

/// Returns whether a text has more than `max` characters. Does not count the characters beyond
/// `max`.
pub(super) fn longer_than(value: &str, max: usize) -> bool {
    value.len() > max && value.chars().nth(max).is_some()
}

/// Checks a required text.
pub(super) fn required_text(field: &'static str, value: &str, out: &mut Violations) {
    if value.is_empty() {
        out.missing_at(field, "is required and must not be empty");
    }
}

/// Checks an optional text. If it is set, it must have 1 to `max` characters.
pub(super) fn optional_text(
    field: &'static str,
    value: Option<&str>,
    max: usize,
    out: &mut Violations,
) {
    match value {
        Some("") => out.add_at(field, "is empty: set a text or remove it"),
        Some(text) if longer_than(text, max) => {
            out.add_at(
                field,
                format_args!("is too long: at most {max} characters are allowed"),
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_characters() {
        assert!(!longer_than("éééé", 4));
        assert!(longer_than("ééééé", 4));
        assert!(longer_than("a", 0));
        assert!(!longer_than("", 0));
    }
}
