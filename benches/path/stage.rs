//! The child processes of a scenario, and the paths of calls through them.

use std::{fs, time::Duration};

use crate::{
    Error,
    child::Child,
    load::{Method, Way},
    roles::Role,
};

/// Connections from the load to the gateway, as from the replicas of some services.
const CLIENT_CONNECTIONS: usize = 8;
/// Connections from the load to the emulator without a gateway: more than enough, at 100 streams
/// each.
const DIRECT_CONNECTIONS: usize = 16;

/// Slots of a gateway: more than any scenario uses.
const PLACES: usize = 100_000;

/// The side that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The gateway, with Bedrock over plain HTTP/1.1.
    GatewayHttp1,
    /// The gateway, with Bedrock over TLS with HTTP/2.
    GatewayHttp2,
    /// The byte proxy over HTTP/1.1: the baseline.
    Proxy,
    /// Directly to the emulator, HTTP/1.1.
    DirectHttp1,
    /// Directly to the emulator, TLS with HTTP/2.
    DirectHttp2,
}

impl Side {
    /// Returns the protocol between the gateway and Bedrock.
    pub(crate) fn upstream(self) -> &'static str {
        match self {
            Self::GatewayHttp1 | Self::Proxy | Self::DirectHttp1 => "HTTP/1.1",
            Self::GatewayHttp2 | Self::DirectHttp2 => "TLS, HTTP/2",
        }
    }
}

/// An emulator, and everything that can run in front of it.
pub(crate) struct Stage {
    emulator: Child,
    http1: Child,
    http2: Child,
    proxy: Child,
}

impl Stage {
    /// Starts all child processes. The emulator answers with this many tokens at this pace.
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

    /// Returns the child process whose cost a side measures. Without one, the emulator.
    pub(crate) fn child(&self, side: Side) -> &Child {
        match side {
            Side::GatewayHttp1 => &self.http1,
            Side::GatewayHttp2 => &self.http2,
            Side::Proxy => &self.proxy,
            Side::DirectHttp1 | Side::DirectHttp2 => &self.emulator,
        }
    }

    /// Returns the time from the gateway's start until it listened.
    pub(crate) fn gateway_start(&self) -> Duration {
        self.http1.start
    }

    /// Returns a new way through a side.
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
