//! The names of callers and groups.

/// The longest name of a caller or a group, in bytes: names travel in logs, metrics and keys of the
/// limits store.
const MAX_NAME_BYTES: usize = 128;

/// What names of callers and groups look like.
pub(super) const NAME_RULE: &str = "a name has 1 to 128 letters, digits and . _ - / : @";

/// Whether this can be the name of a caller or a group. It takes team names, e-mail addresses,
/// SPIFFE IDs and the names of Kubernetes service accounts.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte))
}
