//! Repairs answers that callers send back as part of the conversation.

use std::mem::take;

use crate::pb::{ConverseInput, Message, Role};

/// Removes answers without any content block, because Bedrock refuses empty messages. The user
/// messages before and after such an answer are merged into one, because roles must alternate.
///
/// Changes nothing if a raw member's pointer begins with `/messages`, since it refers to messages
/// by their position.
pub(crate) fn leave_out_empty_answers(input: &mut ConverseInput) {
    let counts_messages = |pointer: &str| pointer.starts_with("/messages");
    let raw_members = &mut input.raw_members.iter();
    if !input.messages.iter().any(is_empty_answer)
        || raw_members.any(|member| counts_messages(&member.pointer))
    {
        return;
    }
    let mut kept: Vec<Message> = Vec::with_capacity(input.messages.len());
    let mut left_out = false;
    for message in take(&mut input.messages) {
        if is_empty_answer(&message) {
            left_out = true;
            continue;
        }
        match kept.last_mut() {
            Some(last) if take(&mut left_out) && last.role == message.role => {
                last.content.extend(message.content);
            }
            _ => kept.push(message),
        }
        left_out = false;
    }
    input.messages = kept;
}

fn is_empty_answer(message: &Message) -> bool {
    message.role() == Role::Assistant && message.content.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{ContentBlock, RawMember, content_block::Content};

    fn message(role: Role, texts: &[&str]) -> Message {
        let blocks = texts.iter().map(|text| ContentBlock {
            content: Some(Content::Text((*text).to_owned())),
        });
        Message {
            role: role.into(),
            content: blocks.collect(),
        }
    }

    fn input(messages: &[Message]) -> ConverseInput {
        ConverseInput {
            messages: messages.to_vec(),
            ..ConverseInput::default()
        }
    }

    #[test]
    fn the_questions_around_an_empty_answer_become_one_message() {
        let (a, b) = (message(Role::User, &["a"]), message(Role::User, &["b"]));
        let nothing = message(Role::Assistant, &[]);
        let answer = message(Role::Assistant, &["x"]);
        for (messages, expected) in [
            (vec![a.clone(), nothing.clone()], vec![a.clone()]),
            (
                vec![
                    a.clone(),
                    nothing.clone(),
                    nothing.clone(),
                    b.clone(),
                    answer.clone(),
                ],
                vec![message(Role::User, &["a", "b"]), answer.clone()],
            ),
            (
                vec![a.clone(), nothing.clone(), answer.clone(), b.clone()],
                vec![a.clone(), answer.clone(), b.clone()],
            ),
            // Two user messages in a row that were adjacent in the request are not merged.
            (
                vec![a.clone(), b.clone(), nothing.clone(), b.clone()],
                vec![a.clone(), message(Role::User, &["b", "b"])],
            ),
        ] {
            let mut input = input(&messages);
            leave_out_empty_answers(&mut input);
            assert_eq!(input.messages, expected);
        }
    }

    #[test]
    fn messages_that_raw_members_count_stay_where_they_are() {
        let messages = [
            message(Role::User, &["a"]),
            message(Role::Assistant, &[]),
            message(Role::User, &["b"]),
        ];
        let mut input = input(&messages);
        input.raw_members.push(RawMember {
            pointer: "/messages/1/content/0".to_owned(),
            json: r#"{"newBlock":{}}"#.to_owned(),
        });
        leave_out_empty_answers(&mut input);
        assert_eq!(input.messages, messages);
    }
}
