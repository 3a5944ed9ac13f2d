//! Reads the credential of a call from its headers and its connection.

use std::{fmt, net::SocketAddr, sync::Arc};

use http::{HeaderMap, header::AUTHORIZATION};
use tokio_util::sync::CancellationToken;

use super::certificate::ClientCertificate;

/// The header for API keys, for clients that need `authorization` for a proxy.
const API_KEY: &str = "x-api-key";
const BEARER: &str = "bearer ";

/// The peer of a connection, which is the same for all its calls.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address of the peer.
    pub address: SocketAddr,
    /// The client certificate that the peer presented, if any. The handshake has verified it.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Cancelled after a call was refused because of the certificate. The gateway then accepts no
    /// further calls on the connection, so that the client opens a new one.
    pub outdated: CancellationToken,
}

/// The credential of a call. `Debug` does not show it.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// An API key or a token, as text.
    Bearer(&'a str),
    /// A client certificate.
    Certificate(&'a ClientCertificate),
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer",
            Self::Certificate(_) => "Certificate",
        })
    }
}

impl<'a> Credential<'a> {
    /// Returns the credential to check. This is the first of `x-api-key`, `authorization: Bearer`
    /// and the client certificate that is present; the others are ignored.
    pub fn of(headers: &'a HeaderMap, peer: Option<&'a Peer>) -> Option<Self> {
        let bearer = headers.get(API_KEY).map_or_else(
            || {
                let value = headers.get(AUTHORIZATION)?.as_bytes();
                let (scheme, rest) = value.split_at_checked(BEARER.len())?;
                scheme
                    .eq_ignore_ascii_case(BEARER.as_bytes())
                    .then_some(rest)
            },
            |value| Some(value.as_bytes()),
        );
        if let Some(text) = bearer {
            // A header that is not text cannot be a valid credential. It is treated as the empty
            // text, which is not valid either.
            let text = std::str::from_utf8(text).unwrap_or_default();
            return Some(Self::Bearer(text.trim_ascii()));
        }
        peer?.certificate.as_deref().map(Self::Certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> Option<String> {
        let headers = pairs
            .iter()
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.insert(*name, value.parse().unwrap());
                map
            });
        match Credential::of(&headers, None)? {
            Credential::Bearer(text) => Some(text.to_owned()),
            Credential::Certificate(_) => None,
        }
    }

    #[test]
    fn the_better_header_counts() {
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("authorization", "Bearer a")]), found("a"));
        assert_eq!(of(&[("authorization", "bEaReR  a ")]), found("a"));
        assert_eq!(of(&[("authorization", "Basic a")]), None);
        assert_eq!(of(&[("authorization", "Bearer")]), None);
        assert_eq!(of(&[("x-api-key", "b")]), found("b"));
        assert_eq!(
            of(&[("authorization", "Bearer a"), ("x-api-key", "b")]),
            found("b")
        );
        assert_eq!(
            of(&[("authorization", "Basic a"), ("x-api-key", "b")]),
            found("b")
        );
    }

    #[test]
    fn it_is_not_shown_by_debug() {
        assert_eq!(format!("{:?}", Credential::Bearer("canary")), "Bearer");
    }
}
