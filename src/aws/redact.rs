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
const DOCUMENTATION: [&str; 4] = [
    "amazon.com",
    "anthropic.com",
    "claude.com",
    "json-schema.org",
];
/// The last labels of host names, in addition to the two-letter labels of countries. Model IDs and
/// most paths in JSON also contain dots, but do not end with one of these.
const LAST_LABELS: [&str; 18] = [
    "arpa", "aws", "cloud", "com", "consul", "corp", "dev", "edu", "gov", "info", "internal",
    "int", "intranet", "lan", "local", "net", "org", "svc",
];
/// Words before a host.
const CONNECTING: [&str; 16] = [
    "connect",
    "connected",
    "connecting",
    "connection",
    "dial",
    "dialing",
    "host",
    "hostname",
    "lookup",
    "peer",
    "proxy",
    "proxyconnect",
    "resolve",
    "resolving",
    "upstream",
    "via",
];
/// Words between one of `CONNECTING` and a host.
const BETWEEN: [&str; 8] = ["address", "at", "tcp", "tcp4", "tcp6", "the", "to", "with"];
/// The lowest port of a host without a known last label. The versions of models look like lower
/// ports.
const LOWEST_PORT: u16 = 80;

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
    let mut connects = false;
    while !rest.is_empty() {
        let mut end = rest.find(ends).unwrap_or(rest.len());
        if rest[..end].contains("://") {
            // The query of a URL contains separators.
            let ends = |c: char| ends(c) && !",;=|".contains(c);
            end = rest.find(ends).unwrap_or(rest.len());
        }
        let word = rest[..end].trim_end_matches(['.', ':', '!', '?']);
        out.push_str(hidden(word, connects, host).unwrap_or(word));
        let is_one_of = |words: &[&str]| words.iter().any(|other| other.eq_ignore_ascii_case(word));
        if !word.is_empty() && !is_one_of(&BETWEEN) {
            connects = is_one_of(&CONNECTING);
        }
        let separators = &rest[word.len()..];
        let next = separators.find(|c: char| !ends(c) && !".:!?".contains(c));
        // An IPv6 address can begin with "::".
        let next = next.map(|next| match &separators[..next] {
            before if before.ends_with("::") => next - 2,
            _ => next,
        });
        // A word that consists of punctuation is a separator, too.
        let next = next.unwrap_or(separators.len());
        out.push_str(&separators[..next]);
        rest = &separators[next..];
    }
    out
}

/// Returns what replaces a word. `None` if it names no host. `connects` is whether one of
/// `CONNECTING` is before it.
fn hidden(word: &str, connects: bool, host: Option<&str>) -> Option<&'static str> {
    if let Some((scheme, rest)) = word.split_once("://") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (name, port) = split_port(&rest[..end]);
        let is_public = port.is_none() && is_name(name) && is_documentation(name);
        return (scheme != "s3" && !is_public).then_some("(URL)");
    }
    if contains_v4(word, connects) || contains_v6(word) {
        return Some("(address)");
    }
    let mut parts = word.split(['/', '@', '#']);
    parts
        .any(|part| is_host(part.trim_matches('-'), connects, host))
        .then_some("(host)")
}

/// Returns whether a word contains an IPv4 address. A public one without a port can also be a
/// version, so it counts only after a connecting word.
fn contains_v4(word: &str, connects: bool) -> bool {
    let is_hidden = |piece: &str| {
        let mut fields = piece.split(':').peekable();
        while let Some(field) = fields.next() {
            let has_port = fields.peek().is_some_and(|port| !port.is_empty());
            if let Ok(address) = field.trim_matches('.').parse::<Ipv4Addr>()
                && (connects || has_port || is_internal(address))
            {
                return true;
            }
        }
        false
    };
    word.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')
        .any(is_hidden)
}

/// Returns whether an address is private, of this host, of its link, or shared (100.64.0.0/10).
fn is_internal(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || (first == 100 && (64..128).contains(&second))
}

/// Returns whether a word contains an IPv6 address. Nothing else looks like one.
fn contains_v6(word: &str) -> bool {
    let is_v6 = |piece: &str| {
        piece
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| piece.len() > 3 || address.is_loopback())
    };
    word.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != ':')
        .any(is_v6)
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

/// Returns whether a word is the name of a host, with or without a port. A path in JSON that ends
/// like a host name counts as a host if it contains no index.
fn is_host(word: &str, connects: bool, host: Option<&str>) -> bool {
    let (name, port) = split_port(word);
    if !is_name(name) || is_documentation(name) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let of_ec2 = |rest: &str| !rest.is_empty() && is_number(&rest.replace('-', ""));
    if name == "localhost"
        || name.starts_with("vpce-")
        || name.strip_prefix("ip-").is_some_and(of_ec2)
    {
        return true;
    }
    let has_port = port.is_some_and(|port| port >= LOWEST_PORT);
    if host.is_some_and(|host| name.eq_ignore_ascii_case(host))
        && (has_port || name.contains(['.', '-']))
    {
        return true;
    }
    if connects && has_port && !is_number(&name) {
        return true;
    }
    let Some((above, last)) = name.rsplit_once('.') else {
        return false;
    };
    let is_path = name.contains('_') || name.split('.').any(is_number);
    let is_word = !is_path && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_known = LAST_LABELS.contains(&last) || (is_word && last.len() == 2);
    (is_known && (connects || above.contains('.'))) || (is_word && port.is_some())
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
                "[(address)]:443 is down, (address) too",
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
            ("gateway01.prod.example.org:9 is down", "(host) is down"),
            ("proxy.corpnet:3128 is down", "(host) is down"),
            ("at squid.acme.de.", "at (host)."),
            ("squid.acme.de/10.1.2.3:3128", "(address)"),
            ("user@squid.acme.de", "(host)"),
            ("proxy proxy01:3128", "proxy (host)"),
            ("dial tcp proxy01:3128: refused", "dial tcp (host): refused"),
            ("Connection to the proxy01:3128", "Connection to the (host)"),
            ("lookup acme.com: timeout", "lookup (host): timeout"),
            ("host=proxy_1:3128", "host=(host)"),
            ("connect to 8.8.8.8 failed", "connect to (address) failed"),
            ("inet[/10.1.2.3:443]", "inet[(address)]"),
            (
                "read tcp 8.8.4.4:5555->8.8.8.8:443",
                "read tcp (address)>(address)",
            ),
            ("http://docs.aws.amazon.com@x.example/", "(URL)"),
        ] {
            assert_eq!(without_internals(text), shown, "{text}");
        }
    }

    #[test]
    fn addresses_that_are_not_public_are_hidden_everywhere() {
        for address in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "127.0.0.1",
            "100.64.0.1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1%eth0",
            "::1",
            "::ffff:10.1.2.3",
        ] {
            for before in ["", "/", "user@", "#", "[", "x/", "the "] {
                let shown = without_internals(&format!("{before}{address} fails"));
                let is_hidden = shown.ends_with("(address) fails");
                assert!(is_hidden, "{before}{address}: {shown}");
            }
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
            "draft 2020-12 (https://json-schema.org/draft/2020-12)",
            "schema version 1.2.3.4",
            "max-tokens:4096 exceeds the limit, top-k:500, budget-tokens:1024, max_tokens:4096",
            "content.0:200, content.0.text:200, anthropic.claude-3:200",
            "property config.dev is not allowed in settings.local",
            "socket.io, java.net, messages.0.content.0.id, a.input_schema.id",
            "no proxy for anthropic.claude-v2:1, proxy anthropic.claude-v2:1",
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
