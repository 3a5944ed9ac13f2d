//! Selects the proxy for an origin, and opens tunnels through it.

use std::{
    future::{Ready, ready},
    io,
    net::IpAddr,
    task::{Context, Poll},
};

use http::{HeaderValue, Uri};
use hyper_util::{
    client::{legacy::connect::proxy::Tunnel, proxy::matcher::Matcher},
    rt::TokioIo,
};
use tower_service::Service;

use super::origin::{Io, Origin};
use crate::config::Proxies;

/// The proxy rules in the environment variables.
pub(super) struct ProxyRules(Option<Matcher>);

/// A proxy, and the password for it.
pub(super) struct Proxy {
    pub(super) origin: Origin,
    /// The value of `proxy-authorization`, if the proxy has a password.
    pub(super) authorization: Option<HeaderValue>,
}

impl ProxyRules {
    pub(super) fn new(proxies: &Proxies) -> Self {
        if proxies.https.is_none() && proxies.http.is_none() {
            return Self(None);
        }
        let mut rules = Matcher::builder().no(proxies.none_for.clone());
        if let Some(url) = &proxies.https {
            rules = rules.https(url.expose().to_owned());
        }
        if let Some(url) = &proxies.http {
            rules = rules.http(url.expose().to_owned());
        }
        Self(Some(rules.build()))
    }

    /// Returns the proxy for an origin. `None` if the gateway connects directly.
    pub(super) fn of(&self, origin: &Origin) -> Option<Proxy> {
        let rules = self.0.as_ref()?;
        if is_of_this_machine(&origin.host) {
            return None;
        }
        let scheme = if origin.tls { "https" } else { "http" };
        let uri: Uri = format!("{scheme}://{origin}/").parse().ok()?;
        let proxy = rules.intercept(&uri)?;
        Some(Proxy {
            origin: Origin::of(proxy.uri()).ok()?,
            authorization: proxy.basic_auth().cloned(),
        })
    }
}

/// Returns whether a host is this machine, or a service that is meant for this machine only. These
/// are the instance metadata service, and the credential endpoints of ECS and EKS Pod Identity.
/// They identify the client by its address. Through a proxy, they would return the proxy's
/// credentials.
fn is_of_this_machine(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.is_loopback() || address.is_link_local(),
            // fd00:ec2::/32 contains the same services over IPv6.
            None => {
                address.is_loopback()
                    || address.is_unicast_link_local()
                    || address.segments()[..2] == [0xfd00, 0x0ec2]
            }
        },
        Err(_) => false,
    }
}

impl Proxy {
    /// Opens a tunnel to the origin through a connection to the proxy.
    pub(super) async fn tunnel(&self, io: Box<dyn Io>, origin: &Origin) -> io::Result<Box<dyn Io>> {
        let uri: Uri = format!("https://{origin}")
            .parse()
            .map_err(io::Error::other)?;
        let mut tunnel = Tunnel::new(uri.clone(), Opened(Some(io)));
        if let Some(authorization) = &self.authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let tunnel = tunnel.call(uri).await.map_err(io::Error::other)?;
        Ok(tunnel.into_inner())
    }
}

/// A connector that returns the connection to the proxy, which is already open.
struct Opened(Option<Box<dyn Io>>);

impl Service<Uri> for Opened {
    type Response = TokioIo<Box<dyn Io>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let io = self.0.take().map(TokioIo::new);
        ready(io.ok_or_else(|| io::Error::other("the connection was already used")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn rules() -> ProxyRules {
        let environment = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://user:p%40ss@secure:3128".to_owned()),
            "HTTP_PROXY" => Some("https://plain".to_owned()),
            "NO_PROXY" => Some("*.internal,10.0.0.0/8,fd12::/16,exact.example".to_owned()),
            _ => None,
        };
        let config = Config::parse("", &environment).expect("variables that can be read");
        ProxyRules::new(&config.bedrock.proxies)
    }

    fn proxy_of(url: &str) -> Option<String> {
        let origin = Origin::of(&url.parse().expect("a URL")).expect("an origin");
        rules().of(&origin).map(|proxy| proxy.origin.to_string())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_exceptions_have_none() {
        for (url, proxy) in [
            (
                "https://bedrock-runtime.us-east-1.amazonaws.com",
                Some("secure:3128"),
            ),
            ("http://sts.amazonaws.com", Some("plain:443")),
            ("https://[2600:1f18::1]", Some("secure:3128")),
            ("https://a.internal", None),
            ("https://exact.example:8443", None),
            ("https://sub.exact.example", None),
            ("https://inexact.example", Some("secure:3128")),
            ("http://10.1.2.3", None),
            ("https://[fd12::1]", None),
        ] {
            assert_eq!(proxy_of(url).as_deref(), proxy, "{url}");
        }
    }

    #[test]
    fn the_machines_own_services_are_reached_directly() {
        for host in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "[fd00:ec2::254]",
            "[fd00:ec2::23]",
            "127.0.0.1",
            "127.8.8.8",
            "[::1]",
            "[::ffff:169.254.169.254]",
            "[fe80::1]",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
        ] {
            assert_eq!(proxy_of(&format!("http://{host}:80/")), None, "{host}");
            assert_eq!(proxy_of(&format!("https://{host}/")), None, "{host}");
        }
    }

    #[test]
    fn a_password_is_decoded_for_the_header() {
        let origin = Origin::of(&Uri::from_static("https://a.example")).expect("an origin");
        let proxy = rules().of(&origin).expect("a proxy");
        // The user information of the proxy's URL is "user:p@ss".
        assert_eq!(
            proxy.authorization.expect("a password"),
            "Basic dXNlcjpwQHNz"
        );
    }
}
