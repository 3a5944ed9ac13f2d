//! The host names that a listener accepts in requests.

use std::net::IpAddr;

/// The host names that a listener accepts in the header `host`, or in `:authority` of HTTP/2.
///
/// This protects against DNS rebinding, in which a web page, once loaded, makes its own host name
/// resolve to 127.0.0.1 and then reads what a local server returns. The requests of such a page
/// still contain its host name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// All host names.
    #[default]
    Any,
    /// Only names of this machine, with any port: `localhost`, its subdomains and loopback
    /// addresses. For `dev`, which does not authenticate callers.
    Loopback,
}

impl Hosts {
    /// Returns the host names that a listener on this address accepts: all if other machines can
    /// reach the address.
    #[must_use]
    pub fn on(self, listener: IpAddr) -> Self {
        if listener.is_loopback() {
            self
        } else {
            Self::Any
        }
    }

    /// Returns whether a request to this host is allowed. `host` is `None` if the request names no
    /// host.
    pub fn allow(self, host: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => host.is_some_and(is_loopback),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        // An IPv6 address, whose opening bracket has been removed.
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if is_port(port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if is_port(&format!(":{port}")) => name,
            Some(_) => return false,
            None => host,
        },
    };
    let is_bracketed = host.starts_with('[');
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.parse() {
        Ok(IpAddr::V4(address)) => !is_bracketed && address.is_loopback(),
        Ok(IpAddr::V6(address)) => {
            let mapped = address.to_ipv4_mapped();
            is_bracketed && mapped.map_or(address.is_loopback(), |mapped| mapped.is_loopback())
        }
        Err(_) => {
            let name = name.to_ascii_lowercase();
            !is_bracketed && (name == "localhost" || name.ends_with(".localhost"))
        }
    }
}

/// Returns whether a text is empty, or a colon and digits.
fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':').unwrap_or(text);
    (text.is_empty() || text.starts_with(':')) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LocalHost:50051",
            "localhost.",
            "localhost.:80",
            "a.localhost",
            "127.0.0.1",
            "127.0.0.1:8900",
            "127.9.9.9:1",
            "127.0.0.1.",
            "[::1]",
            "[::1]:50051",
            "[0:0:0:0:0:0:0:1]:1",
            "[::ffff:127.0.0.1]:80",
            "localhost:",
        ] {
            assert!(Hosts::Loopback.allow(Some(host)), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:50051",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1.nip.io:80",
            "notlocalhost",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "[::2]:1",
            "::1",
            "[::1",
            "[::1]evil.example",
            "[::1]:80x",
            "localhost:80:80",
            "localhost:evil",
            "[localhost]",
            "[127.0.0.1]",
            "user@localhost",
            "localhost/evil",
            ".localhost.evil",
        ] {
            assert!(!Hosts::Loopback.allow(Some(host)), "{host}");
        }
        assert!(!Hosts::Loopback.allow(None));
        assert!(Hosts::Any.allow(None) && Hosts::Any.allow(Some("evil.example")));
    }
}
