//! References in values: `${NAME}` and `${NAME:-default}` refer to environment variables,
//! `${file:/path}` to a file.

use std::path::Path;

/// The prefix of a reference to a file, inside the braces.
const FILE: &str = "file:";

/// A part of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Literal text.
    Text(&'a str),
    /// A reference to an environment variable.
    Variable {
        name: &'a str,
        default: Option<&'a str>,
    },
    /// A reference to a file, whose content is a secret.
    File(&'a Path),
}

/// Splits a value into literal texts and references. `$${` is a literal `${`.
///
/// # Errors
/// Fails if a reference is not complete.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        parts.push(Part::Text(before));
        if before.ends_with('$') {
            parts.push(Part::Text("{"));
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        let Some((reference, after)) = from.get(2..).and_then(|from| from.split_once('}')) else {
            return Err("`${` without `}`; write `$${` for a literal `${`".to_owned());
        };
        parts.push(match reference.strip_prefix(FILE) {
            Some(path) => Part::File(file(path)?),
            None => match reference.split_once(":-") {
                Some((name, default)) => Part::Variable {
                    name,
                    default: Some(default),
                },
                None => Part::Variable {
                    name: reference,
                    default: None,
                },
            },
        });
        rest = after;
    }
    parts.push(Part::Text(rest));
    parts.retain(|part| *part != Part::Text(""));
    Ok(parts)
}

fn file(path: &str) -> Result<&Path, String> {
    if path.contains(":-") {
        return Err(format!(
            "`${{file:{path}}}` cannot have a default; write ${{file:/path}}"
        ));
    }
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err(format!(
            "`{}` is not an absolute path; write ${{file:/path}}",
            path.display()
        ));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_split_into_its_parts() {
        let variable = |name, default| Part::Variable { name, default };
        for (text, expected) in [
            ("", vec![]),
            ("a", vec![Part::Text("a")]),
            ("${A}", vec![variable("A", None)]),
            (
                "a${A:-b:-c}d",
                vec![
                    Part::Text("a"),
                    variable("A", Some("b:-c")),
                    Part::Text("d"),
                ],
            ),
            (
                "x ${file:/run/a-b} ${B}",
                vec![
                    Part::Text("x "),
                    Part::File(Path::new("/run/a-b")),
                    Part::Text(" "),
                    variable("B", None),
                ],
            ),
            (
                "$${A} $${file:/x}",
                vec![
                    Part::Text("$"),
                    Part::Text("{"),
                    Part::Text("A} $"),
                    Part::Text("{"),
                    Part::Text("file:/x}"),
                ],
            ),
        ] {
            assert_eq!(parts(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("${A", "without `}`"),
            ("${file:secret}", "not an absolute path"),
            ("${file:}", "not an absolute path"),
            ("${file:/a:-b}", "cannot have a default"),
        ] {
            let error = parts(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
