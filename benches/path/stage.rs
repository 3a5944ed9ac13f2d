//! The children of a scenario, and the ways through them.

use std::{fs, time::Duration};

use crate::{
    Error,
    child::Child,
    load::{Method, Way},
    roles::Role,
};

/// Connections that the load has to the gateway, as some services' replicas would.
const CLIENT_CONNECTIONS: usize = 8;
/// Connections that the load has to the emulator when it needs no gateway: ample, at 100 streams each.
const DIRECT_CONNECTIONS: usize = 16;

/// Calls that a gateway has places for: more than any scenario opens.
const PLACES: usize = 100_000;

/// Which way is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The gateway, with Bedrock on plain HTTP/1.1.
    GatewayHttp1,
    /// The gateway, with Bedrock on TLS with HTTP/2.
    GatewayHttp2,
    /// The byte proxy, HTTP/1.1: the floor.
    Proxy,
    /// Straight to the emulator, HTTP/1.1.
    DirectHttp1,
    /// Straight to the emulator, TLS with HTTP/2.
    DirectHttp2,
}

impl Side {
    /// What a gateway's side speaks to Bedrock.
    pub(crate) fn upstream(self) -> &'static str {
        match self {
            Self::GatewayHttp1 | Self::Proxy | Self::DirectHttp1 => "HTTP/1.1",
            Self::GatewayHttp2 | Self::DirectHttp2 => "TLS, HTTP/2",
        }
    }
}

/// An emulator, and everything that can be put in front of it.
pub(crate) struct Stage {
    emulator: Child,
    http1: Child,
    http2: Child,
    proxy: Child,
}

impl Stage {
    /// Starts all children. The emulator answers with so many tokens at this pace.
    pub(crate) fn set(tokens: usize, tokens_per_second: f64) -> Result<Self, Error> {
        let emulator = Child::start(&Role::Emulator {
            tokens,
            tokens_per_second,
        })?;
        let http1 = Child::start(&Role::Gateway {
            endpoint: format!("http://{}", emulator.address("http")?),
            places: PLACES,
            ca_file: None,
        })?;
        let http2 = Child::start(&Role::Gateway {
            endpoint: format!("https://{}", emulator.address("tls")?),
            places: PLACES,
            ca_file: Some(emulator.said("ca_file")?.to_owned()),
        })?;
        let proxy = Child::start(&Role::Proxy {
            upstream: emulator.address("http")?,
        })?;
        Ok(Self {
            emulator,
            http1,
            http2,
            proxy,
        })
    }

    /// The child whose cost a side is about. Without one, the emulator.
    pub(crate) fn child(&self, side: Side) -> &Child {
        match side {
            Side::GatewayHttp1 => &self.http1,
            Side::GatewayHttp2 => &self.http2,
            Side::Proxy => &self.proxy,
            Side::DirectHttp1 | Side::DirectHttp2 => &self.emulator,
        }
    }

    /// From the gateway's start until it listened.
    pub(crate) fn gateway_start(&self) -> Duration {
        self.http1.start
    }

    /// A fresh way through a side.
    pub(crate) async fn way(&self, side: Side, method: Method) -> Result<Way, Error> {
        match side {
            Side::GatewayHttp1 | Side::GatewayHttp2 => {
                let address = self.child(side).address("grpc")?;
                Way::grpc(address, method, CLIENT_CONNECTIONS).await
            }
            Side::Proxy | Side::DirectHttp1 => {
                Ok(Way::bedrock_http1(self.child(side).address("http")?))
            }
            Side::DirectHttp2 => {
                let ca_pem = fs::read_to_string(self.emulator.said("ca_file")?)?;
                let address = self.emulator.address("tls")?;
                Way::bedrock_http2(address, &ca_pem, DIRECT_CONNECTIONS).await
            }
        }
    }
}
