//! `listen`, `admin`, `workers`, `tls`, `cors`, `playground`, `trusted_proxies`: addresses, TLS,
//! web pages, proxies.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    hosts::Hosts,
    masked::masked_url,
    section::Section,
    trusted_proxies::{self, TrustedProxies},
    units,
};

/// Addresses, TLS and web pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The address for gRPC and gRPC-Web. `listen`, default `0.0.0.0:50051`.
    pub listen: SocketAddr,
    /// The address for liveness, readiness, metrics and health, without TLS. `admin.listen`,
    /// default `0.0.0.0:9090`.
    pub admin: SocketAddr,
    /// The number of threads that serve connections. Each has its own connections to Bedrock.
    /// `workers`, default: the number of CPUs.
    pub workers: usize,
    /// The certificate for TLS. `tls`, default: none; the gateway then serves plain text.
    pub tls: Option<Tls>,
    /// The web pages that can call the gateway. `cors`, default: none.
    pub cors: Cors,
    /// The host names that the two ports accept if they listen on a loopback address. This is not a
    /// key of the file: `dev` accepts only loopback names, `serve` accepts all.
    pub hosts: Hosts,
    /// Whether the gateway serves the playground at `/` of `listen`. `playground`, default: false.
    pub playground: bool,
    /// The proxies whose information about clients is trusted. `trusted_proxies`, default: none.
    pub trusted_proxies: TrustedProxies,
}

/// The certificate of the gateway with its key, and the accepted client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file with the certificate and its chain. `tls.certificate_file`.
    pub certificate_file: PathBuf,
    /// A PEM file with the private key. `tls.key_file`.
    pub key_file: PathBuf,
    /// Which client certificates are accepted. `tls.client_ca_file`, default: the gateway does not
    /// ask clients for a certificate.
    pub clients: Option<ClientAuthentication>,
}

/// Which client certificates are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuthentication {
    /// A PEM file with the CA certificates that issue client certificates. `tls.client_ca_file`.
    pub ca_file: PathBuf,
    /// Whether connections without a certificate are refused. `tls.client_auth`, `required` or
    /// `optional`, default `required`.
    pub required: bool,
}

/// The web pages that can call the gateway (CORS).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// The allowed origins, such as `https://chat.example.com`, or `*` for all. The playground
    /// needs no entry. `cors.allowed_origins`, default: none.
    pub allowed_origins: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 50051)),
            admin: SocketAddr::from(([0, 0, 0, 0], 9090)),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            tls: None,
            cors: Cors::default(),
            hosts: Hosts::Any,
            playground: false,
            trusted_proxies: TrustedProxies::default(),
        }
    }
}

pub(super) fn read(root: &mut Section<'_>) -> Server {
    let default = Server::default();
    let listen = root.value("listen", units::address);
    let mut admin = root.section("admin");
    let admin_listen = admin.value("listen", units::address);
    let addresses = (
        listen.unwrap_or(default.listen),
        admin_listen.unwrap_or(default.admin),
    );
    if overlap(addresses.0, addresses.1) {
        admin.report(
            "listen",
            format!(
                "{} is already used by `listen` ({}); choose another port",
                addresses.1, addresses.0
            ),
        );
    }
    admin.finish();
    let workers = root.value("workers", |text| units::number(text, 1, 256));
    let tls = root.optional_section("tls").and_then(read_tls);
    let mut cors = root.section("cors");
    let allowed_origins = cors.list("allowed_origins", origin).unwrap_or_default();
    cors.finish();
    let playground = root.value("playground", units::boolean);
    let trusted_proxies = trusted_proxies::read(root.section("trusted_proxies"));
    Server {
        listen: addresses.0,
        admin: addresses.1,
        workers: workers.unwrap_or(default.workers),
        tls,
        cors: Cors { allowed_origins },
        hosts: default.hosts,
        playground: playground.unwrap_or(default.playground),
        trusted_proxies,
    }
}

/// Returns whether two sockets cannot listen on these addresses at the same time. Port 0 stands for
/// any free port.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (is_any || one.ip() == other.ip())
}

fn read_tls(mut section: Section<'_>) -> Option<Tls> {
    let certificate_file = section.path_value("certificate_file", units::text);
    let key_file = section.path_value("key_file", units::text);
    let client_ca_file = section.path_value("client_ca_file", units::text);
    let client_auth = section.value("client_auth", |text| {
        units::one_of(text, &[("required", true), ("optional", false)])
    });
    if client_auth.is_some() && client_ca_file.is_none() {
        section.report(
            "client_auth",
            "needs `client_ca_file`: the authorities whose client certificates are accepted",
        );
    }
    if certificate_file.is_none() || key_file.is_none() {
        section.report(
            "",
            "certificate_file and key_file are both required: the paths of two PEM files",
        );
    }
    section.finish();
    Some(Tls {
        certificate_file: certificate_file?.into(),
        key_file: key_file?.into(),
        clients: client_ca_file.map(|ca_file| ClientAuthentication {
            ca_file: ca_file.into(),
            required: client_auth.unwrap_or(true),
        }),
    })
}

fn origin(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_origin = bare.is_some_and(|host| {
        let is_host = host
            .parse()
            .is_ok_and(|authority: http::uri::Authority| !authority.host().is_empty());
        is_host && !host.contains('@')
    });
    if text == "*" || is_origin {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is not an origin; write a scheme and a host without a user and a path, such as https://chat.example.com, or *",
        masked_url(text)
    ))
}
