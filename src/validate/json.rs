//! Rules for JSON that the gateway passes through: JSON text, `google.protobuf.Struct`, and JSON
//! Pointers.

use std::fmt;

use prost_types::{Struct, Value, value::Kind};

use super::path::{Shown, Violations};
use crate::{
    bounds::Stop,
    translate::json::{self, MAX_DEPTH, NotJson},
};

/// Checks that JSON text is well-formed and not nested too deeply. Only this check parses the text:
/// the translation copies it unchanged.
pub(super) fn text(field: &'static str, json: &str, out: &mut Violations) {
    if let Err(problem) = check(json, out.stop()) {
        out.add_at(field, problem);
    }
}

/// Checks the JSON text of a tool use. It may be incomplete, because a model can stop in the
/// middle.
pub(super) fn tool_input(field: &'static str, json: &str, out: &mut Violations) {
    match check(json, out.stop()) {
        Ok(()) => {}
        Err(problem @ Problem::Malformed(_)) => out.add_at(
            field,
            format_args!(
                "{problem}. If the model's answer ended at `max_tokens`, its last tool use is incomplete: remove the block, or repeat the call with a larger `max_tokens`"
            ),
        ),
        Err(problem) => out.add_at(field, problem),
    }
}

/// Checks JSON text, which must be an object.
pub(super) fn object(field: &'static str, json: &str, out: &mut Violations) {
    match check(json, out.stop()) {
        Err(problem) => out.add_at(field, problem),
        Ok(()) if !json.trim_ascii_start().starts_with('{') => {
            out.add_at(
                field,
                "is JSON, but not an object: use an object, such as `{}`",
            );
        }
        Ok(()) => {}
    }
}

/// Checks that a Struct can be written as JSON and is not nested too deeply.
pub(super) fn structure(field: &'static str, value: &Struct, out: &mut Violations) {
    if let Err(problem) = check_struct(value, 1) {
        out.add_at(field, problem);
    }
}

/// Checks a JSON Pointer (RFC 6901) to a member. The empty pointer is refused, because it refers to
/// the whole document.
pub(super) fn pointer(pointer: &str) -> Result<(), PointerProblem> {
    if !pointer.starts_with('/') {
        return Err(PointerProblem::Slash);
    }
    let escapes_are_whole = pointer
        .split('~')
        .skip(1)
        .all(|after| after.starts_with(['0', '1']));
    if escapes_are_whole {
        Ok(())
    } else {
        Err(PointerProblem::Escape)
    }
}

/// Why a text is not a JSON Pointer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PointerProblem {
    Slash,
    Escape,
}

impl fmt::Display for PointerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slash => "a JSON Pointer begins with `/`, such as `/usage/inputTokens`",
            Self::Escape => "in a JSON Pointer, `~` is written `~0` and `/` in a name `~1`",
        })
    }
}

/// Why a text or a Struct cannot be sent as JSON.
#[derive(Debug)]
enum Problem<'a> {
    Empty,
    Malformed(NotJson),
    TooDeep,
    /// A Struct contains an invalid value: the name of the nearest member, and what is wrong with
    /// the value.
    Value(&'a str, &'static str),
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty: use JSON text, such as `{}`"),
            Self::Malformed(problem) => write!(f, "is {problem}"),
            Self::TooDeep => write!(f, "is nested more than {MAX_DEPTH} levels deep"),
            Self::Value(name, what) => write!(f, "in member {}: {what}", Shown(name)),
        }
    }
}

fn check(json: &str, stop: &Stop) -> Result<(), Problem<'static>> {
    if json.trim_ascii_start().is_empty() {
        return Err(Problem::Empty);
    }
    match json::check_until(json, stop) {
        Ok(()) => Ok(()),
        Err(NotJson::TooDeep) => Err(Problem::TooDeep),
        Err(problem) => Err(Problem::Malformed(problem)),
    }
}

/// Checks a Struct, with a recursion that is limited by the maximum depth. The Struct of a caller
/// never reaches it, because the protobuf decoder has a lower limit.
fn check_struct(value: &Struct, depth: u32) -> Result<(), Problem<'_>> {
    if depth > MAX_DEPTH {
        return Err(Problem::TooDeep);
    }
    value
        .fields
        .iter()
        .try_for_each(|(name, value)| check_value(name, value, depth))
}

fn check_value<'a>(name: &'a str, value: &'a Value, depth: u32) -> Result<(), Problem<'a>> {
    match &value.kind {
        None => Err(Problem::Value(
            name,
            "a Value has no kind: set one, such as null_value",
        )),
        Some(Kind::NumberValue(number)) if !number.is_finite() => Err(Problem::Value(
            name,
            "NaN and infinities are not numbers in JSON",
        )),
        Some(Kind::StructValue(value)) => check_struct(value, depth + 1),
        Some(Kind::ListValue(_)) if depth == MAX_DEPTH => Err(Problem::TooDeep),
        Some(Kind::ListValue(list)) => list
            .values
            .iter()
            .try_for_each(|value| check_value(name, value, depth + 1)),
        Some(
            Kind::NullValue(_) | Kind::NumberValue(_) | Kind::StringValue(_) | Kind::BoolValue(_),
        ) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn well_formed_text_passes() {
        for json in [
            "{}",
            " [1, -0.5e3, \"\\u00e9 [[[ \\\" {{{\", true, null]\n",
            "12345678901234567890123",
            "\"\"",
            &nested(1_000),
        ] {
            check(json, &Stop::never()).unwrap_or_else(|problem| panic!("{json}: {problem}"));
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        for json in [
            "",
            " ",
            "{",
            "{]",
            "[1,]",
            "nul",
            "{} {}",
            "'a'",
            "{\"a\" 1}",
            "NaN",
            "01",
            "\"\n\"",
        ] {
            assert!(check(json, &Stop::never()).is_err(), "{json}");
        }
    }

    #[test]
    fn depth_is_bounded_without_a_stack() {
        for json in [
            nested(1_001),
            nested(10_000),
            "[".repeat(1_000_000),
            "{\"a\":".repeat(10_000),
        ] {
            assert!(matches!(
                check(&json, &Stop::never()),
                Err(Problem::TooDeep)
            ));
        }
    }

    #[test]
    fn structs_hold_only_what_json_can_say() {
        let structure = |kind| Struct {
            fields: [("k".to_owned(), Value { kind })].into(),
        };
        assert!(check_struct(&structure(Some(Kind::NullValue(0))), 1).is_ok());
        for kind in [
            None,
            Some(Kind::NumberValue(f64::NAN)),
            Some(Kind::NumberValue(f64::NEG_INFINITY)),
            Some(Kind::ListValue(prost_types::ListValue {
                values: vec![Value { kind: None }],
            })),
        ] {
            let problem = check_struct(&structure(kind), 1).unwrap_err().to_string();
            assert!(problem.contains("in member \"k\""), "{problem}");
        }
        let mut deep = Struct::default();
        for level in 2..=1_001 {
            deep = structure(Some(Kind::StructValue(deep)));
            assert_eq!(check_struct(&deep, 1).is_ok(), level <= 1_000, "{level}");
        }
        let mut list = Kind::ListValue(prost_types::ListValue::default());
        for level in 3..=1_001 {
            list = Kind::ListValue(prost_types::ListValue {
                values: vec![Value { kind: Some(list) }],
            });
            let deep = structure(Some(list.clone()));
            assert_eq!(check_struct(&deep, 1).is_ok(), level <= 1_000, "{level}");
        }
    }

    #[test]
    fn pointers() {
        for good in ["/", "/a", "/a/b~0c/~1/-", "/ü", "//"] {
            assert_eq!(pointer(good), Ok(()), "{good}");
        }
        assert_eq!(pointer(""), Err(PointerProblem::Slash));
        assert_eq!(pointer("a/b"), Err(PointerProblem::Slash));
        for bad in ["/~", "/~2", "/a~/b", "/~01~"] {
            assert_eq!(pointer(bad), Err(PointerProblem::Escape), "{bad}");
        }
    }
}
