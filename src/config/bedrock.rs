//! How the gateway reaches Bedrock.

use std::{path::PathBuf, time::Duration};

use super::{section::Section, targets, units};

/// How the gateway reaches Bedrock: what aws-config's own chain does not say, and the limits on
/// connections.
///
/// Credentials, profile, Region, endpoint and bearer token come from the variables and files that
/// every AWS SDK reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The Region to call when neither the target nor its ARN names one. Default: what aws-config's
    /// chain says (`AWS_REGION`, the profile, the instance's metadata).
    pub region: Option<String>,
    /// Where Bedrock is, instead of the Region's public endpoint: an interface endpoint, a proxy or
    /// the emulator. Default: `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, then `AWS_ENDPOINT_URL`, then the
    /// public endpoint.
    pub endpoint_url: Option<String>,
    /// Where Bedrock's control plane is, which tells of inference profiles. Default:
    /// `AWS_ENDPOINT_URL_BEDROCK`, then `AWS_ENDPOINT_URL`, then the Region's public endpoint.
    pub control_endpoint_url: Option<String>,
    /// How long the way to a new connection may take: DNS, TCP and TLS together. Default: 3 s.
    pub connect_timeout: Duration,
    /// Speak HTTP/1.1 only, for networks whose proxies break HTTP/2. Default: off.
    pub http1_only: bool,
    /// The most HTTP/2 connections of a worker to one endpoint. Over HTTP/1.1, where a stream has a
    /// connection of its own, this many times [`Self::streams_per_connection`]. Default: 128.
    pub max_connections: usize,
    /// How many streams a HTTP/2 connection should carry: beyond that another one is opened. Never
    /// more than half of what the peer allows; up to twice as many while no other connection has
    /// room. Default: 64.
    pub streams_per_connection: usize,
    /// How long a connection is silent before TCP asks whether the peer is alive. NAT gateways
    /// forget connections after 350 s. Default: 60 s.
    pub tcp_keepalive: Duration,
    /// How long an unused connection stays open. Default: 90 s.
    pub idle_timeout: Duration,
    /// A PEM file with certificates to trust beside the machine's own, as of a proxy that opens
    /// TLS. Default: none.
    pub extra_ca_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            region: None,
            endpoint_url: None,
            control_endpoint_url: None,
            connect_timeout: Duration::from_secs(3),
            http1_only: false,
            max_connections: 128,
            streams_per_connection: 64,
            tcp_keepalive: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(90),
            extra_ca_file: None,
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Options {
    let default = Options::default();
    let options = Options {
        region: section.value("region", targets::region),
        endpoint_url: section.value("endpoint_url", url),
        control_endpoint_url: section.value("control_endpoint_url", url),
        connect_timeout: section
            .value("connect_timeout", units::positive_duration)
            .unwrap_or(default.connect_timeout),
        http1_only: section
            .value("http1_only", units::boolean)
            .unwrap_or(default.http1_only),
        max_connections: section
            .value("max_connections", |text| units::number(text, 1, 10_000))
            .unwrap_or(default.max_connections),
        streams_per_connection: section
            .value("streams_per_connection", |text| {
                units::number(text, 1, 10_000)
            })
            .unwrap_or(default.streams_per_connection),
        tcp_keepalive: section
            .value("tcp_keepalive", units::positive_duration)
            .unwrap_or(default.tcp_keepalive),
        idle_timeout: section
            .value("idle_timeout", units::positive_duration)
            .unwrap_or(default.idle_timeout),
        extra_ca_file: section
            .value("extra_ca_file", units::text)
            .map(PathBuf::from),
    };
    section.finish();
    options
}

fn url(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    if host.is_some_and(|host| !host.is_empty()) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is not a URL; write one such as https://vpce-1a2b3c.bedrock-runtime.us-east-1.vpce.amazonaws.com"
    ))
}
