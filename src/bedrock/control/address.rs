//! Builds the URLs of the control plane.

use std::fmt::Write as _;

/// Returns the URL of a path of the control plane. The base is `base` or, without it, the runtime's
/// public endpoint with `bedrock` in place of `bedrock-runtime`. This replacement is valid in every
/// partition, with FIPS and with dual-stack.
pub(super) fn of(base: Option<&str>, runtime: &str, path: &str) -> String {
    match base {
        Some(base) => format!("{}{path}", base.trim_end_matches('/')),
        None => {
            let (scheme, rest) = runtime.split_once("://").unwrap_or(("https", runtime));
            let host = rest.split('/').next().unwrap_or_default();
            format!(
                "{scheme}://{}{path}",
                host.replacen("bedrock-runtime", "bedrock", 1)
            )
        }
    }
}

/// Percent-encodes a part of a path or query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_beside_the_runtime() {
        for (runtime, expected) in [
            (
                "https://bedrock-runtime.us-east-1.amazonaws.com/async-invoke",
                "https://bedrock.us-east-1.amazonaws.com/x?y=1",
            ),
            (
                "https://bedrock-runtime-fips.us-gov-west-1.api.aws/async-invoke?maxResults=1",
                "https://bedrock-fips.us-gov-west-1.api.aws/x?y=1",
            ),
            (
                "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
                "https://bedrock.cn-north-1.amazonaws.com.cn/x?y=1",
            ),
        ] {
            assert_eq!(of(None, runtime, "/x?y=1"), expected);
        }
        assert_eq!(
            of(Some("http://127.0.0.1:8900/"), "https://a/b", "/x"),
            "http://127.0.0.1:8900/x"
        );
    }

    #[test]
    fn arns_are_encoded() {
        assert_eq!(
            encoded("arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0"),
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x-v1%3A0"
        );
    }
}
