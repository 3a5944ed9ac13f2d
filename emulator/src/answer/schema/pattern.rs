//! Handles the keyword `pattern`: checks a text against a regular expression, and generates a text
//! that matches it.
//!
//! JSON Schema uses the regular expressions of ECMAScript. The crate `regex` does not support some
//! of their features (look-around, back-references). Expressions with these are ignored, so every
//! text matches.

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::{
    Ast, ClassPerlKind, ClassSet, ClassSetItem, RepetitionKind, RepetitionRange, Span,
    parse::ParserBuilder,
};

/// The maximum nesting depth of groups.
const MAX_NESTING: u32 = 20;
/// The maximum memory of a compiled expression, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// The maximum number of repetitions that are generated for an unbounded repetition.
const MAX_REPEATS: u32 = 1000;
/// The maximum length of a generated text, in bytes.
const MAX_BYTES: usize = 1024;

/// A regular expression that was parsed successfully.
#[derive(Debug)]
pub(super) struct Pattern<'a> {
    source: &'a str,
    ast: Ast,
    regex: Regex,
}

impl<'a> Pattern<'a> {
    /// Parses an expression. Returns `None` if it uses unsupported features, or would take too much
    /// memory.
    pub(super) fn parse(source: &'a str) -> Option<Self> {
        let mut parser = ParserBuilder::new().nest_limit(MAX_NESTING).build();
        Some(Self {
            source,
            ast: parser.parse(source).ok()?,
            regex: compile(source)?,
        })
    }

    /// Returns a short text that matches. It has at least `length` characters if a repetition
    /// allows that.
    pub(super) fn sample(&self, length: usize) -> Option<String> {
        let most = u32::try_from(length).map_or(MAX_REPEATS, |length| length.min(MAX_REPEATS));
        let text = (0..=most).find_map(|extra| {
            let mut text = String::new();
            self.write(&self.ast, extra, &mut text)?;
            (text.chars().count() >= length).then_some(text)
        })?;
        // Generating ignores word boundaries and flags, so the text must be checked.
        self.matches(&text).then_some(text)
    }

    /// Returns whether any part of the text matches. This is the meaning of `pattern`.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Appends a text that matches. Uses the first alternative, and the minimum number of
    /// repetitions plus `extra`.
    fn write(&self, ast: &Ast, extra: u32, text: &mut String) -> Option<()> {
        if text.len() > MAX_BYTES {
            return None;
        }
        match ast {
            Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) => {}
            Ast::Literal(literal) => text.push(literal.c),
            Ast::Dot(_) => text.push('a'),
            Ast::ClassPerl(class) if !class.negated => text.push(example(&class.kind)),
            Ast::ClassPerl(class) => text.push(self.probe(class.span)?),
            Ast::ClassUnicode(class) => text.push(self.probe(class.span)?),
            Ast::ClassBracketed(class) => {
                let first = (!class.negated).then(|| first_of(&class.kind)).flatten();
                text.push(first.or_else(|| self.probe(class.span))?);
            }
            Ast::Group(group) => self.write(&group.ast, extra, text)?,
            Ast::Alternation(alternation) => {
                self.write(alternation.asts.first()?, extra, text)?;
            }
            Ast::Concat(concat) => {
                for part in &concat.asts {
                    self.write(part, extra, text)?;
                }
            }
            Ast::Repetition(repetition) => {
                let (min, max) = bounds(&repetition.op.kind);
                for _ in 0..max.min(min.saturating_add(extra)) {
                    self.write(&repetition.ast, extra, text)?;
                }
            }
        }
        Some(())
    }

    /// Returns a common character that matches a class that does not list its characters.
    fn probe(&self, class: Span) -> Option<char> {
        let class = compile(self.source.get(class.start.offset..class.end.offset)?)?;
        ('a'..='z')
            .chain('A'..='Z')
            .chain('0'..='9')
            .chain(" -_\tä".chars())
            .find(|c| class.is_match(c.encode_utf8(&mut [0; 4])))
    }
}

fn compile(source: &str) -> Option<Regex> {
    RegexBuilder::new(source)
        .nest_limit(MAX_NESTING)
        .size_limit(MAX_COMPILED_BYTES)
        .build()
        .ok()
}

/// Returns the first character that a class lists.
fn first_of(set: &ClassSet) -> Option<char> {
    match set {
        ClassSet::Item(item) => first_of_item(item),
        ClassSet::BinaryOp(_) => None,
    }
}

fn first_of_item(item: &ClassSetItem) -> Option<char> {
    match item {
        ClassSetItem::Literal(literal) => Some(literal.c),
        ClassSetItem::Range(range) => Some(range.start.c),
        ClassSetItem::Perl(class) if !class.negated => Some(example(&class.kind)),
        ClassSetItem::Bracketed(class) if !class.negated => first_of(&class.kind),
        ClassSetItem::Union(union) => first_of_item(union.items.first()?),
        _ => None,
    }
}

const fn example(class: &ClassPerlKind) -> char {
    match class {
        ClassPerlKind::Digit => '0',
        ClassPerlKind::Space => ' ',
        ClassPerlKind::Word => 'a',
    }
}

/// Returns the minimum and the maximum number of repetitions.
fn bounds(kind: &RepetitionKind) -> (u32, u32) {
    match kind {
        RepetitionKind::ZeroOrOne => (0, 1),
        RepetitionKind::ZeroOrMore => (0, MAX_REPEATS),
        RepetitionKind::OneOrMore => (1, MAX_REPEATS),
        RepetitionKind::Range(RepetitionRange::Exactly(count)) => (*count, *count),
        RepetitionKind::Range(RepetitionRange::AtLeast(min)) => (*min, MAX_REPEATS.max(*min)),
        RepetitionKind::Range(RepetitionRange::Bounded(min, max)) => (*min, *max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_match() {
        for (regex, sample) in [
            ("^[A-Z]{2}-[0-9]{4}$", "AA-0000"),
            (r"^\d{3}-\d{2}-\d{4}$", "000-00-0000"),
            ("^(red|green)$", "red"),
            (r"^[a-z0-9._%+-]+@[a-z]+\.[a-z]{2,}$", "a@a.aa"),
            ("x?y+", "y"),
            ("^#[0-9a-fA-F]{6}$", "#000000"),
            ("^(?:ab)+c*$", "ab"),
            (r"^\p{Lu}\P{L}[^a-z]\W$", "A0A "),
            (r"^https:\/\/[\w.]+$", "https://a"),
        ] {
            let pattern = Pattern::parse(regex).expect(regex);
            assert_eq!(pattern.sample(0).as_deref(), Some(sample), "{regex}");
            assert!(pattern.matches(sample), "{regex}");
        }
    }

    #[test]
    fn matches_as_search() {
        let matches = |regex, text| Pattern::parse(regex).expect(regex).matches(text);
        assert!(matches("b+", "abbc"));
        assert!(!matches("^b+$", "abbc"));
        assert!(matches("^(a|ab)c$", "abc"));
        assert!(matches("^[^0-9]*$", "none"));
        assert!(!matches(r"^\S+$", "two words"));
        assert!(!matches("^(a*)*$", "b"));
        assert!(matches("^a+$", &"a".repeat(10_000)));
    }

    #[test]
    fn long_enough() {
        let pattern = Pattern::parse("^[a-z]+$").expect("a pattern");
        assert_eq!(pattern.sample(5).as_deref(), Some("aaaaa"));
    }

    #[test]
    fn no_sample_that_does_not_match() {
        let pattern = Pattern::parse(r"^a\bb$").expect("a pattern");
        assert_eq!(pattern.sample(0), None);
    }

    #[test]
    fn what_is_not_understood() {
        let large = "(a{1000}){1000}";
        for regex in ["(?=x)", "[a-", "(", "a{2", "*", r"\1", large] {
            assert!(Pattern::parse(regex).is_none(), "{regex}");
        }
    }
}
