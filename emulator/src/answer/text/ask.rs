//! Recognizes prompts that state exactly what to write: counts, lists, echoes and sums.

use std::cmp::Reverse;

use super::{excerpt, words};

/// The maximum numbers of words, items and so on that an answer contains. Larger numbers are
/// reduced to these.
const MOST_WORDS: usize = 20_000;
const MOST_ITEMS: usize = 200;
const MOST_COUNT: i64 = 5_000;

/// How long the answer should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Length {
    Words(usize),
    Sentences(usize),
    Paragraphs(usize),
    /// The prompt asks for no length.
    Open,
}

/// Returns the text that the prompt dictates, if there is one.
pub(in super::super) fn dictated(prompt: &str) -> Option<String> {
    let lower = prompt.to_ascii_lowercase();
    count(&lower)
        .or_else(|| echo(prompt, &lower))
        .or_else(|| list(prompt, &lower))
        .or_else(|| sum(&lower))
        .or_else(|| greeting(&lower))
}

/// Returns the length that the prompt asks for.
pub(in super::super) fn length(prompt: &str) -> Length {
    let lower = prompt.to_ascii_lowercase();
    let tokens: Vec<&str> = lower.split_whitespace().collect();
    let figures = tokens.windows(2).filter_map(|pair| match pair {
        [figure, unit] => Some((
            cardinal(figure)?,
            unit.trim_matches(|c: char| !c.is_alphabetic()),
        )),
        _ => None,
    });
    let hyphenated = tokens.iter().filter_map(|token| {
        let (figure, unit) = token.split_once('-')?;
        Some((
            cardinal(figure)?,
            unit.trim_matches(|c: char| !c.is_alphabetic()),
        ))
    });
    for (figure, unit) in figures.chain(hyphenated) {
        let figure = usize::try_from(figure).unwrap_or(1).max(1);
        match unit {
            "word" | "words" => return Length::Words(figure.min(MOST_WORDS)),
            "sentence" | "sentences" => return Length::Sentences(figure.min(MOST_ITEMS)),
            "paragraph" | "paragraphs" => return Length::Paragraphs(figure.min(MOST_ITEMS)),
            _ => {}
        }
    }
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&[
        "briefly",
        "in short",
        "be brief",
        "keep it short",
        "concise",
    ]) {
        Length::Sentences(1)
    } else if says(&["long story", "essay", "in detail", "detailed", "at length"]) {
        Length::Words(350)
    } else {
        Length::Open
    }
}

fn cardinal(word: &str) -> Option<i64> {
    const NAMES: [&str; 13] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    let word = word
        .trim_matches(|c: char| !c.is_alphanumeric() && c != '-')
        .replace(',', "");
    word.parse().ok().or_else(|| {
        let position = NAMES.iter().position(|name| *name == word)?;
        i64::try_from(position).ok()
    })
}

/// Returns the text after the first occurrence of any of these phrases. At equal positions, the
/// longest phrase is used.
fn after<'a>(text: &'a str, phrases: &[&str]) -> Option<&'a str> {
    let (start, phrase) = phrases
        .iter()
        .filter_map(|phrase| text.find(phrase).map(|start| (start, *phrase)))
        .min_by_key(|(start, phrase)| (*start, Reverse(phrase.len())))?;
    let begins = text
        .get(..start)?
        .chars()
        .next_back()
        .is_none_or(|c| !c.is_alphanumeric());
    begins.then(|| text.get(start + phrase.len()..)).flatten()
}

/// Returns the numbers for prompts such as `count to 10` and `count from 3 to 7`.
fn count(lower: &str) -> Option<String> {
    let rest = after(lower, &["count "])?;
    let mut figures = rest.split_whitespace().take(8).filter_map(cardinal);
    let (first, last) = match (rest.starts_with("from "), figures.next()?, figures.next()) {
        (true, first, Some(last)) => (first, last),
        (_, last, _) if rest.contains("to ") => (1, last),
        _ => return None,
    };
    let numbers: Vec<String> = match first <= last {
        true => (first..=last.min(first.saturating_add(MOST_COUNT)))
            .map(|n| n.to_string())
            .collect(),
        false => (last.max(first.saturating_sub(MOST_COUNT))..=first)
            .rev()
            .map(|n| n.to_string())
            .collect(),
    };
    Some(format!("{}.", numbers.join(", ")))
}

/// Returns the text for prompts such as `say this is a test`, `repeat after me: …` and `reply with
/// exactly …`.
fn echo(prompt: &str, lower: &str) -> Option<String> {
    let rest = after(
        lower,
        &[
            "repeat after me",
            "repeat the following",
            "repeat this",
            "repeat ",
            "say exactly",
            "say again",
            "say ",
            "reply with exactly",
            "reply with only",
            "respond with exactly",
            "respond with only",
            "reply exactly",
            "answer with exactly",
            "answer only",
            "echo ",
        ],
    )?;
    // Only ASCII was converted to lower case, so all bytes keep their positions.
    let start = lower.len() - rest.len();
    let head = prompt.get(..start)?;
    if head.split_whitespace().count() > 6 {
        return None;
    }
    let text = prompt
        .get(start..)?
        .trim_start_matches([':', ',', ' ', '\n'])
        .trim();
    let quoted = text
        .strip_prefix('"')
        .and_then(|rest| rest.split_once('"'))
        .map(|(quoted, _)| quoted)
        .or_else(|| {
            text.strip_prefix('\'')
                .and_then(|rest| rest.split_once('\''))
                .map(|(quoted, _)| quoted)
        });
    let text = quoted.unwrap_or(text);
    // "Reply with exactly two lines" specifies a length, not a text.
    let counts = text
        .split_whitespace()
        .next()
        .is_some_and(|first| cardinal(first).is_some());
    let dictates = quoted.is_some() || !counts || !text.contains(' ');
    (dictates && !text.is_empty()).then(|| text.to_owned())
}

/// Returns the list for prompts such as `list 5 rivers` and `name three colours`.
fn list(prompt: &str, lower: &str) -> Option<String> {
    let rest = after(lower, &["list ", "name ", "give me "])?;
    let mut tokens = rest.split_whitespace();
    let figure =
        tokens.find(|token| !matches!(*token, "me" | "the" | "a" | "of" | "all" | "some"))?;
    let what: Vec<&str> = tokens.take(4).collect();
    let count = usize::try_from(cardinal(figure)?)
        .ok()?
        .clamp(1, MOST_ITEMS);
    let what = what.join(" ");
    let what = what
        .split(['.', ',', '?', '!', ':'])
        .next()
        .unwrap_or_default()
        .trim();
    if what.is_empty()
        || ["word", "sentence", "paragraph"]
            .iter()
            .any(|unit| what.starts_with(unit))
    {
        return None;
    }
    let singular = what.strip_suffix('s').unwrap_or(what);
    let items: Vec<String> = (1..=count)
        .map(|number| format!("{number}. {} {number}", capitalised(singular)))
        .collect();
    Some(format!(
        "Here are {count} {what}, as you asked (\"{}\"):\n\n{}",
        excerpt(prompt, 10),
        items.join("\n")
    ))
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// Returns the result for prompts such as `20 + 22`, `3 * 4`, `7 - 2` and `10 / 4`.
fn sum(lower: &str) -> Option<String> {
    let spaced = lower.replace(['?', '='], " ");
    let tokens: Vec<&str> = spaced
        .split_whitespace()
        .map(|token| token.trim_end_matches(['.', ',']))
        .collect();
    tokens.windows(3).find_map(|triple| {
        let [left, operator, right] = triple else {
            return None;
        };
        let (x, y): (f64, f64) = (left.parse().ok()?, right.parse().ok()?);
        let (sign, result) = match *operator {
            "+" | "plus" => ("+", x + y),
            "-" | "minus" => ("-", x - y),
            "*" | "x" | "×" | "times" => ("×", x * y),
            "/" | "÷" if y != 0.0 => ("/", x / y),
            _ => return None,
        };
        result
            .is_finite()
            .then(|| format!("{left} {sign} {right} = {result}."))
    })
}

fn greeting(lower: &str) -> Option<String> {
    let short = words(lower).len() <= 2 && lower.len() < 40;
    let greets = ["hello", "hi", "hey", "good morning", "good evening"]
        .iter()
        .any(|greeting| {
            lower
                .trim_matches(|c: char| !c.is_alphabetic())
                .starts_with(greeting)
        });
    let whole_word = lower
        .split(|c: char| !c.is_alphabetic())
        .next()
        .is_some_and(|first| matches!(first, "hello" | "hi" | "hey" | "good"));
    (short && greets && whole_word).then(|| {
        "Hello! I am the Bedrock emulator: I answer immediately, without any knowledge, but over the real wire protocol. What would you like to try?"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictation() {
        for (prompt, text) in [
            ("count to 5", "1, 2, 3, 4, 5."),
            ("Please count from 3 to 6 slowly", "3, 4, 5, 6."),
            ("Count from 3 to 1", "3, 2, 1."),
            ("Say this is a test", "this is a test"),
            ("Repeat after me: \"Grüße\" please", "Grüße"),
            ("What is 20 + 22?", "20 + 22 = 42."),
            ("Calculate 10 / 4 directly in text.", "10 / 4 = 2.5."),
        ] {
            assert_eq!(dictated(prompt).as_deref(), Some(text), "{prompt}");
        }
        let list = dictated("List three rivers in France").expect("a list");
        assert!(list.starts_with("Here are 3 rivers in france"), "{list}");
        assert_eq!(list.lines().count(), 5, "{list}");
        for prompt in [
            "Reply with exactly two lines",
            "What is the capital of France?",
            "Essay on counting",
            "He said nothing",
            "history",
        ] {
            assert_eq!(dictated(prompt), None, "{prompt}");
        }
    }

    #[test]
    fn lengths() {
        assert_eq!(length("write 300 words on tea"), Length::Words(300));
        assert_eq!(length("A 50-word poem"), Length::Words(50));
        assert_eq!(length("Reply in one word."), Length::Words(1));
        assert_eq!(length("in two sentences, please"), Length::Sentences(2));
        assert_eq!(length("Explain tea"), Length::Open);
    }
}
