//! Reads JSON with a pull parser. It builds no tree, and copies only the strings that the caller
//! requests.

use std::{borrow::Cow, fmt};

use super::{
    open_levels::OpenLevels,
    unescape::{UnpairedSurrogates, unescape},
};

/// The maximum nesting depth of JSON from callers and from Bedrock. Java's JSON parsers, such as
/// Jackson, have the same limit. The stack does not need this limit, because no reader recurses.
pub const MAX_DEPTH: u32 = 1_000;

/// The value of [`Syntax::what`] for text that is nested deeper than the reader's limit.
pub(super) const TOO_DEEP: &str = "nested too deep";
/// The value of [`Syntax::what`] if the reading was stopped.
pub(super) const STOPPED: &str = "reading was stopped";

/// Reads JSON text from start to end, value by value. Only strings with escapes are copied.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    limit: u32,
}

/// The kind of the next value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

impl ValueKind {
    /// Returns the name of the kind with its article, for error messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Null => "null",
        }
    }
}

/// An error in the syntax of JSON text.
#[derive(Debug)]
pub(crate) struct Syntax {
    /// The offset of the first byte that is not valid.
    pub(crate) at: usize,
    /// What is wrong at that byte.
    pub(crate) what: &'static str,
}

impl fmt::Display for Syntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not valid JSON at byte {}: {}", self.at, self.what)
    }
}

/// Returns the number of bytes before the first quote, backslash or control character, or before
/// the end of the text.
fn plain(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return 8 * index + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < 0x20;
    8 * words.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Marks the quotes, backslashes and control characters in eight bytes in little-endian order. The
/// lowest bit that is set in the result belongs to the first such byte: it is the highest bit of
/// that byte. Higher bits may be wrong. Source: Bit Twiddling Hacks, "Determine if a word has a
/// byte less than n".
const fn special_bytes(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 0xFF;
    const HIGHEST: u64 = EACH * 0x80;
    const fn below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(EACH * limit as u64) & !word & HIGHEST
    }
    below(word, 0x20)
        | below(word ^ (EACH * b'"' as u64), 1)
        | below(word ^ (EACH * b'\\' as u64), 1)
}

impl<'a> Reader<'a> {
    /// Creates a reader of JSON from Bedrock or a file.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Syntax> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::with_limit(text, MAX_DEPTH)),
            Err(error) => Err(Syntax {
                at: error.valid_up_to(),
                what: "not UTF-8",
            }),
        }
    }

    /// Creates a reader of text whose values may be nested `limit` levels deep.
    pub(crate) fn with_limit(text: &'a str, limit: u32) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            limit,
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, Syntax> {
        Err(Syntax { at: self.at, what })
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let here = self.byte() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Returns the kind of the next value, judging by its first byte.
    pub(crate) fn peek(&mut self) -> Result<ValueKind, Syntax> {
        self.white_space();
        match self.byte() {
            Some(b'{') => Ok(ValueKind::Object),
            Some(b'[') => Ok(ValueKind::Array),
            Some(b'"') => Ok(ValueKind::String),
            Some(b'-' | b'0'..=b'9') => Ok(ValueKind::Number),
            Some(b't' | b'f') => Ok(ValueKind::Boolean),
            Some(b'n') => Ok(ValueKind::Null),
            Some(_) => self.wrong("expected a value"),
            None => self.wrong("expected a value, found the end"),
        }
    }

    /// Enters an object. The caller must then call [`Self::member`] until it returns `None`.
    pub(crate) fn enter_object(&mut self) -> Result<(), Syntax> {
        self.enter(b'{', "expected an object")
    }

    /// Enters an array. The caller must then call [`Self::element`] until it returns false.
    pub(crate) fn enter_array(&mut self) -> Result<(), Syntax> {
        self.enter(b'[', "expected an array")
    }

    fn enter(&mut self, open: u8, what: &'static str) -> Result<(), Syntax> {
        self.white_space();
        if self.depth >= self.limit {
            return self.wrong(TOO_DEEP);
        }
        if !self.eat(open) {
            return self.wrong(what);
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Returns the name of the object's next member. The caller must read the member's value next.
    /// Returns `None` if the object has ended. `first` must be true for the first call in an
    /// object. The reader updates `first`.
    pub(crate) fn member(&mut self, first: &mut bool) -> Result<Option<Cow<'a, str>>, Syntax> {
        self.white_space();
        if self.eat(b'}') {
            self.leave();
            return Ok(None);
        }
        if !std::mem::take(first) {
            if !self.eat(b',') {
                return self.wrong("expected `,` or `}`");
            }
            self.white_space();
        }
        if self.byte() != Some(b'"') {
            return self.wrong("expected a member's name");
        }
        let name = self.string()?;
        self.white_space();
        if !self.eat(b':') {
            return self.wrong("expected `:`");
        }
        Ok(Some(name))
    }

    /// Returns whether the array has another element. The caller must read that element next.
    /// `first` is used as in [`Self::member`].
    pub(crate) fn element(&mut self, first: &mut bool) -> Result<bool, Syntax> {
        self.white_space();
        if self.eat(b']') {
            self.leave();
            return Ok(false);
        }
        if !std::mem::take(first) {
            if !self.eat(b',') {
                return self.wrong("expected `,` or `]`");
            }
            self.white_space();
            if self.byte() == Some(b']') {
                return self.wrong("expected a value");
            }
        }
        Ok(true)
    }

    /// Reads a string. Unpaired surrogates become U+FFFD, because text cannot contain them.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Syntax> {
        self.string_and_unpaired().map(|(text, _)| text)
    }

    /// Reads a string that may be a piece of a longer text. Also returns the unpaired surrogates at
    /// its ends.
    pub(crate) fn string_and_unpaired(
        &mut self,
    ) -> Result<(Cow<'a, str>, UnpairedSurrogates), Syntax> {
        self.white_space();
        let start = self.at + 1;
        let escaped = self.skip_string()?;
        let inner = self.text.get(start..self.at - 1).unwrap_or_default();
        Ok(if escaped {
            let (text, unpaired) = unescape(inner);
            (Cow::Owned(text), unpaired)
        } else {
            (Cow::Borrowed(inner), UnpairedSurrogates::default())
        })
    }

    /// Skips a string. Returns whether it has escapes.
    fn skip_string(&mut self) -> Result<bool, Syntax> {
        self.white_space();
        if !self.eat(b'"') {
            return self.wrong("expected a string");
        }
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += plain(rest);
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.skip_escape()?;
                }
                Some(_) => return self.wrong("a control character in a string must be escaped"),
                None => return self.wrong("the string is not terminated"),
            }
        }
    }

    fn skip_escape(&mut self) -> Result<(), Syntax> {
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.wrong("expected four hexadecimal digits after `\\u`");
                    }
                    self.at += 1;
                }
            }
            _ => return self.wrong("unknown escape"),
        }
        Ok(())
    }

    /// Reads a number and returns its text unchanged.
    pub(crate) fn number(&mut self) -> Result<&'a str, Syntax> {
        self.white_space();
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return self.wrong("expected a digit");
        }
        Ok(())
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Syntax> {
        self.white_space();
        if self.word("true") {
            Ok(true)
        } else if self.word("false") {
            Ok(false)
        } else {
            self.wrong("expected `true` or `false`")
        }
    }

    pub(crate) fn null(&mut self) -> Result<(), Syntax> {
        self.white_space();
        if self.word("null") {
            Ok(())
        } else {
            self.wrong("expected `null`")
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let here = rest.starts_with(word.as_bytes());
        if here {
            self.at += word.len();
        }
        here
    }

    /// Skips a value of any kind and returns its text. Does not recurse.
    pub(crate) fn skip(&mut self) -> Result<&'a str, Syntax> {
        self.skip_while(|_| true)
    }

    /// Skips a value like [`Self::skip`], but stops with an error if `goes_on` returns false.
    /// `goes_on` is called before each value in the text, with the offset of that value.
    pub(crate) fn skip_while(
        &mut self,
        mut goes_on: impl FnMut(usize) -> bool,
    ) -> Result<&'a str, Syntax> {
        self.white_space();
        let start = self.at;
        let outside = self.depth;
        let mut open = OpenLevels::default();
        let mut first = true;
        loop {
            let value_follows = if self.depth == outside {
                true
            } else if open.innermost_is_object() {
                self.skip_member_name(&mut first)?
            } else {
                self.element(&mut first)?
            };
            if value_follows {
                if !goes_on(self.at) {
                    return self.wrong(STOPPED);
                }
                match self.peek()? {
                    ValueKind::Object => {
                        self.enter_object()?;
                        open.push(true);
                        first = true;
                    }
                    ValueKind::Array => {
                        self.enter_array()?;
                        open.push(false);
                        first = true;
                    }
                    ValueKind::String => drop(self.skip_string()?),
                    ValueKind::Number => drop(self.number()?),
                    ValueKind::Boolean => drop(self.boolean()?),
                    ValueKind::Null => self.null()?,
                }
            } else {
                open.pop();
                first = false;
            }
            if self.depth == outside {
                return Ok(self.since(start));
            }
        }
    }

    fn skip_member_name(&mut self, first: &mut bool) -> Result<bool, Syntax> {
        self.member(first).map(|name| name.is_some())
    }

    /// Checks that only white space follows.
    pub(crate) fn end(&mut self) -> Result<(), Syntax> {
        self.white_space();
        match self.byte() {
            None => Ok(()),
            Some(_) => self.wrong("unexpected trailing characters"),
        }
    }

    /// Returns the offset of the byte that is read next.
    pub(crate) const fn offset(&self) -> usize {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Reader, plain};

    proptest! {
        #[test]
        fn eight_bytes_at_once_or_one_by_one_is_the_same(text in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(b'a'), Just(0x1F), Just(b' '), Just(b'!'), Just(b'#'), Just(b'['), Just(b']'), Just(0x7F)],
            0..40,
        )) {
            let one_by_one = text.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
            prop_assert_eq!(plain(&text), one_by_one.unwrap_or(text.len()));
        }

        #[test]
        fn values_of_any_depth_are_skipped(levels in prop::collection::vec(any::<bool>(), 0..2_000)) {
            let open = levels.iter().map(|object| if *object { "{\"a\":" } else { "[" });
            let close = levels.iter().rev().map(|object| if *object { "}" } else { "]" });
            let json: String = open.chain(["1"]).chain(close).collect();
            let depth = u32::try_from(levels.len()).unwrap();
            let mut reader = Reader::with_limit(&json, depth);
            prop_assert_eq!(reader.skip().unwrap(), &json);
            if depth > 0 {
                prop_assert!(Reader::with_limit(&json, depth - 1).skip().is_err());
            }
        }
    }
}
