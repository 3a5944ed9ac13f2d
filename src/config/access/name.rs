//! The names of callers and groups.

/// The maximum length of the name of a caller or a group, in bytes. Names are part of logs, metrics
/// and keys of the limits store.
const MAX_NAME_BYTES: usize = 128;

/// The rule for names of callers and groups, as errors describe it.
pub(super) const NAME_RULE: &str = "use 1 to 128 letters, digits and . _ - / : @";

/// Returns whether a text can be the name of a caller or a group. Team names, e-mail addresses,
/// SPIFFE IDs and the names of Kubernetes service accounts are valid.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte))
}
