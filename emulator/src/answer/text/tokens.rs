//! Splits text into pieces of about the size of a model's tokens.

/// Returns the pieces of a text. None is empty, and joined they are the whole text.
pub(in super::super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (token, after) = rest.split_at_checked(first_length(rest))?;
        rest = after;
        (!token.is_empty()).then_some(token)
    })
}

/// The maximum length of a piece of a Latin word, and of a number, in characters.
const WORD: usize = 7;
const NUMBER: usize = 3;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Space,
    Letter,
    Digit,
    /// Punctuation, symbols, and scripts in which a character is about one token.
    Single,
}

fn kind(c: char) -> Kind {
    if c.is_whitespace() {
        Kind::Space
    } else if c.is_numeric() {
        Kind::Digit
    } else if c.is_alphabetic() && u32::from(c) < 0x0600 {
        Kind::Letter
    } else {
        Kind::Single
    }
}

/// Returns whether a character belongs to the previous character: accents, joiners, variation
/// selectors, skin tones.
fn joins(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036f | 0x200d | 0xfe00..=0xfe0f | 0x1f3fb..=0x1f3ff)
}

/// Returns the length in bytes of the text's first token.
fn first_length(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    // A single space belongs to the next word. All other white space is a separate piece.
    if text.starts_with(' ') && !text.starts_with("  ") {
        characters.next();
    }
    let Some(first) = characters.next().map(|(_, c)| kind(c)) else {
        return text.len();
    };
    let limit = match first {
        Kind::Space => usize::MAX,
        Kind::Letter => word_limit(text),
        Kind::Digit => NUMBER,
        Kind::Single => 1,
    };
    let mut taken = 1;
    let mut joined = false;
    for (offset, c) in characters {
        if joins(c) {
            joined = c == '\u{200d}';
            continue;
        }
        if joined {
            joined = false;
            continue;
        }
        if taken >= limit || kind(c) != first {
            return offset;
        }
        taken += 1;
    }
    text.len()
}

/// Returns the length of the first piece of a word. Short words are not split. Long words are split
/// after their first half.
fn word_limit(text: &str) -> usize {
    let letters = text
        .trim_start()
        .chars()
        .take_while(|c| kind(*c) == Kind::Letter || joins(*c));
    let length = letters.filter(|c| !joins(*c)).count();
    match length {
        0..=WORD => length.max(1),
        8..=12 => length / 2,
        _ => WORD - 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        tokens(text).collect()
    }

    #[test]
    fn words_keep_the_space_before_them() {
        assert_eq!(
            cut("Hello, my world."),
            ["Hello", ",", " my", " world", "."]
        );
    }

    #[test]
    fn long_words_and_numbers_are_cut() {
        assert_eq!(
            cut("photosynthesis 1234567"),
            ["photo", "synt", "hesis", " 123", "456", "7"]
        );
    }

    #[test]
    fn white_space_and_symbols() {
        assert_eq!(cut("a\n\n- b  c"), ["a", "\n\n", "-", " b", "  ", "c"]);
        assert_eq!(
            cut("日本 👩‍👩‍👧 e\u{301}té"),
            ["日", "本", " 👩‍👩‍👧", " e\u{301}té"]
        );
        assert_eq!(cut(" "), [" "]);
    }

    proptest::proptest! {
        #[test]
        fn tokens_are_the_text(text in "\\PC*|[ a-z\\n0-9]{0,80}") {
            let cut = cut(&text);
            proptest::prop_assert_eq!(cut.concat(), text.as_str());
            proptest::prop_assert!(cut.iter().all(|token| !token.is_empty()));
        }
    }
}
