//! Verifies client certificates with the configured certificate authorities (CAs).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::UnixTime;

use super::{
    certificate::ClientCertificate,
    credential::Credential,
    rejection::Rejection,
    verifier::{Verification, Verifier},
};

/// Verifies client certificates with the configured CAs. The handshake verifies a certificate only
/// once. This verifier checks the expiry for each call, and verifies the chain again if the CAs
/// have changed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CertificateVerifier {
    number: u64,
    authorities: Arc<dyn ClientCertVerifier>,
}

/// The number that the next verifier gets.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl CertificateVerifier {
    /// Creates a verifier that accepts the same certificates as `authorities`, the verifier for
    /// handshakes.
    pub fn new(authorities: Arc<dyn ClientCertVerifier>) -> Self {
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            authorities,
        }
    }

    /// Returns whether a handshake with this certificate, or without one, would succeed with the
    /// current CAs. The connection can be older than these CAs.
    pub(super) fn allow(&self, certificate: Option<&ClientCertificate>) -> bool {
        match certificate {
            Some(certificate) => self.accepts(certificate),
            None => !self.authorities.client_auth_mandatory(),
        }
    }

    fn accepts(&self, certificate: &ClientCertificate) -> bool {
        if certificate.accepted_by.load(Ordering::Relaxed) == self.number {
            return true;
        }
        let Some((first, others)) = certificate.chain.split_first() else {
            return false;
        };
        let presented_at = certificate.presented_at.duration_since(UNIX_EPOCH);
        let time = UnixTime::since_unix_epoch(presented_at.unwrap_or_default());
        let verified = self.authorities.verify_client_cert(first, others, time);
        if verified.is_ok() {
            certificate
                .accepted_by
                .store(self.number, Ordering::Relaxed);
        }
        verified.is_ok()
    }

    fn check(&self, certificate: &ClientCertificate, now: SystemTime) -> Result<(), Rejection> {
        if now >= certificate.not_after {
            return Err(Rejection::Expired);
        }
        if self.accepts(certificate) {
            Ok(())
        } else {
            Err(Rejection::UntrustedCertificate)
        }
    }
}

impl Verifier for CertificateVerifier {
    fn verify(&self, credential: Credential<'_>, now: SystemTime) -> Verification {
        let Credential::Certificate(certificate) = credential else {
            return Verification::NotMine;
        };
        match self.check(certificate, now) {
            Ok(()) => Verification::Valid(Arc::clone(&certificate.claimed)),
            Err(rejection) => Verification::Refused(rejection),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
        KeyPair, SanType,
    };
    use rustls::{RootCertStore, server::WebPkiClientVerifier};

    use super::*;

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn certificate(authority: &Authority, uris: &[&str], names: &[&str]) -> ClientCertificate {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        for uri in uris {
            let uri = SanType::URI((*uri).try_into().unwrap());
            params.subject_alt_names.push(uri);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        ClientCertificate::of(&[certificate.der().clone()]).unwrap()
    }

    fn verifier(authority: &Authority) -> CertificateVerifier {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        CertificateVerifier::new(builder.build().unwrap())
    }

    fn all_names(certificate: &ClientCertificate) -> Vec<&str> {
        let claimed = &certificate.claimed;
        let others = claimed.other_names.iter().map(|name| &**name);
        std::iter::once(&*claimed.name).chain(others).collect()
    }

    #[test]
    fn the_uri_comes_before_dns_names_unless_there_are_several() {
        let authority = authority();
        let of = |uris: &[&str], names: &[&str]| {
            let certificate = certificate(&authority, uris, names);
            all_names(&certificate).join(" ")
        };
        assert_eq!(
            of(&["spiffe://a/b"], &["X.example"]),
            "spiffe://a/b x.example"
        );
        assert_eq!(
            of(&["spiffe://a/b", "spiffe://a/c"], &["x.example"]),
            "x.example"
        );
        assert_eq!(of(&[], &[]), "");
    }

    #[test]
    fn a_certificate_counts_until_its_end_or_until_the_authorities_change() {
        let (old, new) = (authority(), authority());
        let certificate = certificate(&old, &["spiffe://a/b"], &[]);
        let now = SystemTime::now();
        let (first, second, third) = (verifier(&old), verifier(&new), verifier(&old));
        assert_eq!(first.check(&certificate, now), Ok(()));
        assert_eq!(first.check(&certificate, now), Ok(()));
        assert_eq!(
            second.check(&certificate, now),
            Err(Rejection::UntrustedCertificate)
        );
        assert_eq!(third.check(&certificate, now), Ok(()));
        let end = certificate.not_after;
        assert_eq!(third.check(&certificate, end), Err(Rejection::Expired));
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert!(ClientCertificate::of(&[]).is_none());
        assert!(ClientCertificate::of(&[vec![1, 2, 3].into()]).is_none());
    }
}
