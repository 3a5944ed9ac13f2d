//! Hides AWS account IDs and IAM identities in texts that the gateway sends to callers.

/// The number of digits of an AWS account ID.
const ACCOUNT_DIGITS: usize = 12;

/// Returns the text without account IDs and IAM identities: `(identity)` replaces an ARN of IAM or
/// STS, and `*` replaces a number of twelve digits.
pub fn without_accounts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("arn:")
            && let Some(end) = identity(rest)
        {
            out.push_str("(identity)");
            rest = &rest[end..];
            continue;
        }
        if !first.is_ascii_alphanumeric() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let word = &rest[..end];
        let is_account = end == ACCOUNT_DIGITS && word.bytes().all(|byte| byte.is_ascii_digit());
        out.push_str(if is_account { "*" } else { word });
        rest = &rest[end..];
    }
    out
}

/// Returns the length of the ARN with which a text begins. `None` if it does not begin with an ARN
/// of IAM or STS.
fn identity(text: &str) -> Option<usize> {
    let end = text
        .find(|c: char| c.is_whitespace() || "\"'`,;()<>[]{}".contains(c))
        .unwrap_or(text.len());
    let service = text[..end].split(':').nth(2)?;
    matches!(service, "iam" | "sts").then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_and_accounts_are_hidden_and_the_rest_stays() {
        for (text, shown) in [
            (
                "User: arn:aws:sts::123456789012:assumed-role/gw/i-0 is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x-v1:0",
                "User: (identity) is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:us-east-1:*:inference-profile/us.x-v1:0",
            ),
            ("role \"arn:aws-cn:iam::1:role/x\".", "role \"(identity)\"."),
            (
                "Account 123456789012, 1234567890123 tokens, naïve",
                "Account *, 1234567890123 tokens, naïve",
            ),
            (
                "arn:aws:bedrock:::foundation-model/x",
                "arn:aws:bedrock:::foundation-model/x",
            ),
            ("", ""),
        ] {
            assert_eq!(without_accounts(text), shown);
        }
    }
}
