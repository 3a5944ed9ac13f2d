//! Parts of JSON text that the grammar of JSON allows, and that other readers of JSON refuse.
//! Bedrock would refuse the whole request, and could not name the field of the API.

/// The maximum length of a number, in characters. Jackson, a reader for Java, has the same limit.
pub(super) const MAX_NUMBER: usize = 1_000;

const LONG_NUMBER: &str = "a number has more than 1,000 characters";
const UNPAIRED: &str =
    "a `\\u` escape is one half of a surrogate pair: write both halves, or the character itself";

/// Returns the offset of the value at `from`, and the problem, if the value is a number with too
/// many characters. White space may precede it. The text must be well-formed.
pub(super) fn long_number(text: &str, from: usize) -> Option<(usize, &'static str)> {
    let rest = text.get(from..)?.trim_ascii_start();
    let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = rest.bytes().take_while(is_number).count();
    (length > MAX_NUMBER).then(|| (text.len() - rest.len(), LONG_NUMBER))
}

/// Returns the offset of the first escape that is half of a surrogate pair without the other half,
/// and the problem. The text must be well-formed.
pub(super) fn unpaired_surrogate(text: &str) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let unit = |at: usize| {
        let is_unicode = bytes.get(at..at + 2) == Some(b"\\u");
        let digits = is_unicode.then(|| text.get(at + 2..at + 6)).flatten()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut at = text.find("\\")?;
    loop {
        at += match unit(at) {
            Some(0xD800..0xDC00) if matches!(unit(at + 6), Some(0xDC00..0xE000)) => 12,
            Some(0xD800..0xE000) => return Some((at, UNPAIRED)),
            Some(_) => 6,
            None => 2,
        };
        at += text.get(at..)?.find('\\')?;
    }
}

#[cfg(test)]
mod tests {
    use crate::translate::json::{NotJson, check, check_until};

    fn at(text: &str) -> Option<usize> {
        match check_until(text, &crate::bounds::Stop::never()) {
            Ok(()) => None,
            Err(NotJson::Unsupported { at, .. }) => Some(at),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn unpaired_surrogates_are_found() {
        for (text, expected) in [
            (r#""\ud83d\ude00""#, None),
            (r#""\uD83D\uDE00 \u0041 \\ud800""#, None),
            (r#""\ud800""#, Some(1)),
            (r#""\udc00""#, Some(1)),
            (r#""\ud83d\u0041""#, Some(1)),
            (r#""\ud83dx\ude00""#, Some(1)),
            (r#"{"a":["\n\ud83d\ude00","\ude00\ud83d"]}"#, Some(24)),
            (r#"{"\ud800":1}"#, Some(2)),
            (r#""\\\ud800""#, Some(3)),
            (r#""é\ud83d""#, Some(3)),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
        let problem = check(r#""\ud800""#).unwrap_err();
        assert!(problem.starts_with("not accepted at byte 1: "), "{problem}");
    }

    #[test]
    fn long_numbers_are_found() {
        let long = "1".repeat(1_001);
        let longest = format!("-0.{}", "1".repeat(997));
        for (text, expected) in [
            (longest.clone(), None),
            (format!("[{longest},{longest}]"), None),
            (format!("\"{long}\""), None),
            (format!("{{\"{long}\":1}}"), None),
            (long.clone(), Some(0)),
            (format!(" [ {long} ]"), Some(3)),
            (format!("[1,{long},2]"), Some(3)),
            (format!("{{\"a\":{longest}1,\"b\":2}}"), Some(5)),
        ] {
            assert_eq!(at(&text), expected, "{text}");
        }
    }
}
