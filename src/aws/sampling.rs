//! Determines which sampling parameters a model accepts.

/// Which of `temperature` and `top_p` a model accepts. The variants are ordered from the most to
/// the least permissive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sampling {
    /// Both parameters, even in one request.
    Both,
    /// One of the two parameters. The model refuses a request with both.
    EitherOne,
    /// Neither parameter. The model refuses all values except its default.
    Neither,
}

impl Sampling {
    /// Returns which parameters a model accepts. `model_id` is a model ID, the ID of a system
    /// inference profile, or an ARN that ends with one of these.
    ///
    /// Claude models refuse requests with both parameters since version 4.1, and requests with
    /// either parameter since Opus 4.7 and Sonnet 5. An unknown Claude model is treated like the
    /// newest ones. Sources: Anthropic's migration guides, and the errors that Bedrock returns.
    pub fn of_model(model_id: &str) -> Self {
        let Some((_, claude)) = model_id.split_once("anthropic.claude-") else {
            return Self::Both;
        };
        match version(claude) {
            Some(version) if version < (4, 1) => Self::Both,
            Some(version) if version < (4, 7) => Self::EitherOne,
            _ => Self::Neither,
        }
    }
}

/// Returns the version in names such as `sonnet-4-5-20250929-v1:0`, `opus-4-8`,
/// `3-7-sonnet-20250219-v1:0`, `v2:1` and `instant-v1`.
fn version(claude: &str) -> Option<(u32, u32)> {
    let mut parts = claude.split(['-', ':', '.']).peekable();
    let is_number = |part: &str| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if claude.starts_with("instant") {
        return Some((1, 0));
    }
    if let Some(old) = claude.strip_prefix('v') {
        let major = old.split([':', '.', '-']).next()?;
        return Some((major.parse().ok()?, 0));
    }
    if !parts.peek().is_some_and(|part| is_number(part)) {
        parts.next();
    }
    let major = parts.next().filter(|part| is_number(part))?;
    let minor = parts.next().filter(|part| is_number(part)).unwrap_or("0");
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_is_recognized_by_its_version() {
        for (model, expected) in [
            ("amazon.nova-lite-v1:0", Sampling::Both),
            ("anthropic.claude-v2:1", Sampling::Both),
            ("anthropic.claude-instant-v1", Sampling::Both),
            ("anthropic.claude-3-haiku-20240307-v1:0", Sampling::Both),
            (
                "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
                Sampling::Both,
            ),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Sampling::Both),
            (
                "anthropic.claude-opus-4-1-20250805-v1:0",
                Sampling::EitherOne,
            ),
            (
                "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                Sampling::EitherOne,
            ),
            (
                "anthropic.claude-haiku-4-5-20251001-v1:0",
                Sampling::EitherOne,
            ),
            ("global.anthropic.claude-opus-4-6", Sampling::EitherOne),
            ("anthropic.claude-opus-4-7", Sampling::Neither),
            ("anthropic.claude-opus-4-8", Sampling::Neither),
            ("us.anthropic.claude-sonnet-5", Sampling::Neither),
            ("us.anthropic.claude-sonnet-5-5", Sampling::Neither),
            ("anthropic.claude-fable-5-2", Sampling::Neither),
            ("anthropic.claude-next", Sampling::Neither),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-1-20250805-v1:0",
                Sampling::EitherOne,
            ),
        ] {
            assert_eq!(Sampling::of_model(model), expected, "{model}");
        }
        assert!(Sampling::Both < Sampling::Neither);
    }
}
