//! Generates prose about the prompt. Its statements are true of the request, or of any topic.

use super::{
    super::{request::Request, seed::Seed},
    ask::{Length, dictated, length},
    excerpt,
    tokens::tokens,
    topics,
};

/// Answers the prompt with text. `open_length` is the number of tokens if the prompt does not ask
/// for a length.
pub(in super::super) fn answer(request: &Request<'_>, open_length: u32, seed: &mut Seed) -> String {
    if let Some(text) = dictated(&request.prompt) {
        return text;
    }
    let mut sentences = Sentences::about(request, seed);
    match length(&request.prompt) {
        Length::Words(count) => exactly(count, &mut sentences),
        Length::Sentences(count) => sentences.take(count).collect::<Vec<_>>().join(" "),
        Length::Paragraphs(count) => {
            let paragraphs =
                (0..count).map(|_| sentences.by_ref().take(4).collect::<Vec<_>>().join(" "));
            paragraphs.collect::<Vec<_>>().join("\n\n")
        }
        Length::Open => about(
            usize::try_from(open_length).unwrap_or(usize::MAX),
            &mut sentences,
        ),
    }
}

/// Returns whole sentences until there are enough tokens. Facts about the request are always
/// included.
fn about(count: usize, sentences: &mut Sentences) -> String {
    let mut text = String::new();
    loop {
        let known = sentences.has_facts();
        if !text.is_empty() && !known && tokens(&text).count() >= count {
            return text;
        }
        let Some(sentence) = sentences.next() else {
            return text;
        };
        if !text.is_empty() {
            text.push_str(
                if text.len() / 600 > (text.len() - last_line(&text)) / 600 + 1 {
                    "\n\n"
                } else {
                    " "
                },
            );
        }
        text.push_str(&sentence);
    }
}

fn last_line(text: &str) -> usize {
    text.rsplit('\n').next().map_or(0, str::len)
}

fn exactly(count: usize, sentences: &mut Sentences) -> String {
    if count == 1 {
        return format!("{}.", sentences.word);
    }
    let mut kept: Vec<String> = Vec::with_capacity(count);
    while kept.len() < count {
        let Some(sentence) = sentences.next() else {
            break;
        };
        kept.extend(
            sentence
                .split_whitespace()
                .take(count - kept.len())
                .map(str::to_owned),
        );
    }
    let text = kept.join(" ");
    format!("{}.", text.trim_end_matches(['.', ',', ';', ':', '!', '?']))
}

/// Statements that are true of any topic, in the singular and in the plural.
const SHAPES: [&str; 12] = [
    "A good way into {} is to start from an example and work back to the rule.",
    "Most people meet {} first in practice, and only later ask for the reasons.",
    "It helps to tell {} apart from what merely looks similar.",
    "With {}, small details often decide the outcome.",
    "The short version: without {}, a good deal else would not work.",
    "There are costs to {} as well as uses, and both are worth knowing.",
    "Compared with the alternatives, one can explain {} in a few lines.",
    "In everyday work, {} mostly means a few habits that are kept.",
    "Whoever wants to know more about {} should read a second source as well.",
    "There is a trade-off in {} between being exact and being quick.",
    "It is best to test {} early and in small steps.",
    "If there is one thing to remember about {}, it is to measure before judging.",
];

/// Generates any number of sentences: first about the request, then general ones.
struct Sentences {
    facts: std::vec::IntoIter<String>,
    topics: Vec<String>,
    /// One word, for an answer that may have only one token.
    word: String,
    /// The index of the first template, and the number of templates that have been used since.
    first: usize,
    said: usize,
}

impl Sentences {
    fn about(request: &Request<'_>, seed: &mut Seed) -> Self {
        let mut topics = topics(&request.prompt);
        if topics.is_empty() {
            topics.push("this question".to_owned());
        }
        Self {
            facts: facts(request, seed).into_iter(),
            topics,
            word: one_word(&request.prompt),
            first: seed.below(SHAPES.len()),
            said: 0,
        }
    }

    fn has_facts(&self) -> bool {
        !self.facts.as_slice().is_empty()
    }
}

impl Iterator for Sentences {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.facts.next().or_else(|| {
            let topic = self.topics.get(self.said % self.topics.len().max(1));
            // With steps of seven, all twelve templates are used before any is used again.
            let shape = SHAPES.get((self.first + 7 * self.said) % SHAPES.len());
            self.said += 1;
            Some(shape?.replace("{}", topic?))
        })
    }
}

/// Returns true statements about the request.
fn facts(request: &Request<'_>, seed: &mut Seed) -> Vec<String> {
    let mut facts = Vec::new();
    let topic = excerpt(&request.prompt, 14);
    if !topic.is_empty() {
        let opening = seed.pick(&[
            "You asked: ",
            "Here is my answer to ",
            "About ",
            "To your message ",
        ]);
        facts.push(format!("{opening}\"{topic}\"."));
    }
    facts.extend(prompt_resource(request));
    facts.extend(attachments(request));
    if !request.system().trim().is_empty() {
        facts.push(format!(
            "I keep to the system prompt (\"{}\").",
            excerpt(&request.system(), 8)
        ));
    }
    match request.messages().len() {
        0 | 1 => {}
        count => facts.push(format!("This conversation has {count} messages so far.")),
    }
    facts
}

/// Describes the variables that were sent to a prompt of Prompt management.
fn prompt_resource(request: &Request<'_>) -> Option<String> {
    let name = prompt_name(request.model_id)?;
    let variables = request
        .body
        .get("promptVariables")
        .and_then(serde_json::Value::as_object);
    let values: Vec<String> = variables
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            Some(format!(
                "{name} = \"{}\"",
                excerpt(value.get("text")?.as_str()?, 12)
            ))
        })
        .collect();
    Some(match values.is_empty() {
        true => format!("I answer for the prompt {name}, which you gave no variables."),
        false => format!(
            "I answer for the prompt {name} with {}.",
            values.join(" and ")
        ),
    })
}

fn attachments(request: &Request<'_>) -> Option<String> {
    let each: Vec<String> = request
        .attachments()
        .iter()
        .map(|attachment| {
            let article = if attachment.kind.starts_with(['a', 'i']) {
                "an"
            } else {
                "a"
            };
            match attachment.name {
                Some(name) => format!(
                    "{article} {} named \"{name}\" ({})",
                    attachment.kind, attachment.format
                ),
                None => format!("{article} {} ({})", attachment.kind, attachment.format),
            }
        })
        .collect();
    (!each.is_empty()).then(|| format!("You attached {}.", each.join(", ")))
}

/// Returns a name in the question or, if there is none, its last word.
fn one_word(prompt: &str) -> String {
    let question = super::sentences(prompt).next().unwrap_or_default();
    let words: Vec<&str> = question
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut names = words
        .iter()
        .skip(1)
        .filter(|word| word.starts_with(char::is_uppercase) && word.len() > 1);
    names
        .next_back()
        .or(words.last())
        .map_or_else(|| "Yes".to_owned(), |word| (*word).to_owned())
}

/// Returns the ID of the prompt that a model ID names, if it is a prompt's ARN.
fn prompt_name(model_id: &str) -> Option<&str> {
    let name = super::super::validate::resource_of(model_id)?.strip_prefix("prompt/")?;
    name.split(':').next()
}
