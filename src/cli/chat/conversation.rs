//! What was said so far, as the next request.

use crate::pb::{
    ContentBlock, ConverseInput, InferenceConfiguration, Message, Role, StreamInvokeRequest,
    SystemContentBlock, content_block, system_content_block,
};

/// Stands at the end of an answer that Ctrl-C cut, for the model to know.
const CUT: &str = "\n\n[The user cut this answer off here.]";

/// A conversation: whom it is with, and the questions that were answered.
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

    /// The request that asks this next. The question is not part of the conversation before it is answered.
    pub(super) fn request(&self, question: &str) -> StreamInvokeRequest {
        let mut messages = self.messages.clone();
        messages.push(message(Role::User, [question.to_owned()]));
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
            heartbeat_interval: None,
        }
    }

    /// Keeps a question and its answer's texts. Without any text neither is kept, since Bedrock takes no empty message.
    ///
    /// Reasoning is left out, which models allow between turns; calls of tools too, since nobody here gives their results.
    pub(super) fn keep(&mut self, question: &str, answer: &Answer) {
        let texts = answer.texts.iter().filter(|text| !text.trim().is_empty());
        let mut texts: Vec<String> = texts.cloned().collect();
        let Some(last) = texts.last_mut() else {
            return;
        };
        if answer.cut {
            last.push_str(CUT);
        }
        self.messages
            .push(message(Role::User, [question.to_owned()]));
        self.messages.push(message(Role::Assistant, texts));
    }

    /// Forgets what was said.
    pub(super) fn reset(&mut self) {
        self.messages.clear();
    }

    pub(super) fn set_target(&mut self, target: &str) {
        target.clone_into(&mut self.target);
    }

    /// Sets the instructions; an empty text stands for none.
    pub(super) fn set_system(&mut self, system: &str) {
        self.system = Some(system.to_owned()).filter(|text| !text.is_empty());
    }
}

/// What came of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// The text of each content block that has any, in order.
    pub(super) texts: Vec<String>,
    /// Ctrl-C ended it.
    pub(super) cut: bool,
}

fn message(role: Role, texts: impl IntoIterator<Item = String>) -> Message {
    let blocks = texts.into_iter().map(|text| ContentBlock {
        content: Some(content_block::Content::Text(text)),
    });
    Message {
        role: role.into(),
        content: blocks.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(texts: &[&str], cut: bool) -> Answer {
        Answer {
            texts: texts.iter().map(|&text| text.to_owned()).collect(),
            cut,
        }
    }

    #[test]
    fn an_answer_without_text_leaves_no_trace() {
        let mut conversation = Conversation::new("t".to_owned(), None, None);
        conversation.keep("q", &answer(&["", " \n"], true));
        assert!(conversation.messages.is_empty());
    }

    #[test]
    fn a_cut_answer_says_so() {
        let mut conversation = Conversation::new("t".to_owned(), None, None);
        conversation.keep("q", &answer(&["a", "", "b"], true));
        let texts: Vec<_> = conversation.messages[1].content.iter().collect();
        assert_eq!(texts.len(), 2);
        assert_eq!(
            texts[1].content,
            Some(content_block::Content::Text(format!("b{CUT}")))
        );
    }
}
