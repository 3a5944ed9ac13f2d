//! Builds the `host` value that is signed and sent.

use http::Uri;

/// Returns the URL's host, followed by its port unless that is the default of the scheme. The SDK
/// signs exactly this text as `host`.
pub(super) fn authority(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    match (uri.port_u16(), uri.scheme_str()) {
        (None, _) | (Some(443), Some("https")) | (Some(80), Some("http")) => host.to_owned(),
        (Some(port), _) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schemes_own_port_is_not_signed() {
        for (url, signed) in [
            ("https://localhost:443/a", "localhost"),
            ("http://localhost:80/a", "localhost"),
            ("https://localhost:80/a", "localhost:80"),
            ("http://[::1]:8080/a", "[::1]:8080"),
            ("https://localhost/a", "localhost"),
        ] {
            assert_eq!(authority(&Uri::from_static(url)), signed);
        }
    }
}
