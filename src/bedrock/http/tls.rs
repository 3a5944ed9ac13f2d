//! Configures TLS connections to AWS, and the certificates that they trust.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::config::{MAX_PEM, bedrock::BedrockOptions, read_regular};

pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Why TLS cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of additional certificates cannot be read, or contains no certificate.
    #[error("bedrock.extra_ca_file: cannot read certificates from {}: {why}; name a PEM file with at least one certificate", .path.display())]
    ExtraCa {
        /// The path as configured.
        path: PathBuf,
        /// Why the file cannot be used.
        why: String,
    },
    /// The file of `AWS_CA_BUNDLE` or of the profile's `ca_bundle` cannot be read, or contains no
    /// certificate.
    #[error("AWS_CA_BUNDLE or the profile's ca_bundle: cannot read certificates from {}: {why}; name a PEM file with at least one certificate", .path.display())]
    Bundle {
        /// The path as configured.
        path: PathBuf,
        /// Why the file cannot be used.
        why: String,
    },
    /// The TLS library rejected its default settings.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// The certificates that TLS connections to AWS trust, and the TLS sessions that can be resumed.
pub struct Trust {
    config: Arc<ClientConfig>,
    /// Why no TLS connection can be trusted. Set if there are no root certificates, in which case
    /// TLS connections fail with this text.
    no_roots: Option<String>,
    /// The configuration for connections that use only HTTP/1.1, such as those to proxies.
    http1_only: Arc<ClientConfig>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

impl Trust {
    /// Reads the machine's root certificates and the additional ones. If there are no root
    /// certificates, the error is reported only when a TLS connection is opened. `bundle` replaces
    /// the machine's certificates, as `AWS_CA_BUNDLE` does in other AWS SDKs.
    pub(in crate::bedrock) fn load(
        options: &BedrockOptions,
        bundle: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let extra = options.extra_ca_file.as_deref();
        let extra = extra.map(|path| (path, read_regular(path, MAX_PEM)));
        Self::with_extra(bundle, extra)
    }

    /// Does the same as [`Self::load`], with this content of the additional file.
    pub(in crate::bedrock) fn with_extra(
        bundle: Option<&Path>,
        extra: Option<Extra<'_, impl AsRef<[u8]>>>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut errors = Vec::new();
        if let Some(path) = bundle {
            let content = read_regular(path, MAX_PEM);
            add_extra(&mut roots, content).map_err(|why| TlsError::Bundle {
                path: path.to_owned(),
                why,
            })?;
        } else {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
            errors = native.errors;
        }
        if let Some((path, content)) = extra {
            add_extra(&mut roots, content).map_err(|why| TlsError::ExtraCa {
                path: path.to_owned(),
                why,
            })?;
        }
        Self::trusting(roots, &errors)
    }

    /// Creates a configuration without root certificates, for requests without TLS.
    pub(in crate::bedrock) fn without_roots() -> Result<Self, TlsError> {
        Self::trusting(RootCertStore::empty(), &[])
    }

    fn trusting(
        roots: RootCertStore,
        errors: &[rustls_native_certs::Error],
    ) -> Result<Self, TlsError> {
        let no_roots = roots.is_empty().then(|| {
            let causes: Vec<String> = errors.iter().map(ToString::to_string).collect();
            format!(
                "this machine has no root certificates (install ca-certificates) {}",
                causes.join("; ")
            )
        });
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
        let mut http1_only = config.clone();
        http1_only.alpn_protocols = vec![HTTP1.to_vec()];
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            no_roots,
            http1_only: Arc::new(http1_only),
        })
    }

    /// Returns the configuration for TLS connections. If no connection can be trusted, returns the
    /// reason as an error.
    pub(super) fn config(&self, http1_only: bool) -> Result<Arc<ClientConfig>, &str> {
        match (&self.no_roots, http1_only) {
            (Some(why), _) => Err(why),
            (None, true) => Ok(Arc::clone(&self.http1_only)),
            (None, false) => Ok(Arc::clone(&self.config)),
        }
    }
}

/// The path and the content of a PEM file.
type Extra<'a, C> = (&'a Path, Result<C, String>);

fn add_extra(
    roots: &mut RootCertStore,
    content: Result<impl AsRef<[u8]>, String>,
) -> Result<(), String> {
    let certificates = CertificateDer::pem_slice_iter(content?.as_ref())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("it contains no certificate".to_owned());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn extra_certificates_that_cannot_be_read_are_named() {
        let mut empty = tempfile::NamedTempFile::new().expect("a temporary file");
        empty
            .write_all(b"no PEM at all")
            .expect("a file can be written");
        for path in [
            empty.path().to_owned(),
            PathBuf::from("/nonexistent/ca.pem"),
        ] {
            let options = BedrockOptions {
                extra_ca_file: Some(path.clone()),
                ..BedrockOptions::default()
            };
            let error = Trust::load(&options, None)
                .expect_err("no certificates")
                .to_string();
            assert!(
                error.contains(&*path.to_string_lossy()) && error.contains("PEM"),
                "{error}"
            );
        }
    }
}
