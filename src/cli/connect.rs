//! The connection options, which all client commands share.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::Args;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tonic::{
    metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue},
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Uri},
};

use super::{client::Gateway, credential::Credential, request_file::unreadable};

/// The timeout for TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval of keepalive probes, by which a dead connection is detected during an answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long the gateway may take to answer a keepalive probe.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The flow-control window of the connection, in bytes. h2 closes connections with too many small
/// unread frames, such as tokens; with a larger window, it allows more of them. Adaptive windows
/// are not used, because they are too small at first.
const CONNECTION_WINDOW: u32 = 64 << 20;
const STREAM_WINDOW: u32 = 4 << 20;
/// Metadata that gRPC itself sets, so that users cannot set it.
const RESERVED: [&str; 4] = ["content-type", "host", "te", "user-agent"];

/// The connection options of a client command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connect {
    /// The gateway's address: http:// or https://, host and port
    #[arg(
        long,
        env = "BEDROCK_GRPC_ADDRESS",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL",
        value_parser = parse_address
    )]
    address: Uri,

    /// PEM file with the CA certificates to trust for https://, instead of those of the system
    #[arg(long, env = "BEDROCK_GRPC_CA", value_name = "FILE")]
    ca: Option<PathBuf>,

    /// PEM file with the client certificate and its chain, for gateways that identify callers by
    /// certificates
    #[arg(
        long,
        env = "BEDROCK_GRPC_CLIENT_CERT",
        value_name = "FILE",
        requires = "client_key"
    )]
    client_cert: Option<PathBuf>,

    /// PEM file with the private key of the client certificate
    #[arg(
        long,
        env = "BEDROCK_GRPC_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,

    /// Timeout of the whole call: a number with ms, s, m or h, such as 90s [default: the gateway's
    /// limit, or 1s for `health`]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    deadline: Option<Duration>,

    /// Metadata to send, as NAME:VALUE, such as `authorization:Bearer …`. May be repeated. The
    /// variable contains one entry per line
    #[arg(
        long = "header",
        env = "BEDROCK_GRPC_HEADERS",
        hide_env_values = true,
        value_name = "NAME:VALUE",
        value_parser = Headers::from_str
    )]
    headers: Vec<Headers>,

    /// File with the API key to send. Alternatively, set the variable BEDROCK_GRPC_KEY to the key
    #[arg(
        long,
        env = "BEDROCK_GRPC_KEY_FILE",
        value_name = "FILE",
        conflicts_with = "token_file"
    )]
    key_file: Option<PathBuf>,

    /// File with the token to send, such as a projected service account token. It is read again for
    /// each call
    #[arg(long, env = "BEDROCK_GRPC_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Connect {
    /// Returns the client with the deadline of the options, or else with this default. The client
    /// connects when it makes the first call.
    ///
    /// Fails with a message if a file of the options cannot be used.
    pub fn gateway(&self, default_deadline: Option<Duration>) -> Result<Gateway, String> {
        let mut metadata = MetadataMap::new();
        for Header { name, value } in self.headers.iter().flat_map(|headers| &headers.0) {
            metadata.append(name.clone(), value.clone());
        }
        let credential = Credential::find(self.key_file.as_deref(), self.token_file.as_deref())?;
        Ok(Gateway::new(
            self.endpoint()?.connect_lazy(),
            self.address.to_string().trim_end_matches('/').to_owned(),
            metadata,
            credential,
            self.deadline.or(default_deadline),
        ))
    }

    fn endpoint(&self) -> Result<Endpoint, String> {
        let endpoint = Endpoint::from(self.address.clone())
            .user_agent(concat!("bedrock-grpc/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| error.to_string())?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW);
        if self.address.scheme_str() != Some("https") {
            return Ok(endpoint);
        }
        let read = |option: &str, path: &Path| {
            std::fs::read(path)
                .map_err(|error| unreadable(format_args!("{option} {}", path.display()), &error))
        };
        let certificates = |option: &str, path: &Path| match read(option, path)? {
            pem if CertificateDer::from_pem_slice(&pem).is_ok() => Ok(pem),
            _ => Err(format!(
                "{option} {}: expected a PEM file with at least one certificate",
                path.display()
            )),
        };
        let mut tls = match &self.ca {
            Some(path) => {
                let pem = certificates("--ca", path)?;
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let (Some(cert), Some(key)) = (&self.client_cert, &self.client_key) {
            let (cert, path) = (certificates("--client-cert", cert)?, key);
            let key = read("--client-key", path)?;
            if PrivateKeyDer::from_pem_slice(&key).is_err() {
                return Err(format!(
                    "--client-key {}: expected a PEM file with an unencrypted private key",
                    path.display()
                ));
            }
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        endpoint.tls_config(tls).map_err(|error| {
            format!(
                "cannot set up TLS; check --ca, --client-cert and --client-key (cause: {})",
                super::failure::cause(&error)
            )
        })
    }
}

fn parse_address(text: &str) -> Result<Uri, String> {
    let expected = "expected http://HOST:PORT or https://HOST:PORT";
    let uri = Uri::from_str(text).map_err(|error| format!("{error}; {expected}"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) if uri.path() == "/" && uri.query().is_none() => Ok(uri),
        (Some("http" | "https"), Some(_)) => {
            Err(format!("the address must not contain a path: {expected}"))
        }
        _ => Err(expected.to_owned()),
    }
}

/// Parses a duration such as `1500ms`, `30s`, `2m` or `1h`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("expected a whole number with ms, s, m or h, such as 30s".to_owned()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds))
        .filter(|&time| time > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| "must be longer than 0, such as 30s".to_owned())
}

/// Entries of metadata, one per line.
#[derive(Clone, Debug)]
struct Headers(Vec<Header>);

impl FromStr for Headers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(Header::from_str)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// An entry of metadata.
#[derive(Clone, Debug)]
struct Header {
    name: MetadataKey<Ascii>,
    value: MetadataValue<Ascii>,
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once(':')
            .ok_or("expected NAME:VALUE, such as x-request-id:42")?;
        let name = name.trim().to_ascii_lowercase();
        if name == "grpc-timeout" {
            return Err("use the option --deadline instead".to_owned());
        }
        if name.starts_with("grpc-") || RESERVED.contains(&name.as_str()) {
            return Err(format!("`{name}` is set by gRPC itself"));
        }
        let name = MetadataKey::from_str(&name)
            .map_err(|_| format!("`{name}` is not a valid metadata name: use a-z, 0-9 and `_-.`; names that end in -bin are not supported"))?;
        // Messages never contain the value, which may be a secret.
        let mut value = MetadataValue::from_str(value.trim())
            .map_err(|_| format!("the value of `{name}` must be visible ASCII"))?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let parse = |text| parse_duration(text).ok();
        assert_eq!(parse("1500ms"), Some(Duration::from_millis(1500)));
        assert_eq!(parse("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parse("1h"), Some(Duration::from_secs(3600)));
        for wrong in ["", "30", "s", "0s", "-1s", "1.5s", "18446744073709551615h"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn addresses_have_a_scheme_and_no_path() {
        assert!(parse_address("https://gateway.example:443").is_ok());
        for wrong in [
            "localhost:50051",
            "ftp://host",
            "http://host/path",
            "http://host?a=b",
            "",
        ] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_are_names_and_values() {
        let header = Header::from_str("Authorization: Bearer a:b").unwrap();
        assert_eq!(header.name.as_str(), "authorization");
        assert_eq!(header.value.to_str().unwrap(), "Bearer a:b");
        for wrong in [
            "authorization",
            "grpc-timeout:1S",
            "te:trailers",
            "a-bin:x",
            "a b:c",
            "a:\u{1}",
        ] {
            assert!(Header::from_str(wrong).is_err(), "{wrong}");
        }
    }
}
