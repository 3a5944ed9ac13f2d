//! Describes mistakes in YAML. The messages of the YAML library are for programmers.

use serde_saphyr::Error;

/// What to write instead, by a part of the library's message.
const ADVICE: &[(&str, &str)] = &[
    (
        "unclosed bracket '['",
        "the list that begins here is not closed; add `]`",
    ),
    (
        "unclosed bracket '{'",
        "the map that begins here is not closed; add `}`",
    ),
    (
        "misplaced bracket",
        "nothing is open that this bracket could close; remove it, or put the value in quotes",
    ),
    (
        "illegal placement of ':'",
        "a list in [ ] or a map in { } before this colon is not closed; add the closing bracket",
    ),
    (
        "did not find expected ','",
        "a comma or the closing bracket is missing here",
    ),
    (
        "implicit flow mapping",
        "an entry is missing between two commas; remove one of them",
    ),
    (
        "tabs disallowed",
        "a tab is used for indentation; use spaces instead",
    ),
    (
        "mapping values are not allowed",
        "a colon is not expected here; check the indentation of this line, write a space after \
         the colon of the key before, or put a value that contains a colon in quotes",
    ),
    (
        "block mapping, did not find expected key",
        "expected another key of the same map; begin all keys of a map in the same column, and \
         write the entries of a list under a key",
    ),
    (
        "did not find expected '-'",
        "expected another entry of the list, which begins with `- `; check the indentation",
    ),
    (
        "block sequence entries are not allowed",
        "a list cannot begin after a key in the same line; write each entry on a separate line, \
         or use [a, b]",
    ),
    (
        "simple key expected ':'",
        "expected a key and a colon, such as `name: value`",
    ),
    (
        "multiline quoted scalar",
        "a text in quotes is not closed before this line; add the closing quote",
    ),
    (
        "unknown escape character",
        "a text in double quotes contains a backslash that begins no known escape; write two \
         backslashes, or use single quotes",
    ),
    (
        "trailing content after",
        "text follows the closing quote; put the whole value in quotes",
    ),
    (
        "unknown anchor",
        "`*` refers to an anchor that is not defined above; define it with `&`, or put the value \
         in quotes",
    ),
    (
        "merge value must be",
        "`<<` needs a map; write the anchor of a map, such as `<<: *name`",
    ),
    (
        "expected string scalar",
        "a key must be a single value; it is a list or a map",
    ),
    (
        "null into string",
        "the key is missing or null; write a name before the colon, in quotes if it is `null`",
    ),
    (
        "multiple YAML documents",
        "a second document begins here; write the whole configuration in one document, and remove \
         the line `---` or `...` before it",
    ),
    (
        "<document start>",
        "a line that begins with % is not a key; remove it",
    ),
    (
        "recursion limit",
        "lists and maps are nested too deeply; close them earlier, or use fewer levels",
    ),
    (
        "!!binary",
        "the value does not match the type before it; remove the type, which begins with !!",
    ),
];

/// The message for a document that has more entries than the gateway reads, for example because
/// aliases of aliases repeat them.
const TOO_LARGE: &str = "the file is too large when its aliases (`*name`) are replaced by their \
                         values; use fewer aliases, or write less";

/// Returns a message for the operator, without the position.
pub(super) fn described(error: &Error) -> String {
    match error {
        Error::Budget { .. } => return TOO_LARGE.to_owned(),
        Error::DuplicateMappingKey { key, .. } => {
            return format!(
                "the key `{}` is here for the second time; remove one of the two",
                key.as_deref().unwrap_or_default()
            );
        }
        _ => {}
    }
    let message = error.to_string();
    let message = without_place(&message);
    // Inside of an alias, the library wraps the error.
    if ["budget breached", "alias expansion", "alias replay"]
        .iter()
        .any(|part| message.contains(part))
    {
        return TOO_LARGE.to_owned();
    }
    let advice = ADVICE.iter().find(|(part, _)| message.contains(part));
    let advice = match (advice, message.strip_prefix("unexpected character: ")) {
        (Some((_, advice)), _) => (*advice).to_owned(),
        (None, Some(character)) => of_character(character.trim_matches(['`', '\''])),
        // A value has a type, such as `!!int`, that it does not match.
        (None, None) if message.starts_with("invalid ") => {
            "the value does not match the type before it; remove the type, which begins with !!"
                .to_owned()
        }
        (None, None) => message.to_owned(),
    };
    format!("not valid YAML: {advice}")
}

/// Returns the message for a character that no value can begin with. The library shows control
/// characters as escapes.
fn of_character(character: &str) -> String {
    match character {
        // The trimmed character itself.
        "" => "a value cannot begin with a backtick; put it in quotes".to_owned(),
        escaped if escaped.starts_with('\\') => {
            format!("the control character {escaped} is not allowed; remove it")
        }
        character => format!("a value cannot begin with {character}; put it in quotes"),
    }
}

/// Returns the first line of a message, without its place.
fn without_place(message: &str) -> &str {
    let line = message.lines().next().unwrap_or(message);
    line.rsplit_once(" at line ").map_or(line, |(what, _)| what)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// Aliases of aliases multiply a small file.
    #[test]
    fn an_alias_bomb_has_a_message_of_the_gateway() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        let deep = format!("a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
        for (text, expected) in [(text, "use fewer aliases"), (deep, "nested too deeply")] {
            let problems = Config::parse(&text, &|_| None).unwrap_err();
            let [problem] = &problems[..] else {
                panic!("{problems:?}");
            };
            let message = &problem.message;
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("budget"), "{message}");
            assert!(problem.place.line > 0, "{problem:?}");
        }
    }

    /// Every mistake has its line, and a message without words of the library.
    #[test]
    fn mistakes_have_a_line_and_a_cure() {
        for (text, line, expected) in [
            ("a: 1\nb: [\n", 2, "add `]`"),
            ("a: {b: 1\n", 1, "add `}`"),
            ("a: [1, 2\nb: 3\n", 2, "add the closing bracket"),
            ("a: ]\n", 1, "remove it"),
            ("a: [1, 2]]\n", 1, "remove it"),
            ("a: {b: 1 c: 2}\n", 1, "a comma or the closing bracket"),
            ("a: {b: 1,, c: 2}\n", 1, "between two commas"),
            ("a:\n\tb: 1\n", 2, "use spaces"),
            ("a: 1\n b: 2\n", 2, "check the indentation"),
            ("a: b: c\n", 1, "contains a colon in quotes"),
            ("a:b\nc: 1\n", 2, "a space after the colon"),
            ("a:\n  b: 1\n c: 2\n", 3, "in the same column"),
            ("a: 1\n- b\n", 2, "under a key"),
            ("- a\nb: 1\n", 2, "begins with `- `"),
            ("a: - b\n", 1, "use [a, b]"),
            ("a: 1\nb\n", 2, "a key and a colon"),
            ("a: 'x\n", 2, "add the closing quote"),
            ("a: \"\\q\"\n", 1, "two backslashes"),
            ("a: \"x\" y\n", 1, "the whole value in quotes"),
            ("a: *x\n", 1, "define it with `&`"),
            ("a: {<<: 1}\n", 1, "needs a map"),
            ("? [a]\n: 1\n", 1, "must be a single value"),
            (": 1\n", 1, "write a name before the colon"),
            ("null: 2\n", 1, "in quotes if it is `null`"),
            ("a: 1\n---\nb: 2\n", 3, "one document"),
            ("a: 1\na: 2\n", 2, "for the second time"),
            ("a: !!int x\n", 1, "remove the type"),
            ("a: !!binary x\n", 1, "remove the type"),
            ("a: @x\n", 1, "cannot begin with @"),
            ("a: `x\n", 1, "cannot begin with a backtick"),
            ("a: \u{7}\n", 1, "control character \\u{7}"),
            ("%x\n", 2, "begins with %"),
        ] {
            let problems = Config::parse(text, &|_| None).unwrap_err();
            let [problem] = &problems[..] else {
                panic!("{text:?}: {problems:?}");
            };
            assert_eq!(problem.place.line, line, "{text:?}: {problem:?}");
            let message = &problem.message;
            assert!(message.contains(expected), "{text:?}: {message}");
            for jargon in [
                "scalar", "mapping", "sequence", "parsing", "u64", "from_str",
            ] {
                assert!(!message.contains(jargon), "{text:?}: {message}");
            }
        }
    }
}
