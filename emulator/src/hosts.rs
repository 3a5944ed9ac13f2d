//! Restricts the accepted host names. Otherwise web pages could read prompts with DNS rebinding.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use http::{Response, header::HOST, request::Parts};
use http_body_util::Full;
use serde_json::json;

use super::error;

/// Returns whether the host of a request is this machine: `localhost`, a name below it, or a
/// loopback address.
pub(super) fn is_loopback(request: &Parts) -> bool {
    let authority = match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => request
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok()),
    };
    authority.is_some_and(names_this_machine)
}

/// Returns the response that refuses requests to all other hosts.
pub(super) fn refusal() -> Response<Full<Bytes>> {
    let message = "This emulator answers requests to localhost only. Call it as http://localhost or http://127.0.0.1.";
    error::json(421, &json!({"message": message}))
}

fn names_this_machine(authority: &str) -> bool {
    let (host, port) = match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => (&authority[..at], &authority[at + 1..]),
        _ => (authority, ""),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').and_then(|text| text.parse().ok());
        return address.is_some_and(|address: Ipv6Addr| match address.to_ipv4_mapped() {
            Some(address) => address.is_loopback(),
            None => address.is_loopback(),
        });
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    match name.parse::<Ipv4Addr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (authority, is_ours) in [
            ("localhost", true),
            ("LOCALHOST.:8900", true),
            ("bedrock.localhost:1", true),
            ("127.0.0.1:8900", true),
            ("127.1.2.3.", true),
            ("[::1]", true),
            ("[::1]:8900", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("", false),
            ("evil.example", false),
            ("evil.example:8900", false),
            ("localhost.evil.example:80", false),
            ("127.0.0.1.nip.io", false),
            ("notlocalhost", false),
            ("10.0.0.1", false),
            ("[::2]", false),
            ("[::1", false),
            ("[::1]x", false),
            ("localhost:x", false),
            ("localhost:80:80", false),
            ("user@localhost", false),
        ] {
            assert_eq!(names_this_machine(authority), is_ours, "{authority}");
        }
    }
}
