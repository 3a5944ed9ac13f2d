//! The text that a JSON string stands for.

/// The text of a string whose escapes are known to be well-formed.
pub(super) fn unescape(inner: &str) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                rest = unescape_unicode(chars.as_str(), &mut text);
                continue;
            }
            Some(itself) => text.push(itself),
            None => {}
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    text
}

/// Appends the character that the digits behind `\u` mean, with the second half of a pair; gives what follows.
fn unescape_unicode<'a>(digits: &'a str, text: &mut String) -> &'a str {
    let (first, after) = hexadecimal(digits);
    let (code, rest) = match (first, after.strip_prefix("\\u").map(hexadecimal)) {
        (0xd800..=0xdbff, Some((second @ 0xdc00..=0xdfff, after_both))) => (
            0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00)),
            after_both,
        ),
        _ => (first, after),
    };
    text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

fn hexadecimal(digits: &str) -> (u32, &str) {
    let (four, rest) = digits.split_at_checked(4).unwrap_or((digits, ""));
    (u32::from_str_radix(four, 16).unwrap_or(0xfffd), rest)
}
