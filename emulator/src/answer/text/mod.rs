//! Generates the text of answers.

pub(super) mod ask;
pub(super) mod prose;
pub(super) mod tokens;

/// Returns the words that show the subject of a text, in lower case and without common endings.
pub(super) fn words(text: &str) -> Vec<String> {
    const COMMON: [&str; 44] = [
        "the", "and", "for", "are", "was", "you", "your", "with", "that", "this", "what", "which",
        "who", "how", "when", "where", "why", "can", "could", "would", "should", "will", "does",
        "did", "has", "have", "had", "from", "into", "its", "please", "tell", "about", "give",
        "get", "use", "using", "not", "any", "all", "there", "them", "then", "they",
    ];
    text.split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() >= 3 && !COMMON.contains(&word.as_str()))
        .map(|word| stem(&word).to_owned())
        .collect()
}

/// Returns the topics of a text in the words of the text: sequences of up to three significant
/// words, in the order in which they appear.
pub(super) fn topics(text: &str) -> Vec<String> {
    const ORDERS: [&str; 40] = [
        "explain",
        "describe",
        "write",
        "compare",
        "summarize",
        "summarise",
        "calculate",
        "show",
        "make",
        "create",
        "invent",
        "answer",
        "reply",
        "respond",
        "say",
        "list",
        "name",
        "call",
        "help",
        "want",
        "need",
        "know",
        "think",
        "word",
        "words",
        "sentence",
        "sentences",
        "paragraph",
        "short",
        "long",
        "brief",
        "simple",
        "one",
        "two",
        "such",
        "exactly",
        "way",
        "terms",
        "detail",
        "like",
    ];
    const MOST: usize = 8;
    let mut found: Vec<String> = Vec::new();
    let mut run: Vec<&str> = Vec::new();
    let telling =
        |word: &str| !words(word).is_empty() && !ORDERS.contains(&word.to_lowercase().as_str());
    // The empty word at the end completes the last sequence.
    for word in text.split_whitespace().take(200).chain([""]) {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let goes_on = telling(bare) && bare.chars().count() <= 30;
        if goes_on {
            run.push(bare);
        }
        if (!goes_on || bare.len() < word.len() || run.len() == 3) && !run.is_empty() {
            let topic = run.join(" ");
            if !found.contains(&topic) {
                found.push(topic);
            }
            run.clear();
        }
    }
    found.truncate(MOST);
    found
}

fn stem(word: &str) -> &str {
    ["ing", "ies", "es", "ed", "s"]
        .into_iter()
        .filter_map(|ending| word.strip_suffix(ending))
        .find(|stem| stem.chars().count() >= 3)
        .unwrap_or(word)
}

/// Returns the first words of a text on one line, without the final punctuation.
pub(super) fn excerpt(text: &str, most: usize) -> String {
    let all: Vec<&str> = text.split_whitespace().collect();
    let kept = all.get(..most.min(all.len())).unwrap_or_default().join(" ");
    // Texts without spaces are truncated by characters.
    let short: String = kept.chars().take(most * 10).collect();
    if all.len() > most || short.len() < kept.len() {
        return format!("{short}…");
    }
    short
        .trim_end_matches(['.', '?', '!', ':', ';', ','])
        .to_owned()
}

/// Returns the sentences of a text, each including the white space after it. Joined, they are the
/// whole text.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (sentence, after) = rest.split_at_checked(sentence_length(rest))?;
        rest = after;
        (!sentence.is_empty()).then_some(sentence)
    })
}

fn sentence_length(text: &str) -> usize {
    let mut ended = false;
    let mut spaced = false;
    for (offset, c) in text.char_indices() {
        if spaced && !c.is_whitespace() {
            return offset;
        }
        spaced = c.is_whitespace() && (ended || spaced || c == '\n');
        ended = matches!(c, '.' | '!' | '?' | '。') || (ended && matches!(c, '"' | ')' | '\''));
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_the_text() {
        let text = "One 1.5 two.  Three? \"Four!\" five\nsix";
        let cut: Vec<&str> = sentences(text).collect();
        assert_eq!(
            cut,
            ["One 1.5 two.  ", "Three? ", "\"Four!\" ", "five\n", "six"]
        );
    }

    #[test]
    fn excerpts() {
        assert_eq!(excerpt("What is\nthis?", 5), "What is this");
        assert_eq!(excerpt("one two three four", 2), "one two…");
        assert_eq!(excerpt("", 2), "");
    }

    #[test]
    fn runs_of_topics() {
        assert_eq!(
            topics("Explain cloud computing, and the solar eclipse."),
            ["cloud computing", "solar eclipse"]
        );
        assert_eq!(topics("What is it?"), Vec::<String>::new());
    }

    #[test]
    fn topic_words() {
        assert_eq!(words("What's the weather in Paris?"), ["weather", "pari"]);
    }
}
