//! Computes the canonical form of a request, which SigV4 signs. It uses only the request itself,
//! and never a value that the client computed.
//!
//! The SDK's implementation is not used, because it does not support `:authority`. The AWS SDK for
//! JavaScript signs that header in place of `host` over HTTP/2.

use std::fmt::Write;

use http::request::Parts;
use sha2::{Digest, Sha256};

use crate::uri;

/// Returns the SHA-256 hash in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Returns the canonical request with these signed headers. `None` if one of them is missing.
pub(super) fn request(
    parts: &Parts,
    signed_headers: &[&str],
    payload_hash: &str,
) -> Option<String> {
    let mut names = signed_headers.to_vec();
    names.sort_unstable();
    let mut text = format!(
        "{}\n{}\n{}\n",
        parts.method,
        encode(parts.uri.path(), "/"),
        query(parts)
    );
    for name in &names {
        let _ = writeln!(text, "{name}:{}", header(parts, name)?);
    }
    let _ = write!(text, "\n{}\n{payload_hash}", names.join(";"));
    Some(text)
}

/// Returns a header's values in the form that is signed: trimmed, with sequences of spaces
/// collapsed, and joined by commas.
fn header(parts: &Parts, name: &str) -> Option<String> {
    let values = parts.headers.get_all(name);
    let values = values.iter().filter_map(|value| value.to_str().ok());
    let tidy = |value: &str| {
        value
            .split(' ')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let values: Vec<_> = values.map(tidy).collect();
    if !values.is_empty() {
        return Some(values.join(","));
    }
    // In HTTP/2, `:authority` contains the host.
    let authority = parts
        .uri
        .authority()
        .filter(|_| matches!(name, "host" | ":authority"));
    authority.map(ToString::to_string)
}

/// Returns the query parameters in the form that is signed: decoded, encoded again, and sorted.
fn query(parts: &Parts) -> String {
    let pairs = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    let encoded = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let again = |text: &str| encode(&uri::percent_decode(text), "");
        format!("{}={}", again(name), again(value))
    });
    let mut encoded: Vec<_> = encoded.collect();
    encoded.sort_unstable();
    encoded.join("&")
}

/// Percent-encodes all characters except unreserved ones and `also_kept`. A path arrives encoded
/// once, but its signed form is encoded twice.
fn encode(text: &str, also_kept: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-_.~".contains(c) || also_kept.contains(c) {
            out.push(c);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    fn canonical(request: http::request::Builder, signed: &[&str]) -> Option<String> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        super::request(&parts, signed, "HASH")
    }

    #[test]
    fn paths_are_encoded_twice_and_queries_sorted() {
        let request =
            Request::get("/inference-profiles/arn%3Aaws%2Fx?type=A%20b&maxResults=3&empty")
                .header("host", "here:1")
                .header("x-amz-date", "  20260101T000000Z   twice  ");
        assert_eq!(
            canonical(request, &["x-amz-date", "host"]).unwrap(),
            "GET\n/inference-profiles/arn%253Aaws%252Fx\nempty=&maxResults=3&type=A%20b\nhost:here:1\n\
             x-amz-date:20260101T000000Z twice\n\nhost;x-amz-date\nHASH"
        );
    }

    #[test]
    fn http2_signs_the_authority() {
        let request = || Request::post("https://here:1/model/x/converse");
        let text = canonical(request(), &[":authority"]).unwrap();
        assert_eq!(
            text,
            "POST\n/model/x/converse\n\n:authority:here:1\n\n:authority\nHASH"
        );
        assert!(
            canonical(request(), &["host"])
                .unwrap()
                .contains("\nhost:here:1\n")
        );
        assert_eq!(canonical(request(), &["x-not-there"]), None);
    }
}
