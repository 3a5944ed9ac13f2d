//! Prose about the prompt: true of the request, and otherwise harmless.

use super::{
    super::{request::Request, seed::Seed},
    ask::{Length, dictated, length},
    excerpt,
    tokens::tokens,
    words,
};

/// Answers the prompt in text. `open_length`: tokens when the prompt asks for no length.
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

/// Whole sentences until there are as many tokens; what is known of the request is always said.
fn about(count: usize, sentences: &mut Sentences<'_>) -> String {
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

fn exactly(count: usize, sentences: &mut Sentences<'_>) -> String {
    if count == 1 {
        return format!("{}.", sentences.word());
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

/// Sentences without end: first what is known of the request, then what can be said of anything.
struct Sentences<'a> {
    facts: std::vec::IntoIter<String>,
    topics: Vec<String>,
    seed: &'a mut Seed,
    said: usize,
}

impl<'a> Sentences<'a> {
    fn about(request: &Request<'_>, seed: &'a mut Seed) -> Self {
        let mut topics = words_as_written(&request.prompt);
        if topics.is_empty() {
            topics.push("this question".to_owned());
        }
        Self {
            facts: facts(request, seed).into_iter(),
            topics,
            seed,
            said: 0,
        }
    }

    fn has_facts(&self) -> bool {
        !self.facts.as_slice().is_empty()
    }

    /// One word for an answer.
    fn word(&self) -> String {
        let word = self.topics.last().map_or("Yes", String::as_str);
        let mut characters = word.split_whitespace().next().unwrap_or("Yes").chars();
        characters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(characters).collect()
        })
    }
}

impl Iterator for Sentences<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.facts.next().or_else(|| {
            const SHAPES: [&str; 12] = [
                "A good way into {} is to start from an example and work back to the rule.",
                "Most people meet {} first in practice, and only later ask why it works.",
                "It helps to tell {} apart from what merely looks like it.",
                "Where {} is concerned, small details often decide the outcome.",
                "The short version: {} matters because other things depend on it.",
                "One should not forget that {} has costs as well as uses.",
                "Compared with its alternatives, {} is easier to explain than to replace.",
                "In everyday work {} comes down to a few habits that are kept.",
                "Whoever wants to know more about {} should read a second source as well.",
                "There is a trade-off: the more exact {} becomes, the longer it takes.",
                "Experience shows that {} is best tested early and in small steps.",
                "If there is one thing to remember about {}, it is to measure before judging.",
            ];
            let topic = self
                .topics
                .get(self.said % self.topics.len().max(1))
                .cloned()
                .unwrap_or_default();
            let first = self.seed.below(SHAPES.len());
            let shape = SHAPES
                .get((first + self.said) % SHAPES.len())
                .copied()
                .unwrap_or_default();
            self.said += 1;
            Some(shape.replace("{}", &topic))
        })
    }
}

/// What can truly be said of the request.
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

/// What was said through a prompt of Prompt management.
fn prompt_resource(request: &Request<'_>) -> Option<String> {
    let name = super::super::prompt_name(request.model_id)?;
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

/// The words that say what the prompt is about, as they are written there.
fn words_as_written(prompt: &str) -> Vec<String> {
    let mut topics: Vec<String> = Vec::new();
    for word in prompt
        .split(|c: char| !c.is_alphanumeric() && c != '-')
        .take(200)
    {
        let plain = word.trim_matches('-');
        let known = topics.iter().any(|topic| topic.eq_ignore_ascii_case(plain));
        if !words(plain).is_empty() && !known && plain.chars().count() <= 30 {
            topics.push(plain.to_owned());
        }
        if topics.len() == 12 {
            break;
        }
    }
    topics
}
