//! Loads the gateway's TLS certificate, its key, and the client CAs.
//!
//! All files are loaded together. A change creates a new configuration of rustls with separate TLS
//! sessions. So earlier sessions cannot be resumed, and a session cannot outlive the CA that
//! accepted its client.

use std::{fmt, path::Path, sync::Arc};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_rustls::rustls::{
    self, ServerConfig,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::file_contents::FileContents;
use crate::{
    access::CertificateVerifier,
    config::{ClientAuthentication, MAX_PEM, Tls},
    grpc,
    telemetry::metrics::Expiries,
};

/// The loaded content of the TLS files of a configuration.
pub(super) struct Loaded {
    pems: Pems,
    server: grpc::ServerTls,
    validity: Validity,
    /// The verifier of client certificates. `None` if clients are not asked for a certificate.
    pub(super) clients: Option<CertificateVerifier>,
    /// The client CAs.
    authorities: Vec<Authority>,
}

/// A client CA.
struct Authority {
    subject: String,
    /// When the CA's certificate expires, in seconds since the Unix epoch.
    not_after: i64,
}

/// How long before the expiry of a CA's certificate the gateway warns about it. The chart's alert
/// for the gateway's own certificate uses the same time.
const EXPIRES_SOON: Duration = Duration::days(7);

/// A key of the configuration, and the problem with the certificates in its file.
pub type TlsWarning = (&'static str, String);

const CERTIFICATE_FILE: &str = "tls.certificate_file";
const CLIENT_CA_FILE: &str = "tls.client_ca_file";

/// Checks the TLS files of a configuration in the same way as the start of the gateway. Returns
/// warnings about certificates that are not valid now, or that expire soon.
///
/// # Errors
/// Fails if a file cannot be used, or if the key does not match the certificate. Returns all
/// problems.
pub fn check_tls(tls: &Tls) -> Result<Vec<TlsWarning>, Vec<String>> {
    let contents = FileContents::read(tls.files().map(|(_, path)| (path, MAX_PEM)));
    let loaded = Loaded::new(tls, &contents, None)?;
    Ok(loaded.warnings(tls, OffsetDateTime::now_utc()))
}

/// The validity of a certificate chain, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Validity {
    not_before: i64,
    not_after: i64,
}

impl Validity {
    /// Returns when a whole chain is valid. Clients accept a chain only while all its certificates
    /// are valid.
    fn of(tls: &Tls, chain: &[CertificateDer<'_>]) -> Result<Self, String> {
        let path = &tls.certificate_file;
        let wrong = |error: &dyn fmt::Display| unusable("tls.certificate_file", path, error);
        let mut whole: Option<Self> = None;
        for certificate in chain {
            let (_, certificate) =
                x509_parser::parse_x509_certificate(certificate).map_err(|error| wrong(&error))?;
            let validity = certificate.validity();
            let (not_before, not_after) = (
                validity.not_before.timestamp(),
                validity.not_after.timestamp(),
            );
            whole = Some(match whole {
                None => Self {
                    not_before,
                    not_after,
                },
                Some(before) => Self {
                    not_before: before.not_before.max(not_before),
                    not_after: before.not_after.min(not_after),
                },
            });
        }
        whole.ok_or_else(|| wrong(&"it contains no certificate"))
    }

    /// Returns why clients refuse the chain at this time. `None` if they accept it.
    fn problem(self, now: OffsetDateTime) -> Option<String> {
        let now = now.unix_timestamp();
        if now > self.not_after {
            let at = date(self.not_after);
            return Some(format!("expired at {at}, so clients refuse it: renew it"));
        }
        (now < self.not_before).then(|| {
            let at = date(self.not_before);
            format!(
                "is not valid before {at}, so clients refuse it: check the clock of this machine"
            )
        })
    }
}

/// Formats a time in seconds since the Unix epoch.
fn date(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} s after 1970"))
}

impl Authority {
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, certificate) =
            x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
        Ok(Self {
            subject: certificate.subject().to_string(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// Returns the problem with the certificate at this time, if there is one.
    fn problem(&self, now: OffsetDateTime) -> Option<String> {
        let rest = self.not_after - now.unix_timestamp();
        let (subject, at) = (&self.subject, date(self.not_after));
        let verb = match rest {
            ..0 => "expired",
            _ if rest < EXPIRES_SOON.whole_seconds() => "expires",
            _ => return None,
        };
        Some(format!(
            "the certificate of the authority `{subject}` {verb} at {at}: replace it, and the certificates of its clients"
        ))
    }
}

/// The content of the files, and the other settings that decide which connections are accepted.
#[derive(PartialEq, Eq)]
struct Pems {
    certificate: Arc<[u8]>,
    key: Arc<[u8]>,
    client_ca: Option<Arc<[u8]>>,
    is_client_required: bool,
}

impl Loaded {
    /// Loads the files of a configuration. If their content is the same, returns `before`, so that
    /// TLS sessions can still be resumed.
    ///
    /// # Errors
    /// Fails if a file cannot be used, or if the key does not match the certificate. Returns all
    /// problems.
    pub(super) fn new(
        tls: &Tls,
        contents: &FileContents,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, Vec<String>> {
        let pems = Pems::of(tls, contents)?;
        if let Some(before) = before.filter(|before| before.pems == pems) {
            return Ok(Arc::clone(before));
        }
        let mut problems = Vec::new();
        let mut noted = |problem| problems.push(problem);
        let chain = certificates(CERTIFICATE_FILE, &tls.certificate_file, &pems.certificate)
            .and_then(|chain| Ok((Validity::of(tls, &chain)?, chain)))
            .map_err(&mut noted);
        let key = PrivateKeyDer::from_pem_slice(&pems.key)
            .map_err(|error| noted(unusable("tls.key_file", &tls.key_file, &error)));
        let clients = tls.clients.as_ref().zip(pems.client_ca.as_deref());
        let clients = clients
            .map(|(clients, pem)| accepted_clients(clients, pem))
            .transpose()
            .map_err(&mut noted);
        let (Ok((validity, chain)), Ok(key), Ok(clients)) = (chain, key, clients) else {
            return Err(problems);
        };
        let (clients, authorities) = clients.unzip();
        let authorities: Vec<Authority> = authorities.unwrap_or_default();
        let expiries = Expiries {
            own: validity.not_after,
            client_ca: authorities.iter().map(|one| one.not_after).min(),
        };
        let config = config(tls, chain, key, clients.clone()).map_err(|problem| vec![problem])?;
        Ok(Arc::new(Self {
            server: grpc::ServerTls {
                config: Arc::new(config),
                expiries,
            },
            validity,
            clients: clients.map(CertificateVerifier::new),
            authorities,
            pems,
        }))
    }

    /// Returns warnings about certificates that are not valid at this time, or that expire soon.
    pub(super) fn warnings(&self, tls: &Tls, now: OffsetDateTime) -> Vec<TlsWarning> {
        let own = self.validity.problem(now).map(|problem| {
            let path = tls.certificate_file.display();
            (
                CERTIFICATE_FILE,
                format!("the certificate in {path} {problem}"),
            )
        });
        let authorities = self.authorities.iter();
        let authorities = authorities.filter_map(|authority| authority.problem(now));
        own.into_iter()
            .chain(authorities.map(|problem| (CLIENT_CA_FILE, problem)))
            .collect()
    }

    /// Returns the TLS settings for new connections.
    pub(super) fn server(&self) -> grpc::ServerTls {
        self.server.clone()
    }
}

impl Pems {
    fn of(tls: &Tls, contents: &FileContents) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut content = |key: &str, path: &Path| match contents.of(path) {
            Ok(content) => content,
            Err(error) => {
                problems.push(format!("{key}: {} {error}", path.display()));
                Arc::default()
            }
        };
        let clients = tls.clients.as_ref();
        let pems = Self {
            certificate: content("tls.certificate_file", &tls.certificate_file),
            key: content("tls.key_file", &tls.key_file),
            client_ca: clients.map(|clients| content("tls.client_ca_file", &clients.ca_file)),
            is_client_required: clients.is_some_and(|clients| clients.required),
        };
        if problems.is_empty() {
            Ok(pems)
        } else {
            Err(problems)
        }
    }
}

fn config(
    tls: &Tls,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("tls: {error}"))?
        .with_client_cert_verifier(clients.unwrap_or_else(WebPkiClientVerifier::no_client_auth))
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "tls.key_file: {} is not the key of the certificate in {}; write both files of one certificate",
                tls.key_file.display(),
                tls.certificate_file.display()
            ),
            error => unusable("tls.key_file", &tls.key_file, &error),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns the verifier of client certificates, and the CAs that it accepts.
fn accepted_clients(
    clients: &ClientAuthentication,
    pem: &[u8],
) -> Result<(Arc<dyn ClientCertVerifier>, Vec<Authority>), String> {
    const KEY: &str = CLIENT_CA_FILE;
    let path = &clients.ca_file;
    let mut roots = rustls::RootCertStore::empty();
    let mut authorities = Vec::new();
    for certificate in certificates(KEY, path, pem)? {
        let authority = Authority::of(&certificate);
        authorities.push(authority.map_err(|error| unusable(KEY, path, &error))?);
        let added = roots.add(certificate);
        added.map_err(|error| unusable(KEY, path, &error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let verifier = if clients.required {
        verifier
    } else {
        verifier.allow_unauthenticated()
    };
    let verifier = verifier
        .build()
        .map_err(|error| unusable(KEY, path, &error))?;
    Ok((verifier, authorities))
}

/// Returns the certificates of a PEM file. There is at least one.
fn certificates(
    key: &str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(key, path, &error))?;
    if certificates.is_empty() {
        return Err(unusable(key, path, &"it contains no certificate"));
    }
    Ok(certificates)
}

/// Describes a file that cannot be used: first what the configuration key expects, then the error
/// of the library.
fn unusable(key: &str, file: &Path, cause: &dyn fmt::Display) -> String {
    let expected = match key {
        "tls.key_file" => "an unencrypted private key",
        "tls.client_ca_file" => "at least one certificate of a certificate authority",
        _ => "the certificate and its chain",
    };
    format!(
        "{key}: cannot use {}; write a PEM file with {expected} (cause: {cause})",
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_valid_while_all_its_certificates_are() {
        let validity = Validity {
            not_before: 100,
            not_after: 200,
        };
        let problem = |seconds| {
            let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            validity.problem(now).unwrap_or_default()
        };
        assert_eq!(problem(100), "");
        assert_eq!(problem(200), "");
        assert!(problem(201).starts_with("expired at 1970-01-01T00:03:20Z"));
        assert!(problem(99).starts_with("is not valid before 1970-01-01T00:01:40Z"));
    }

    #[test]
    fn an_authority_is_reported_a_week_before_it_expires() {
        let week = EXPIRES_SOON.whole_seconds();
        let authority = Authority {
            subject: "CN=a".to_owned(),
            not_after: week,
        };
        let problem = |seconds| {
            let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            authority.problem(now).unwrap_or_default()
        };
        assert_eq!(problem(0), "");
        let words = "the certificate of the authority `CN=a`";
        for (seconds, verb) in [(1, "expires"), (week, "expires"), (week + 1, "expired")] {
            let expected = format!("{words} {verb} at 1970-01-08T00:00:00Z: ");
            assert!(problem(seconds).starts_with(&expected), "{seconds}");
        }
    }
}
