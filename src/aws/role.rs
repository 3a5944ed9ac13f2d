//! IAM roles, and the session names and tags that AWS allows.

/// The key of the session tag that contains a caller's full name.
pub const CALLER_TAG: &str = "caller";
/// The maximum number of session tags that can be configured. AWS allows 50, and one of them is
/// [`CALLER_TAG`].
pub const MOST_TAGS: usize = 49;
/// The maximum length of a session name.
pub const MOST_NAME_CHARS: usize = 64;

/// Returns the ID of the AWS account in a role's ARN. `None` if the text is not the ARN of a role.
pub fn account_of(role_arn: &str) -> Option<&str> {
    let mut parts = role_arn.splitn(6, ':');
    let is_iam = parts.next() == Some("arn")
        && parts.next().is_some_and(|part| part.starts_with("aws"))
        && parts.next() == Some("iam")
        && parts.next() == Some("");
    let account = parts.next()?;
    let name = parts.next()?.strip_prefix("role/")?;
    let is_number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_iam && is_number && !name.is_empty() && role_arn.is_ascii()).then_some(account)
}

/// Returns whether AWS accepts a text as a session name.
pub fn is_session_name(text: &str) -> bool {
    (2..=MOST_NAME_CHARS).contains(&text.len()) && text.chars().all(is_allowed_in_names)
}

/// Returns whether AWS accepts a character in session names.
pub fn is_allowed_in_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

/// Returns whether AWS accepts a character in keys and values of session tags.
pub fn is_allowed_in_tags(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}

/// Returns the text as a tag value. `_` replaces characters that AWS does not allow.
pub fn tag_value(text: &str) -> String {
    let allowed = text
        .chars()
        .map(|c| if is_allowed_in_tags(c) { c } else { '_' });
    allowed.take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_have_an_account() {
        assert_eq!(
            account_of("arn:aws:iam::123456789012:role/team/bedrock"),
            Some("123456789012")
        );
        assert_eq!(
            account_of("arn:aws-us-gov:iam::123456789012:role/x"),
            Some("123456789012")
        );
        for bad in [
            "",
            "bedrock",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam:us-east-1:123456789012:role/x",
            "arn:aws:sts::123456789012:assumed-role/x/y",
        ] {
            assert_eq!(account_of(bad), None, "{bad}");
        }
    }
}
