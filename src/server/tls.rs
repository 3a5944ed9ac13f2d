//! Loads the gateway's TLS certificate, its key, and the certificate authorities of clients.
//!
//! They are loaded together. A change creates a new configuration of rustls with separate sessions.
//! Earlier sessions can therefore not be resumed, and cannot outlive the authority that accepted
//! their client.

use std::{fmt, path::Path, sync::Arc};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_rustls::rustls::{
    self, ServerConfig,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::contents::Contents;
use crate::{
    access::CertificateVerifier,
    config::{ClientAuthentication, MAX_PEM, Tls},
    grpc,
};

/// What is loaded from the TLS files of a configuration.
pub(super) struct Loaded {
    pems: Pems,
    server: grpc::ServerTls,
    validity: Validity,
    /// Accepts the certificates of clients. `None` if clients are not asked for one.
    pub(super) clients: Option<CertificateVerifier>,
}

/// Checks the TLS files of a configuration as a start of the gateway does. Returns a warning if the
/// certificate is not valid now.
///
/// # Errors
/// Fails if a file cannot be used, or if the key is not that of the certificate. Returns all
/// problems.
pub fn check_tls(tls: &Tls) -> Result<Option<String>, Vec<String>> {
    let contents = Contents::read(tls.files().map(|(_, path)| (path, MAX_PEM)));
    let loaded = Loaded::new(tls, &contents, None)?;
    Ok(loaded.warning(tls, OffsetDateTime::now_utc()))
}

/// When a certificate chain is valid, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Validity {
    not_before: i64,
    not_after: i64,
}

impl Validity {
    /// Returns when clients accept a whole chain: when all its certificates are valid.
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

    /// Returns why clients refuse the chain at this time.
    fn problem(self, now: OffsetDateTime) -> Option<String> {
        let at = |seconds| {
            let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
            time.and_then(|time| time.format(&Rfc3339).ok())
                .unwrap_or_else(|| format!("{seconds} s after 1970"))
        };
        let now = now.unix_timestamp();
        if now > self.not_after {
            let at = at(self.not_after);
            return Some(format!("expired at {at}, so clients refuse it: renew it"));
        }
        (now < self.not_before).then(|| {
            let at = at(self.not_before);
            format!(
                "is not valid before {at}, so clients refuse it: check the clock of this machine"
            )
        })
    }
}

/// The content of the files, and what else decides which connections are accepted.
#[derive(PartialEq, Eq)]
struct Pems {
    certificate: Arc<[u8]>,
    key: Arc<[u8]>,
    client_ca: Option<Arc<[u8]>>,
    is_client_required: bool,
}

impl Loaded {
    /// Loads the files of a configuration. Returns `before` if their content is the same, so that
    /// sessions can still be resumed.
    ///
    /// # Errors
    /// Fails if a file cannot be used, or if the key is not that of the certificate. Returns all
    /// problems.
    pub(super) fn new(
        tls: &Tls,
        contents: &Contents,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, Vec<String>> {
        let pems = Pems::of(tls, contents)?;
        if let Some(before) = before.filter(|before| before.pems == pems) {
            return Ok(Arc::clone(before));
        }
        let mut problems = Vec::new();
        let mut noted = |problem| problems.push(problem);
        let chain = certificates(
            "tls.certificate_file",
            &tls.certificate_file,
            &pems.certificate,
        )
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
        let config = config(tls, chain, key, clients.clone()).map_err(|problem| vec![problem])?;
        Ok(Arc::new(Self {
            server: grpc::ServerTls {
                config: Arc::new(config),
                certificate_expiry: validity.not_after,
            },
            validity,
            clients: clients.map(CertificateVerifier::new),
            pems,
        }))
    }

    /// Returns a warning if the certificate is not valid at this time.
    pub(super) fn warning(&self, tls: &Tls, now: OffsetDateTime) -> Option<String> {
        let problem = self.validity.problem(now)?;
        let path = tls.certificate_file.display();
        Some(format!("the certificate in {path} {problem}"))
    }

    /// Returns what connections need.
    pub(super) fn server(&self) -> grpc::ServerTls {
        self.server.clone()
    }
}

impl Pems {
    fn of(tls: &Tls, contents: &Contents) -> Result<Self, Vec<String>> {
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

/// Returns the verifier of client certificates.
fn accepted_clients(
    clients: &ClientAuthentication,
    pem: &[u8],
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    const KEY: &str = "tls.client_ca_file";
    let path = &clients.ca_file;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(KEY, path, pem)? {
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
    verifier
        .build()
        .map_err(|error| unusable(KEY, path, &error))
}

/// Returns the certificates of a PEM file, at least one.
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

/// Describes a file that cannot be used: what the key expects, then the error of the library.
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
}
