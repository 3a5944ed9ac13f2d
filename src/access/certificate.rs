//! Client certificates, and the names that they contain.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls_pki_types::CertificateDer;
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

use super::claimed_caller::{ClaimKind, ClaimedCaller};

/// The maximum number of names that are read from a certificate.
const MAX_NAMES: usize = 100;

/// The certificate that a client presented in the TLS handshake.
pub struct ClientCertificate {
    pub(super) claimed: Arc<ClaimedCaller>,
    pub(super) not_after: SystemTime,
    /// When the client presented the certificate.
    pub(super) presented_at: SystemTime,
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The number of the last verifier that accepted the chain, or 0 if no verifier has accepted it
    /// yet.
    pub(super) accepted_by: AtomicU64,
}

impl ClientCertificate {
    /// Reads the names from the certificate chain of a client. `None` if the chain is empty or
    /// cannot be parsed.
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let first = chain.first()?;
        let (_, certificate) = x509_parser::parse_x509_certificate(first).ok()?;
        let not_after = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
        let mut names = names(&certificate).into_iter();
        let name = names.next().unwrap_or_else(|| "".into());
        Some(Self {
            claimed: Arc::new(ClaimedCaller {
                name,
                other_names: names.collect(),
                kind: ClaimKind::Certificate,
                issuer: None,
                claim: None,
                audiences: Vec::new(),
                groups: Vec::new(),
                unlisted: None,
            }),
            not_after: UNIX_EPOCH + Duration::from_secs(not_after),
            presented_at: SystemTime::now(),
            chain: chain.iter().map(|one| one.clone().into_owned()).collect(),
            accepted_by: AtomicU64::new(0),
        })
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCertificate")
            .field(&self.claimed.name)
            .finish()
    }
}

/// Returns the names by which a certificate can identify a caller: its URI, such as a SPIFFE ID,
/// and its DNS names in lower case. If the certificate contains several URIs, they are all ignored,
/// because a SPIFFE ID must be the only URI.
fn names(certificate: &X509Certificate<'_>) -> Vec<Arc<str>> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let mut uris = Vec::new();
    let mut dns: Vec<Arc<str>> = Vec::new();
    for name in names.iter().take(MAX_NAMES) {
        match name {
            GeneralName::URI(uri) => uris.push((*uri).into()),
            GeneralName::DNSName(name) => dns.push(name.to_ascii_lowercase().into()),
            _ => {}
        }
    }
    if uris.len() > 1 {
        uris.clear();
    }
    uris.append(&mut dns);
    uris
}
