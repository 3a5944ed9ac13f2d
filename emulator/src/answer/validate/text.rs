//! Implements the patterns of the service model without a regular-expression engine.

pub(super) const S3_URI: &str = "s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?";
pub(super) const GUARDRAIL: &str =
    "(|([a-z0-9]+)|(arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+))";

fn lower_or_digit(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// Returns whether a tool's name has only valid characters. An empty name is invalid.
pub(super) fn tool_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

pub(super) fn tool_use_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c))
}

pub(super) fn account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn s3_uri(text: &str) -> bool {
    let Some(path) = text.strip_prefix("s3://") else {
        return false;
    };
    let bucket = path.split('/').next().unwrap_or_default();
    let at_ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&bucket.len())
        && bucket.chars().all(|c| at_ends(c) || ".-".contains(c))
        && bucket.starts_with(at_ends)
        && bucket.ends_with(at_ends)
}

pub(super) fn guardrail(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [id] => id.is_empty() || lower_or_digit(id),
        ["arn", partition, "bedrock", region, owner, resource] => {
            (*partition == "aws" || partition.starts_with("aws-"))
                && !region.is_empty()
                && account(owner)
                && resource
                    .strip_prefix("guardrail/")
                    .is_some_and(lower_or_digit)
        }
        _ => false,
    }
}

pub(super) fn guardrail_version(text: &str) -> bool {
    matches!(text, "" | "DRAFT")
        || (text.len() <= 8 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns whether metadata has valid characters. In the pattern, `,-.` is a range: comma, hyphen,
/// full stop.
pub(super) fn metadata(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || c.is_whitespace() || ":_@$#=/+,-.".contains(c))
}

/// Returns whether a document's name has valid characters. Underscores are accepted, although the
/// error message does not list them.
pub(super) fn document_name(text: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "-()[]_".contains(c);
    let pairs = text.chars().zip(text.chars().skip(1));
    text.chars().all(allowed)
        && !pairs
            .into_iter()
            .any(|(a, b)| a.is_ascii_whitespace() && b.is_ascii_whitespace())
}
