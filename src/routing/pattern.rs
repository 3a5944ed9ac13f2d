//! Patterns of model IDs and ARNs, in which `*` stands for any characters.

/// Whether a text matches a pattern in which `*` stands for any characters.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "us.anthropic.claude", true),
            ("us.*", "us.anthropic.claude", true),
            ("us.*", "eu.anthropic.claude", false),
            ("us.anthropic.claude", "us.anthropic.claude", true),
            ("us.anthropic.claude", "us.anthropic.claude-2", false),
            ("*claude*", "us.anthropic.claude-2", true),
            (
                "*:inference-profile/*",
                "arn:aws:bedrock:us-east-1:1:inference-profile/x",
                true,
            ),
            ("a*b*b", "abb", true),
            ("a*b*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
