//! Shows the configuration in use, to this machine only.
//!
//! Secrets are masked before they get here. The rest still reveals much about the gateway: names of
//! callers, roles, internal addresses. The port has no credentials, so the connection must come
//! from this machine, and not through a proxy on it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use arc_swap::ArcSwap;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::host::host_of;
use crate::config::Hosts;

/// Headers by which proxies name the client. Others begin with one of [`OF_PROXIES`].
const FORWARDED: &[&str] = &["forwarded", "via", "true-client-ip", "cf-connecting-ip"];
/// The prefixes of further headers of proxies.
const OF_PROXIES: &[&str] = &["x-forwarded-", "x-real-", "x-client-", "x-envoy-"];

/// The configuration in use as JSON, with secrets masked. Cheap to clone; all clones show the same.
#[derive(Clone, Debug, Default)]
pub struct ShownConfig(Arc<ArcSwap<String>>);

impl ShownConfig {
    /// Shows another configuration from now on.
    pub fn set(&self, json: String) {
        self.0.store(Arc::new(json));
    }
}

/// The addresses of both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The client's end.
    pub(super) peer: SocketAddr,
    /// The port of the gateway's end.
    pub(super) local_port: u16,
}

/// Answers `/config`.
pub(super) async fn show(State(config): State<ShownConfig>, request: Request) -> Response {
    let ends = request.extensions().get::<Ends>();
    let is_local = ends.is_some_and(|ends| is_local(ends.peer.ip()))
        && Hosts::Loopback.allow(host_of(&request))
        && !is_forwarded(request.headers());
    if !is_local {
        let port = ends.map_or(9090, |ends| ends.local_port);
        let elsewhere = format!(
            "the configuration is shown to requests from this machine only: use `curl http://127.0.0.1:{port}/config` there, or `kubectl port-forward`\n"
        );
        return (StatusCode::FORBIDDEN, elsewhere).into_response();
    }
    let text = config.0.load_full();
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, text.as_ref().clone()).into_response()
}

/// Returns whether a connection comes from this machine. Other loopback addresses do not count:
/// sidecars such as Istio's connect from 127.0.0.6 on behalf of other machines.
fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address == Ipv4Addr::LOCALHOST,
        IpAddr::V6(address) => address == Ipv6Addr::LOCALHOST,
    }
}

/// Returns whether a proxy has sent a request, perhaps for another machine.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        FORWARDED.contains(&name) || OF_PROXIES.iter().any(|start| name.starts_with(start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.6", false),
            ("::ffff:127.0.0.6", false),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
            ("::", false),
        ] {
            assert_eq!(is_local(address.parse().unwrap()), expected, "{address}");
        }
    }
}
