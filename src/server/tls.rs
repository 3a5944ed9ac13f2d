//! Loads the gateway's TLS certificate.

use std::{io, path::Path, sync::Arc};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self,
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

use crate::config::{ClientAuthentication, Tls};

/// Reads the certificate and its key.
pub(super) fn acceptor(tls: &Tls) -> io::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(&tls.certificate_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("tls.certificate_file", &tls.certificate_file, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file)
        .map_err(|error| unreadable("tls.key_file", &tls.key_file, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_client_cert_verifier(match &tls.clients {
            Some(clients) => clients_of(clients)?,
            None => WebPkiClientVerifier::no_client_auth(),
        })
        .with_single_cert(chain, key)
        .map_err(|error| unreadable("tls.key_file", &tls.key_file, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Returns the verifier of client certificates.
///
/// # Errors
/// Fails if the file cannot be read, or contains no certificate authority.
pub(super) fn clients_of(
    clients: &ClientAuthentication,
) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let path = &clients.ca_file;
    let wrong = |error: &dyn std::fmt::Display| unreadable("tls.client_ca_file", path, error);
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&error))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let verifier = if clients.required {
        verifier
    } else {
        verifier.allow_unauthenticated()
    };
    verifier.build().map_err(|error| wrong(&error))
}

/// Returns when the certificate expires, in seconds since the Unix epoch. This is the earliest
/// expiry in the chain, because clients then reject the whole chain.
///
/// # Errors
/// Fails if the file cannot be read, or contains anything other than certificates.
pub(super) fn expiry(tls: &Tls) -> io::Result<i64> {
    let chain = CertificateDer::pem_file_iter(&tls.certificate_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("tls.certificate_file", &tls.certificate_file, &error))?;
    let mut expiries = Vec::with_capacity(chain.len());
    for certificate in &chain {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|error| unreadable("tls.certificate_file", &tls.certificate_file, &error))?;
        expiries.push(certificate.validity().not_after.timestamp());
    }
    let none = || {
        unreadable(
            "tls.certificate_file",
            &tls.certificate_file,
            &"contains no certificate",
        )
    };
    expiries.into_iter().min().ok_or_else(none)
}

fn unreadable(key: &str, file: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{key}: cannot use {}: {error}", file.display()),
    )
}
