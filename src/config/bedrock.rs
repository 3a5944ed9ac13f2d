//! `bedrock`: the connection to Bedrock.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    masked::masked_url,
    proxy::{self, Proxies},
    section::Section,
    units,
};

/// The variable that names the file of a Bedrock API key.
pub const API_KEY_FILE: &str = "AWS_BEARER_TOKEN_BEDROCK_FILE";
/// The variable that contains a Bedrock API key. The SDK reads it.
const API_KEY: &str = "AWS_BEARER_TOKEN_BEDROCK";

/// The connection to Bedrock: settings that override aws-config's chain, and limits on connections.
///
/// Credentials, profile, Region, endpoint and bearer token come from the variables and files that
/// every AWS SDK reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BedrockOptions {
    /// The source Region of routes that name none, neither with `region` nor in an ARN. Default:
    /// the Region from aws-config's chain (`AWS_REGION`, the profile, the instance metadata).
    pub region: Option<String>,
    /// The URL of Bedrock's runtime in place of the Region's public endpoint: an interface
    /// endpoint, a proxy or the emulator. Default: `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, then
    /// `AWS_ENDPOINT_URL`, then the public endpoint.
    pub endpoint_url: Option<String>,
    /// The URL of Bedrock's control plane, which lists inference profiles. Default:
    /// `AWS_ENDPOINT_URL_BEDROCK`, then `AWS_ENDPOINT_URL`, then the Region's public endpoint.
    pub control_endpoint_url: Option<String>,
    /// The endpoints of individual source Regions, such as the interface endpoints of PrivateLink,
    /// of which there is one per Region. They take precedence over [`Self::endpoint_url`] and
    /// [`Self::control_endpoint_url`]. Default: none.
    pub endpoints: BTreeMap<String, Endpoints>,
    /// The time limit for opening a connection: DNS, TCP and TLS together. Default: 3 s.
    pub connect_timeout: Duration,
    /// Whether to use only HTTP/1.1, for networks whose proxies break HTTP/2. Default: false.
    pub http1_only: bool,
    /// The maximum number of HTTP/2 connections of a worker to one endpoint. The maximum for
    /// HTTP/1.1, where streams do not share connections, is this number times
    /// [`Self::streams_per_connection`]. Default: 128.
    pub max_connections: usize,
    /// The target number of streams of an HTTP/2 connection, at most half of what the peer allows.
    /// If all connections have this many, the gateway opens another one. While it cannot, a
    /// connection carries up to twice as many. Default: 64.
    pub streams_per_connection: usize,
    /// How long a connection may be silent before TCP keepalive probes check whether the peer is
    /// alive. NAT gateways drop connections that are silent for 350 s. Default: 60 s.
    pub tcp_keepalive: Duration,
    /// How long an unused connection stays open. Default: 90 s.
    pub idle_timeout: Duration,
    /// A PEM file with CA certificates to trust in addition to those of the machine, such as the CA
    /// of a proxy that terminates TLS. Default: none.
    pub extra_ca_file: Option<PathBuf>,
    /// The forward proxies from environment variables. Default: none.
    pub proxies: Proxies,
    /// The files in which AWS SDKs look for profiles and tokens: `AWS_CONFIG_FILE` and
    /// `AWS_SHARED_CREDENTIALS_FILE`, or those in `~/.aws`, and the files of
    /// `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`. The SDK reads
    /// them; the gateway only detects that they have changed.
    pub credential_files: Vec<PathBuf>,
    /// The file of a Bedrock API key, from `AWS_BEARER_TOKEN_BEDROCK_FILE`. AWS SDKs do not read
    /// this variable. It cannot be combined with `AWS_BEARER_TOKEN_BEDROCK`. Default: none.
    pub api_key_file: Option<PathBuf>,
}

/// The endpoints of one source Region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// The URL of Bedrock's runtime. `endpoint_url`, default: [`BedrockOptions::endpoint_url`].
    pub endpoint_url: Option<String>,
    /// The URL of Bedrock's control plane. `control_endpoint_url`, default:
    /// [`BedrockOptions::control_endpoint_url`].
    pub control_endpoint_url: Option<String>,
}

impl Default for BedrockOptions {
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
            endpoints: BTreeMap::new(),
            proxies: Proxies::default(),
            credential_files: Vec::new(),
            api_key_file: None,
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> BedrockOptions {
    let default = BedrockOptions::default();
    let options = BedrockOptions {
        region: section.value("region", units::region),
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
            .path_value("extra_ca_file", units::text)
            .map(PathBuf::from),
        endpoints: read_endpoints(&mut section),
        proxies: proxy::read(&section),
        credential_files: credential_files(&section),
        api_key_file: api_key_file(&section),
    };
    section.finish();
    options
}

pub(super) fn read_endpoints(section: &mut Section<'_>) -> BTreeMap<String, Endpoints> {
    let mut all = BTreeMap::new();
    for (region, mut urls) in section.named_sections("endpoints") {
        if let Err(message) = units::region(&region.name) {
            urls.report("", message);
        }
        let endpoints = Endpoints {
            endpoint_url: urls.value("endpoint_url", url),
            control_endpoint_url: urls.value("control_endpoint_url", url),
        };
        urls.finish();
        all.insert(region.name, endpoints);
    }
    all
}

/// Returns the files in which the SDK looks for profiles and tokens, by the same rules as the SDK.
fn credential_files(section: &Section<'_>) -> Vec<PathBuf> {
    let variable = |name| section.variable(name, |text| Ok(PathBuf::from(text)));
    let home = variable("HOME");
    let tokens = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ];
    let profiles = [
        ("AWS_CONFIG_FILE", ".aws/config"),
        ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
    ];
    let profiles = profiles.into_iter().filter_map(|(name, default)| {
        let at_home = |rest: &std::path::Path| home.as_ref().map(|home| home.join(rest));
        match variable(name) {
            Some(path) => match path.strip_prefix("~") {
                Ok(rest) => at_home(rest),
                Err(_) => Some(path),
            },
            None => at_home(default.as_ref()),
        }
    });
    profiles
        .chain(tokens.into_iter().filter_map(variable))
        .collect()
}

/// Returns the file of the API key. An API key in a variable as well is an error, because it would
/// be unclear which one is in use.
fn api_key_file(section: &Section<'_>) -> Option<PathBuf> {
    let is_in_variable = section.variable(API_KEY, |_| Ok(())).is_some();
    section.variable(API_KEY_FILE, |path| match is_in_variable {
        true => Err(format!("{API_KEY} is set, too; set only one of them")),
        false => Ok(PathBuf::from(path)),
    })
}

fn url(text: &str) -> Result<String, String> {
    let is_url = text.parse().is_ok_and(|uri: http::Uri| {
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        has_host && matches!(uri.scheme_str(), Some("http" | "https"))
    });
    if is_url {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is not a URL; write one such as https://vpce-1a2b3c.bedrock-runtime.us-east-1.vpce.amazonaws.com",
        masked_url(text)
    ))
}
