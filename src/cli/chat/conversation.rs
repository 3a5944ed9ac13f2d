//! Keeps the conversation and builds the next request from it.

use crate::pb::{
    ContentBlock, ConverseInput, InferenceConfiguration, Message, Role, StreamInvokeRequest,
    SystemContentBlock, citation_generated_content, content_block::Content,
    reasoning_content_block, system_content_block,
};

/// Tells the model that the user ended its answer with Ctrl-C. Added to that answer in the history.
const CUT: &str = "\n\n[The user cut this answer off here.]";

/// A conversation: its target, and the questions with their answers.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    target: String,
    system: Option<String>,
    inference: Option<InferenceConfiguration>,
    messages: Vec<Message>,
}

impl Conversation {
    pub(super) fn new(
        target: String,
        system: Option<String>,
        inference: Option<InferenceConfiguration>,
    ) -> Self {
        Self {
            target,
            system,
            inference,
            messages: Vec::new(),
        }
    }

    /// Returns the request for the next question. The question becomes part of the conversation
    /// only when [`Self::keep`] adds it with its answer.
    pub(super) fn request(&self, question: &str) -> StreamInvokeRequest {
        let mut messages = self.messages.clone();
        messages.push(message(Role::User, [Content::Text(question.to_owned())]));
        let system = self.system.iter().map(|text| SystemContentBlock {
            content: Some(system_content_block::Content::Text(text.clone())),
        });
        StreamInvokeRequest {
            target: self.target.clone(),
            input: Some(ConverseInput {
                messages,
                system: system.collect(),
                inference_config: self.inference.clone(),
                ..ConverseInput::default()
            }),
            ..StreamInvokeRequest::default()
        }
    }

    /// Adds a question and its answer. An answer without text is not added, because Bedrock rejects
    /// empty messages.
    ///
    /// Reasoning is kept if the model signed or encrypted it, because Bedrock rejects other
    /// reasoning. Tool calls are left out, because `chat` has no results for them.
    pub(super) fn keep(&mut self, question: &str, answer: Answer) {
        let mut blocks: Vec<_> = answer.blocks.into_iter().filter_map(repeated).collect();
        let last_text = blocks.iter_mut().rev().find_map(|content| match content {
            Content::Text(text) => Some(text),
            _ => None,
        });
        let Some(last_text) = last_text else {
            return;
        };
        if answer.cut {
            last_text.push_str(CUT);
        }
        self.messages
            .push(message(Role::User, [Content::Text(question.to_owned())]));
        self.messages.push(message(Role::Assistant, blocks));
    }

    /// Clears the conversation.
    pub(super) fn reset(&mut self) {
        self.messages.clear();
    }

    pub(super) fn set_target(&mut self, target: &str) {
        target.clone_into(&mut self.target);
    }

    /// Sets the instructions. An empty text removes them.
    pub(super) fn set_system(&mut self, system: &str) {
        self.system = Some(system.to_owned()).filter(|text| !text.is_empty());
    }
}

/// An answer, or the part that was received.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// The content blocks of the answer, in order.
    pub(super) blocks: Vec<ContentBlock>,
    /// Whether Ctrl-C ended the answer.
    pub(super) cut: bool,
}

/// Returns what the next request repeats of a block. `None` if it repeats nothing.
fn repeated(block: ContentBlock) -> Option<Content> {
    use reasoning_content_block::Content as Reasoning;
    match block.content? {
        Content::Text(text) => is_visible(&text).then_some(Content::Text(text)),
        // Only the text is repeated, without the cited sources.
        Content::CitationsContent(block) => {
            let texts = block.content.into_iter().filter_map(|part| part.content);
            let text: String = texts
                .map(|citation_generated_content::Content::Text(text)| text)
                .collect();
            is_visible(&text).then_some(Content::Text(text))
        }
        Content::ReasoningContent(block) => {
            let is_proven = match block.content.as_ref()? {
                Reasoning::ReasoningText(text) => text
                    .signature
                    .as_ref()
                    .is_some_and(|signature| !signature.is_empty()),
                Reasoning::RedactedContent(bytes) => !bytes.is_empty(),
            };
            is_proven.then_some(Content::ReasoningContent(block))
        }
        _ => None,
    }
}

fn is_visible(text: &str) -> bool {
    !text.trim().is_empty()
}

fn message(role: Role, blocks: impl IntoIterator<Item = Content>) -> Message {
    let blocks = blocks.into_iter().map(|content| ContentBlock {
        content: Some(content),
    });
    Message {
        role: role.into(),
        content: blocks.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{ReasoningContentBlock, ReasoningTextBlock, ToolUseBlock};

    fn answer(texts: &[&str], cut: bool) -> Answer {
        let texts = texts.iter().map(|&text| Content::Text(text.to_owned()));
        Answer {
            blocks: message(Role::Assistant, texts).content,
            cut,
        }
    }

    fn reasoning(content: reasoning_content_block::Content) -> Content {
        Content::ReasoningContent(ReasoningContentBlock {
            content: Some(content),
        })
    }

    fn reasoning_text(signature: Option<&str>) -> Content {
        reasoning(reasoning_content_block::Content::ReasoningText(
            ReasoningTextBlock {
                text: "r".to_owned(),
                signature: signature.map(str::to_owned),
            },
        ))
    }

    #[test]
    fn reasoning_is_kept_in_its_place_if_the_model_can_check_it() {
        let redacted = reasoning(reasoning_content_block::Content::RedactedContent(
            vec![1, 2].into(),
        ));
        let text = Content::Text("a".to_owned());
        let call = Content::ToolUse(ToolUseBlock::default());
        let said = [
            reasoning_text(Some("s")),
            reasoning_text(None),
            redacted.clone(),
            text.clone(),
            call,
        ];
        let mut conversation = Conversation::new("t".to_owned(), None, None);
        let answer = Answer {
            blocks: message(Role::Assistant, said).content,
            cut: false,
        };
        conversation.keep("q", answer);
        let kept = message(Role::Assistant, [reasoning_text(Some("s")), redacted, text]);
        assert_eq!(conversation.messages[1], kept);
    }

    #[test]
    fn an_answer_without_text_leaves_no_trace() {
        let mut conversation = Conversation::new("t".to_owned(), None, None);
        conversation.keep("q", answer(&["", " \n"], true));
        assert!(conversation.messages.is_empty());
    }

    #[test]
    fn a_cut_answer_is_marked() {
        let mut conversation = Conversation::new("t".to_owned(), None, None);
        conversation.keep("q", answer(&["a", "", "b"], true));
        let texts: Vec<_> = conversation.messages[1].content.iter().collect();
        assert_eq!(texts.len(), 2);
        assert_eq!(texts[1].content, Some(Content::Text(format!("b{CUT}"))));
    }
}
