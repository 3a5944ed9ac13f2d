//! Decodes the escapes of a JSON string.

/// The unpaired surrogates at the ends of a string. The other surrogate of the pair may be in the
/// previous or the next string. In the text of this string, each is replaced by U+FFFD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnpairedSurrogates {
    /// The low surrogate with which the string begins.
    pub(crate) first: Option<u16>,
    /// The high surrogate with which the string ends.
    pub(crate) last: Option<u16>,
}

impl UnpairedSurrogates {
    /// Returns whether the string has no unpaired surrogate at either end.
    pub(crate) const fn is_empty(self) -> bool {
        self.first.is_none() && self.last.is_none()
    }
}

/// Returns the text of a string. Its escapes must be well-formed. Unpaired surrogates become
/// U+FFFD.
pub(super) fn unescape(inner: &str) -> (String, UnpairedSurrogates) {
    let mut text = String::with_capacity(inner.len());
    let mut unpaired = UnpairedSurrogates::default();
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
                rest = unescape_unicode(chars.as_str(), &mut text, &mut unpaired);
                continue;
            }
            Some(itself) => text.push(itself),
            None => {}
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    (text, unpaired)
}

/// Appends the character that the four digits after `\u` denote. If the digits are the first
/// surrogate of a pair, also reads the second escape. Returns the text that was not read.
fn unescape_unicode<'a>(
    digits: &'a str,
    text: &mut String,
    unpaired: &mut UnpairedSurrogates,
) -> &'a str {
    let (first, after) = hexadecimal(digits);
    let (code, rest) = match (first, after.strip_prefix("\\u").map(hexadecimal)) {
        (0xd800..=0xdbff, Some((second @ 0xdc00..=0xdfff, after_both))) => (
            0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00)),
            after_both,
        ),
        _ => (first, after),
    };
    match (code, u16::try_from(code)) {
        (0xdc00..=0xdfff, Ok(low)) if text.is_empty() => unpaired.first = Some(low),
        (0xd800..=0xdbff, Ok(high)) if rest.is_empty() => unpaired.last = Some(high),
        _ => {}
    }
    text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

fn hexadecimal(digits: &str) -> (u32, &str) {
    let (four, rest) = digits.split_at_checked(4).unwrap_or((digits, ""));
    (u32::from_str_radix(four, 16).unwrap_or(0xfffd), rest)
}
