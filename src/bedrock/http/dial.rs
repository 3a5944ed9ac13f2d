//! Opens sockets: DNS, TCP, a tunnel through a proxy, TLS.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::HeaderValue;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    error::Error,
    origin::{Io, Origin},
    proxy::{Proxy, ProxyRules},
    tls::{HTTP2, Trust},
};
use crate::config::bedrock::BedrockOptions;

/// A socket, ready for HTTP.
pub(super) struct Socket {
    pub(super) io: Box<dyn Io>,
    /// Whether HTTP/2 was negotiated.
    pub(super) http2: bool,
    /// Set if a proxy forwards the requests, so that there is no tunnel.
    pub(super) forwarder: Option<Forwarder>,
}

/// A proxy that forwards requests. It requires absolute URLs.
#[derive(Clone)]
pub(super) struct Forwarder {
    /// The value of `proxy-authorization`, if the proxy has a password.
    pub(super) authorization: Option<HeaderValue>,
}

/// Opens sockets.
pub(super) struct Dialer {
    trust: Arc<Trust>,
    proxies: Arc<ProxyRules>,
    http1_only: bool,
    timeout: Duration,
    keepalive: TcpKeepalive,
}

impl Dialer {
    pub(super) fn new(trust: Arc<Trust>, options: &BedrockOptions) -> Self {
        Self {
            trust,
            proxies: Arc::new(ProxyRules::new(&options.proxies)),
            http1_only: options.http1_only,
            timeout: options.connect_timeout,
            keepalive: TcpKeepalive::new()
                .with_time(options.tcp_keepalive)
                .with_interval(options.tcp_keepalive / 4),
        }
    }

    /// Opens a socket to the origin. One timeout covers DNS, TCP, proxy and TLS together.
    pub(super) async fn dial(&self, origin: &Origin) -> Result<Socket, Error> {
        #[cfg(test)]
        if let Some((connection, http2)) = super::memory::dial() {
            return Ok(Socket {
                io: Box::new(connection),
                http2,
                forwarder: None,
            });
        }
        let deadline = Instant::now() + self.timeout;
        let Some(proxy) = self.proxies.of(origin) else {
            let tcp = Box::new(self.tcp(origin, deadline).await?);
            return self.secured(origin, tcp, deadline).await;
        };
        self.through(&proxy, origin, deadline)
            .await
            .map_err(|error| error.through(&proxy.origin))
    }

    async fn through(
        &self,
        proxy: &Proxy,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Socket, Error> {
        let mut io: Box<dyn Io> = Box::new(self.tcp(&proxy.origin, deadline).await?);
        if proxy.origin.tls {
            io = Box::new(self.tls_over(&proxy.origin, io, deadline, true).await?);
        }
        if !origin.tls {
            return Ok(Socket {
                io,
                http2: false,
                forwarder: Some(Forwarder {
                    authorization: proxy.authorization.clone(),
                }),
            });
        }
        let tunnel = self
            .step(origin, "proxy", deadline, proxy.tunnel(io, origin))
            .await?;
        self.secured(origin, tunnel, deadline).await
    }

    /// Returns the socket, with TLS if the origin uses TLS.
    async fn secured(
        &self,
        origin: &Origin,
        io: Box<dyn Io>,
        deadline: Instant,
    ) -> Result<Socket, Error> {
        if !origin.tls {
            return Ok(Socket {
                io,
                http2: false,
                forwarder: None,
            });
        }
        let tls = self.tls_over(origin, io, deadline, false).await?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok(Socket {
            io: Box::new(tls),
            http2,
            forwarder: None,
        })
    }

    async fn tls_over(
        &self,
        origin: &Origin,
        io: Box<dyn Io>,
        deadline: Instant,
        is_proxy: bool,
    ) -> Result<tokio_rustls::client::TlsStream<Box<dyn Io>>, Error> {
        let config = self
            .trust
            .config(is_proxy || self.http1_only)
            .map_err(|why| Error::connect(format!("cannot connect to {origin}: {why}")))?;
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| {
            Error::connect(format!(
                "cannot connect to {origin}: not a valid TLS server name"
            ))
        })?;
        let connector = TlsConnector::from(config);
        self.step(origin, "TLS", deadline, connector.connect(name, io))
            .await
    }

    async fn tcp(&self, origin: &Origin, deadline: Instant) -> Result<TcpStream, Error> {
        let lookup = tokio::net::lookup_host((origin.host.as_str(), origin.port));
        let addresses: Vec<SocketAddr> =
            self.step(origin, "DNS", deadline, lookup).await?.collect();
        let mut failure = Error::connect(format!(
            "cannot connect to {origin}: DNS returned no addresses"
        ));
        for (tried, address) in addresses.iter().enumerate() {
            // The remaining time is divided, so that an address that drops packets leaves time for
            // the next addresses.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
            match self
                .step(
                    origin,
                    "TCP",
                    Instant::now() + share,
                    TcpStream::connect(address),
                )
                .await
            {
                Ok(tcp) => {
                    self.tune(&tcp).map_err(|error| {
                        Error::connect(format!("cannot connect to {origin}: {error}"))
                    })?;
                    return Ok(tcp);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn tune(&self, tcp: &TcpStream) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        SockRef::from(tcp).set_tcp_keepalive(&self.keepalive)
    }

    async fn step<T>(
        &self,
        origin: &Origin,
        what: &str,
        deadline: Instant,
        step: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Error> {
        match timeout_at(deadline, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Error::connect(format!(
                "cannot connect to {origin}: {what}: {error}"
            ))),
            Err(_) => Err(Error::connect(format!(
                "cannot connect to {origin}: {what}: no answer within {:?}",
                self.timeout
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use http::Uri;

    use super::*;

    #[tokio::test]
    async fn sockets_send_at_once_and_notice_dead_peers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let tcp = TcpStream::connect(listener.local_addr().expect("an address"))
            .await
            .expect("a connection");
        let options = BedrockOptions::default();
        let trust = Trust::load(&options, None).expect("no extra certificates");
        let dialer = Dialer::new(Arc::new(trust), &options);
        dialer.tune(&tcp).expect("options of TCP");
        let socket = SockRef::from(&tcp);
        assert!(socket.tcp_nodelay().expect("an option") && socket.keepalive().expect("an option"));
        assert_eq!(
            socket.tcp_keepalive_time().expect("an option"),
            options.tcp_keepalive
        );
    }

    #[test]
    fn origins() {
        for (url, tls, text) in [
            (
                "https://bedrock-runtime.us-east-1.amazonaws.com/x",
                true,
                "bedrock-runtime.us-east-1.amazonaws.com:443",
            ),
            ("http://localhost", false, "localhost:80"),
            ("http://[::1]:8080/", false, "[::1]:8080"),
        ] {
            let origin = Origin::of(&Uri::from_static(url)).expect("an origin");
            assert_eq!((origin.tls, origin.to_string().as_str()), (tls, text));
        }
        assert!(Origin::of(&Uri::from_static("localhost:80")).is_err());
        assert!(Origin::of(&Uri::from_static("ftp://localhost")).is_err());
    }
}
