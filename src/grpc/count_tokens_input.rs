//! Selects the part of a request that CountTokens accepts.

use crate::pb::ConverseInput;

/// The members of a Converse request that CountTokens accepts, as JSON Pointers.
const ACCEPTED: [&str; 4] = [
    "/messages",
    "/system",
    "/toolConfig",
    "/additionalModelRequestFields",
];

/// Removes the members that CountTokens does not accept.
pub(super) fn keep_accepted(input: &mut ConverseInput) {
    let everything = std::mem::take(input);
    *input = ConverseInput {
        messages: everything.messages,
        system: everything.system,
        tool_config: everything.tool_config,
        additional_model_request_fields: everything.additional_model_request_fields,
        raw_members: everything.raw_members,
        ..ConverseInput::default()
    };
    let is_accepted = |pointer: &str| {
        ACCEPTED.iter().any(|member| {
            let rest = pointer.strip_prefix(member);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    input
        .raw_members
        .retain(|member| is_accepted(&member.pointer));
}
