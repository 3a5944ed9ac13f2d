//! Creates a certificate that is valid for one run of the emulator.

use std::{io, net::IpAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// The certificate for TLS connections, and the CA that clients must trust.
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// The CA certificate, in PEM.
    pub(super) ca_pem: String,
}

/// Creates a CA and a certificate for `localhost` and this address.
///
/// # Errors
/// Fails if the keys cannot be created.
pub(super) fn self_signed(address: IpAddr) -> io::Result<Tls> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "Bedrock emulator CA");
    let authority_key = KeyPair::generate().map_err(io::Error::other)?;
    let authority =
        CertifiedIssuer::self_signed(authority, authority_key).map_err(io::Error::other)?;

    let names = vec!["localhost".to_owned()];
    let mut leaf = CertificateParams::new(names).map_err(io::Error::other)?;
    leaf.subject_alt_names.push(SanType::IpAddress(address));
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = leaf.signed_by(&key, &authority).map_err(io::Error::other)?;

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        ca_pem: authority.pem(),
    })
}
