//! Matches model IDs and ARNs with patterns, in which `*` stands for any characters of one part.
//!
//! An ARN is `arn:partition:service:region:account:type/id`. A pattern for ARNs has the same six
//! parts. Each part is matched separately, so that a `*` never matches a `:` between parts.
//! Otherwise, `arn:aws:bedrock:eu-*:123456789012:inference-profile/*` could match an ARN of another
//! account whose resource contains this account ID. The `id` itself may contain `:` and `/`, which
//! a `*` at this point matches.

/// The number of parts of an ARN. Only the last part, the resource, may contain `:`.
const ARN_PARTS: usize = 6;

/// Returns whether a pattern matches a whole model ID or ARN.
///
/// - `*` alone matches every model ID and every ARN.
/// - A pattern that begins with `arn:` matches ARNs only, part by part.
/// - Any other pattern matches model IDs and inference profile IDs only.
pub fn matches(pattern: &str, name: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match (is_arn(pattern), is_arn(name)) {
        (true, true) => arn_matches(pattern, name),
        (false, false) => glob_matches(pattern, name),
        (true, false) | (false, true) => false,
    }
}

/// Checks whether a pattern can match anything.
///
/// # Errors
/// Returns what is wrong with the pattern, and what to write instead.
pub fn check(pattern: &str) -> Result<(), String> {
    if is_arn(pattern) {
        if pattern.splitn(ARN_PARTS, ':').count() < ARN_PARTS {
            return Err(format!(
                "`{pattern}` matches no ARN, because `*` does not match `:`. Write all six parts, such as arn:aws:bedrock:*:123456789012:inference-profile/*"
            ));
        }
    } else if pattern.contains('/') || pattern.matches(':').count() >= ARN_PARTS - 1 {
        return Err(format!(
            "`{pattern}` matches no model ID; patterns of ARNs begin with `arn:`, such as arn:aws:bedrock:*:123456789012:inference-profile/*"
        ));
    }
    Ok(())
}

/// Returns whether the gateway treats a text as an ARN: it begins with `arn:`, in upper or lower
/// case.
fn is_arn(text: &str) -> bool {
    text.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("arn:"))
}

fn arn_matches(pattern: &str, arn: &str) -> bool {
    let mut patterns = pattern.splitn(ARN_PARTS, ':');
    let mut parts = arn.splitn(ARN_PARTS, ':');
    for _ in 1..ARN_PARTS {
        match (patterns.next(), parts.next()) {
            (Some(pattern), Some(part)) if glob_matches(pattern, part) => {}
            _ => return false,
        }
    }
    match (patterns.next(), parts.next()) {
        (Some(pattern), Some(resource)) => resource_matches(pattern, resource),
        _ => false,
    }
}

/// Returns whether a pattern matches a resource. A `*` in the type does not match the `/` that ends
/// the type.
fn resource_matches(pattern: &str, resource: &str) -> bool {
    match (pattern.split_once('/'), resource.split_once('/')) {
        _ if pattern == "*" => true,
        (Some((kind_pattern, id_pattern)), Some((kind, id))) => {
            glob_matches(kind_pattern, kind) && glob_matches(id_pattern, id)
        }
        (None, None) => glob_matches(pattern, resource),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Returns whether a pattern, in which `*` stands for any characters, matches the whole text.
fn glob_matches(pattern: &str, text: &str) -> bool {
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
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_ids_match_whole_ids() {
        for (pattern, text, expected) in [
            ("*", "us.anthropic.claude", true),
            ("us.*", "us.anthropic.claude", true),
            ("us.*", "eu.anthropic.claude", false),
            ("us.anthropic.claude", "us.anthropic.claude", true),
            ("us.anthropic.claude", "us.anthropic.claude-2", false),
            ("*claude*", "us.anthropic.claude-2", true),
            ("amazon.nova-*", "amazon.nova-lite-v1:0", true),
            ("a*b*b", "abb", true),
            ("a*b*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_of_arns_match_part_by_part() {
        const PROFILES: &str = "arn:aws:bedrock:eu-*:123456789012:inference-profile/*";
        for (pattern, text, expected) in [
            (
                PROFILES,
                "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
                true,
            ),
            (
                PROFILES,
                "arn:aws:bedrock:eu-west-1:999999999999:prompt/x:123456789012:inference-profile/x",
                false,
            ),
            (
                PROFILES,
                "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/x",
                false,
            ),
            (
                PROFILES,
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/x",
                false,
            ),
            (
                "arn:aws:bedrock:*:123456789012:*profile/*",
                "arn:aws:bedrock:us-east-1:123456789012:prompt/a-profile/x",
                false,
            ),
            (
                "arn:aws:bedrock:*:123456789012:*profile/*",
                "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x",
                true,
            ),
            (
                "arn:aws:bedrock:*::foundation-model/amazon.*:0",
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
                true,
            ),
            (
                "arn:aws:bedrock:*:123456789012:*",
                "arn:aws:bedrock:us-east-1:123456789012:prompt/PROMPT1234:1",
                true,
            ),
            (
                "arn:*:bedrock:*",
                "arn:aws:bedrock:us-east-1:123456789012:prompt/PROMPT1234:1",
                false,
            ),
            ("*claude*", "arn:aws:bedrock:us-east-1:1:x/claude", false),
            ("*", "arn:aws:bedrock:us-east-1:1:x/claude", true),
            ("*", "ARN:aws:bedrock:us-east-1:1:x/claude", true),
            ("*claude*", "ARN:aws:bedrock:us-east-1:1:x/claude", false),
            ("arn:*:*:*:*:*", "us.anthropic.claude", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for good in [
            "*",
            "us.*",
            "*:0",
            "arn:aws:bedrock:*:*:*",
            "arn:*:*:*:*:a/*",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "arn:*",
            "arn:aws:bedrock:*",
            "*:inference-profile/*",
            "*:*:*:*:*:*",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
