//! Repairs answers that callers send back as part of the conversation. Models return blank texts
//! and empty answers, but Bedrock does not accept them in requests.

use std::{collections::HashMap, mem::take};

use super::raw;
use crate::pb::{ContentBlock, ConverseInput, Message, Role, content_block::Content};

/// Makes the answers in the conversation acceptable to Bedrock.
pub(crate) fn repair(input: &mut ConverseInput) {
    leave_out_blank_texts(input);
    leave_out_empty_answers(input);
}

/// Removes the blank texts of answers. Raw members refer to blocks by their position, so their
/// pointers are adjusted. A text to which a raw member refers is kept.
fn leave_out_blank_texts(input: &mut ConverseInput) {
    let has_blank = |message: &Message| {
        message.role() == Role::Assistant && message.content.iter().any(is_blank)
    };
    if !input.messages.iter().any(has_blank) {
        return;
    }
    // For each message, the index of each raw member and of the block to which it refers.
    let mut raw_in: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
    for (index, member) in input.raw_members.iter().enumerate() {
        if let Some((message, block, _)) = block_of(&member.pointer) {
            raw_in.entry(message).or_default().push((index, block));
        }
    }
    for (at, message) in input.messages.iter_mut().enumerate() {
        if !has_blank(message) {
            continue;
        }
        let raw_here = raw_in.remove(&at).unwrap_or_default();
        let mut kept: Vec<bool> = message.content.iter().map(|it| !is_blank(it)).collect();
        for (_, block) in &raw_here {
            if let Some(kept) = kept.get_mut(*block) {
                *kept = true;
            }
        }
        let mut left_out_before = Vec::with_capacity(kept.len());
        let mut left_out = 0;
        for kept in &kept {
            left_out_before.push(left_out);
            left_out += usize::from(!kept);
        }
        let mut keep = kept.into_iter();
        message.content.retain(|_| keep.next().unwrap_or(true));
        for (index, block) in raw_here {
            let before = *left_out_before.get(block).unwrap_or(&left_out);
            if let Some(member) = input.raw_members.get_mut(index)
                && let Some((_, _, rest)) = block_of(&member.pointer)
            {
                member.pointer = format!("/messages/{at}/content/{}{rest}", block - before);
            }
        }
    }
}

fn is_blank(block: &ContentBlock) -> bool {
    matches!(&block.content, Some(Content::Text(text)) if text.trim_start().is_empty())
}

/// Returns the message and the block to which a pointer refers, and the remaining pointer.
fn block_of(pointer: &str) -> Option<(usize, usize, &str)> {
    let (message, block) = pointer
        .strip_prefix("/messages/")?
        .split_once("/content/")?;
    let end = block.find('/').unwrap_or(block.len());
    let (block, rest) = block.split_at_checked(end)?;
    Some((raw::index(message)?, raw::index(block)?, rest))
}

/// Removes answers without any content block, because Bedrock refuses empty messages. The user
/// messages before and after such an answer are merged into one, because roles must alternate.
///
/// Changes nothing if the pointer of any raw member begins with `/messages`, because it refers to
/// messages by their position.
fn leave_out_empty_answers(input: &mut ConverseInput) {
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
            // Two consecutive user messages are not merged if they were adjacent in the request.
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
    fn blank_texts_of_answers_are_left_out() {
        let user = message(Role::User, &[" "]);
        let answer = message(Role::Assistant, &["\n\n", "a ", " \t", "b"]);
        let mut input = input(&[user.clone(), answer, message(Role::Assistant, &[" "])]);
        repair(&mut input);
        let kept = message(Role::Assistant, &["a ", "b"]);
        assert_eq!(input.messages, [user, kept]);
    }

    #[test]
    fn raw_members_follow_their_block() {
        let answer = message(Role::Assistant, &["\n", "a", " ", " ", "b"]);
        let mut input = input(&[message(Role::User, &["a"]), answer]);
        let pointers = [
            ("/messages/1/content/1/x", "/messages/1/content/0/x"),
            // The blank text is kept, because a raw member refers to it.
            ("/messages/1/content/3/y/0", "/messages/1/content/1/y/0"),
            ("/messages/1/content/4/z", "/messages/1/content/2/z"),
            ("/messages/1/content/5", "/messages/1/content/3"),
            ("/messages/1/content/-", "/messages/1/content/-"),
            ("/messages/0/content/1", "/messages/0/content/1"),
            ("/messages/2", "/messages/2"),
            ("/messages/01/content/4", "/messages/01/content/4"),
            (
                "/messages/1/content/99999999999999999999",
                "/messages/1/content/99999999999999999999",
            ),
        ];
        input.raw_members = pointers
            .iter()
            .map(|(pointer, _)| RawMember {
                pointer: (*pointer).to_owned(),
                json: "1".to_owned(),
            })
            .collect();
        repair(&mut input);
        assert_eq!(
            input.messages[1],
            message(Role::Assistant, &["a", " ", "b"])
        );
        for (member, (_, expected)) in input.raw_members.iter().zip(pointers) {
            assert_eq!(member.pointer, expected);
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
