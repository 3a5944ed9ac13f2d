//! The state that all turns of a conversation share.

use super::conversation::Conversation;
use crate::cli::{client::Gateway, interrupt::Interrupts};

/// The state that all turns of a conversation share.
pub(super) struct Session {
    pub(super) gateway: Gateway,
    pub(super) conversation: Conversation,
    pub(super) interrupts: Interrupts,
    pub(super) show_reasoning: bool,
    pub(super) show_summary: bool,
}
