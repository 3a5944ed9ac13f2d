//! Hides AWS account IDs, IAM identities and hosts in texts that the gateway sends to callers.

use std::net::{Ipv4Addr, Ipv6Addr};

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

/// The hosts whose URLs are documentation for callers, with the hosts below them.
const DOCUMENTATION: [&str; 3] = ["amazon.com", "anthropic.com", "claude.com"];
/// The last labels of host names. Model IDs and paths in JSON also contain dots, but do not end
/// with one of these.
const LAST_LABELS: [&str; 15] = [
    "arpa", "aws", "cloud", "cn", "com", "consul", "corp", "dev", "internal", "intranet", "io",
    "lan", "local", "net", "svc",
];

/// Returns a text of Bedrock's, or of a proxy or load balancer on the path, without account IDs,
/// IAM identities, host names, addresses and URLs. Model IDs, paths in JSON, objects in Amazon S3
/// and links to public documentation stay.
pub fn without_internals(text: &str) -> String {
    without_hosts(&without_accounts(text), None)
}

/// Returns a text without host names, addresses and URLs. `host` is one that is hidden although it
/// does not look like a host name.
pub fn without_hosts(text: &str, host: Option<&str>) -> String {
    let ends = |c: char| c.is_whitespace() || "\"'`,;()<>[]{}|=".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.find(ends).unwrap_or(rest.len());
        if rest[..end].contains("://") {
            // The query of a URL contains separators.
            let ends = |c: char| ends(c) && !",;=|".contains(c);
            end = rest.find(ends).unwrap_or(rest.len());
        }
        let word = rest[..end].trim_end_matches(['.', ':', '!', '?']);
        out.push_str(hidden(word, host).unwrap_or(word));
        let separators = &rest[word.len()..];
        let next = separators.find(|c: char| !ends(c) && !".:!?".contains(c));
        // A word that consists of punctuation is a separator, too.
        let next = next.unwrap_or(separators.len());
        out.push_str(&separators[..next]);
        rest = &separators[next..];
    }
    out
}

/// Returns what replaces a word. `None` if it names no host.
fn hidden(word: &str, host: Option<&str>) -> Option<&'static str> {
    if let Some((scheme, rest)) = word.split_once("://") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (name, port) = split_port(&rest[..end]);
        let is_public = scheme == "s3" || (port.is_none() && is_documentation(name));
        return (!is_public).then_some("(URL)");
    }
    let authority = word.split('/').next().unwrap_or_default();
    let (name, port) = split_port(authority);
    let is_v6 = |name: &str| name.len() > 3 && name.parse::<Ipv6Addr>().is_ok();
    if name.parse::<Ipv4Addr>().is_ok() || is_v6(authority) {
        return Some("(address)");
    }
    let has_port = port.is_some_and(|port| port >= 80);
    let is_compound = name.contains(['.', '-']);
    let is_known = host.is_some_and(|host| name.eq_ignore_ascii_case(host));
    let is_host = is_host(name) || (is_known && (has_port || is_compound));
    let is_named = is_host || (has_port && is_compound && is_name(name));
    (is_named && !is_documentation(name)).then_some("(host)")
}

/// Returns the port at the end of a word, and the word without it.
fn split_port(word: &str) -> (&str, Option<u16>) {
    match word.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && !port.starts_with('+') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (word, None),
        },
        _ => (word, None),
    }
}

fn is_name(word: &str) -> bool {
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        !label.is_empty()
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte))
    };
    word.split('.').all(is_label)
}

/// Returns whether a word without a port can only be the name of a host.
fn is_host(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let of_ec2 =
        |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let last = word.rsplit_once('.').map(|(_, last)| last);
    word == "localhost"
        || word.starts_with("vpce-")
        || word.strip_prefix("ip-").is_some_and(of_ec2)
        || (is_name(&word) && last.is_some_and(|last| LAST_LABELS.contains(&last)))
}

fn is_documentation(host: &str) -> bool {
    DOCUMENTATION.iter().any(|known| {
        let above = host.strip_suffix(known);
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    })
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

    #[test]
    fn hosts_are_hidden() {
        for (text, shown) in [
            ("no route to 10.0.3.7:8443", "no route to (address)"),
            ("no route to 10.0.3.7.", "no route to (address)."),
            (
                "[fd00::1]:443 is down, ::1 too",
                "[(address)]:443 is down, ::1 too",
            ),
            (
                "dial tcp bedrock-proxy:8443: refused",
                "dial tcp (host): refused",
            ),
            (
                "upstream=egress.prod.svc.cluster.local reset",
                "upstream=(host) reset",
            ),
            ("ip-10-0-3-7.ec2.internal", "(host)"),
            ("ip-10-0-3-7: no such host", "(host): no such host"),
            (
                "vpce-0abc-1de.bedrock-runtime.us-east-1.vpce.amazonaws.com/model/x refuses",
                "(host) refuses",
            ),
            (
                "the VPC endpoint vpce-0abc denies it",
                "the VPC endpoint (host) denies it",
            ),
            ("see http://wiki.example.org/x?y=1.", "see (URL)."),
            ("https://docs.aws.amazon.com:8443/x", "(URL)"),
            ("https://amazon.com.example.org/x", "(URL)"),
            ("localhost:9000 and LOCALHOST", "(host) and (host)"),
        ] {
            assert_eq!(without_internals(text), shown, "{text}");
        }
    }

    #[test]
    fn what_callers_need_stays() {
        for text in [
            "The provided model identifier us.anthropic.claude-sonnet-4-5-20250929-v1:0 is invalid.",
            "amazon.nova-pro-v1:0:300k, anthropic.claude-v2:1:100k; cohere.embed-v4:0",
            "messages.0.content.1.text: is too long: 200001 tokens > 200000 maximum",
            "#/messages/0/content: expected 1..=20, at line 1, column 37:",
            "see https://docs.aws.amazon.com/bedrock/latest/userguide/x.html and https://docs.claude.com/x.",
            "s3://my-bucket.example.com/a.png is not there",
            "max_tokens: 4096, top-p:10, ratio 0.5:1, 12:30:59.000",
            "us-east-1, arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            "std::io::Error … naïve: \"x\"!?",
            "...",
            "",
        ] {
            assert_eq!(without_internals(text), text);
        }
    }

    #[test]
    fn the_host_of_the_endpoint_is_hidden() {
        let shown = |text, host| without_hosts(text, Some(host));
        assert_eq!(
            shown("no Bedrock at bedrock:80", "bedrock"),
            "no Bedrock at (host)"
        );
        assert_eq!(
            shown("bedrock:InvokeModel is denied", "bedrock"),
            "bedrock:InvokeModel is denied"
        );
        assert_eq!(shown("Gate-Way is down", "gate-way"), "(host) is down");
        assert_eq!(shown("a.example is down", "a.example"), "(host) is down");
    }
}
