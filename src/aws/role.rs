//! Roles of IAM, and the names and tags that AWS allows for their sessions.

/// The session tag with the full name of a caller.
pub const CALLER_TAG: &str = "caller";
/// The maximum number of session tags in a configuration. AWS allows 50, and one is [`CALLER_TAG`].
pub const MOST_TAGS: usize = 49;
/// The longest name of a session.
pub const MOST_NAME_CHARS: usize = 64;

/// Returns the ID of the AWS account of a role's ARN. `None`: it is not the ARN of a role.
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

/// Returns whether AWS accepts a text as the name of a session.
pub fn is_session_name(text: &str) -> bool {
    (2..=MOST_NAME_CHARS).contains(&text.len()) && text.chars().all(is_allowed_in_names)
}

/// Returns whether AWS accepts a character in names of sessions.
pub fn is_allowed_in_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

/// Returns whether AWS accepts a character in keys and values of session tags.
pub fn is_allowed_in_tags(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}

/// Returns a text with `_` for what AWS does not allow in values of tags.
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
