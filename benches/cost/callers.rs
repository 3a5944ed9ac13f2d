//! The ways in which clients authenticate, and the limits and records that the gateway then keeps.

use std::{
    fmt,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, IsCa, KeyPair, SanType,
};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::json;

use crate::Error;

const CALLER: &str = "team-a";
const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "bedrock-grpc";
/// Limits of every kind. They are too high to be reached.
const LIMITS: &str = "
    limits:
      open_streams: 1000
      requests_per_minute: 1000000
      tokens_per_minute: 1000000000
      input_tokens_per_minute: 1000000000
      output_tokens_per_minute: 1000000000
      tokens_per_day: 1000000000
      tokens_per_month: 1000000000
      usd_per_day: 1000000
      usd_per_month: 1000000";
/// Without `store`, a configuration with limits per day or per month is rejected.
const STORE: &str = "
limits: { store: memory }
prices: [{ models: [\"*\"], input: 3000, output: 15000 }]";

/// How callers authenticate, and what the gateway counts for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callers {
    /// No authentication, as without `callers`.
    Open,
    /// An API key.
    Key,
    /// A JSON Web Token, which the gateway has verified before.
    Token,
    /// No authentication, but TLS, to compare with `Certificate`.
    Tls,
    /// A client certificate.
    Certificate,
    /// An API key, and limits of every kind.
    Limits,
    /// An API key, limits of every kind, and a usage record in a file.
    Records,
}

/// The files and the credential for one kind of callers.
pub(crate) struct Setup {
    /// The lines for the gateway's configuration.
    pub(crate) configuration: String,
    /// The value of the header `authorization`.
    pub(crate) authorization: Option<String>,
    /// How the client connects. `None`: without TLS.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

impl fmt::Display for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Key => "key",
            Self::Token => "token",
            Self::Tls => "TLS",
            Self::Certificate => "certificate",
            Self::Limits => "key and limits",
            Self::Records => "key, limits, record",
        })
    }
}

impl Callers {
    /// All ways except `Open`.
    pub(crate) const IDENTIFIED: [Self; 6] = [
        Self::Key,
        Self::Token,
        Self::Tls,
        Self::Certificate,
        Self::Limits,
        Self::Records,
    ];

    /// Returns the baseline with which the cost of authentication and limits is compared.
    pub(crate) fn without(self) -> Self {
        match self {
            Self::Certificate => Self::Tls,
            _ => Self::Open,
        }
    }

    /// Returns whether the cost has a limit. There is none for TLS, whose cost depends on the
    /// bytes, and for usage records, which are lines in a file.
    pub(crate) fn is_bounded(self) -> bool {
        !matches!(self, Self::Open | Self::Tls | Self::Records)
    }

    /// Writes the files that the gateway reads into this folder.
    pub(crate) fn set_up(self, folder: &Path) -> Result<Setup, Error> {
        let mut setup = Setup {
            configuration: String::new(),
            authorization: None,
            tls: None,
        };
        match self {
            Self::Open => {}
            Self::Key => setup.key("")?,
            Self::Token => setup.token(folder)?,
            Self::Tls => setup.tls(folder, false)?,
            Self::Certificate => setup.tls(folder, true)?,
            Self::Limits => setup.key(LIMITS)?,
            Self::Records => {
                setup.key(LIMITS)?;
                // The file is not in the folder of the configuration, because the gateway watches
                // that folder.
                let file = folder.join("usage").join("records");
                fs::create_dir(folder.join("usage"))?;
                write!(
                    setup.configuration,
                    "\nusage_records: {{ file: {} }}",
                    file.display()
                )?;
            }
        }
        Ok(setup)
    }
}

impl Setup {
    fn key(&mut self, limits: &str) -> Result<(), Error> {
        let created = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
            .args(["keys", "new", "--caller", CALLER])
            .output()?;
        let created = String::from_utf8(created.stdout)?;
        let key = created.lines().next().ok_or("no key was created")?;
        let hash = created
            .split_once("sha256: ")
            .ok_or("the entry of the key has no hash")?
            .1
            .trim();
        self.authorization = Some(format!("Bearer {key}"));
        let store = if limits.is_empty() { "" } else { STORE };
        self.configuration = format!(
            "
callers:
  {CALLER}:
    keys: [{{ sha256: {hash} }}]{limits}{store}"
        );
        Ok(())
    }

    fn token(&mut self, folder: &Path) -> Result<(), Error> {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())?;
        let public = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
        let file = folder.join("jwks.json");
        fs::write(&file, json!({ "keys": [public] }).to_string())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let expiry = (now + Duration::from_secs(3600)).as_secs();
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": CALLER, "exp": expiry});
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key)?;
        self.authorization = Some(format!("Bearer {token}"));
        self.configuration = format!(
            "
callers: {{ {CALLER}: {{}} }}
access:
  jwt:
    - issuer: {ISSUER}
      audiences: [{AUDIENCE}]
      jwks_file: {}",
            file.display()
        );
        Ok(())
    }

    fn tls(&mut self, folder: &Path, certificate: bool) -> Result<(), Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let sign = |name: SanType| -> Result<_, Error> {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params.subject_alt_names = vec![name];
            let key = KeyPair::generate()?;
            Ok((
                params.signed_by(&key, &authority)?.pem(),
                key.serialize_pem(),
            ))
        };
        let write = |name: &str, pem: &str| -> Result<PathBuf, Error> {
            let path = folder.join(name);
            fs::write(&path, pem)?;
            Ok(path)
        };
        let server = sign(SanType::IpAddress([127, 0, 0, 1].into()))?;
        let ca_file = write("ca.crt", &authority.pem())?;
        self.configuration = format!(
            "\ntls:\n  certificate_file: {}\n  key_file: {}",
            write("tls.crt", &server.0)?.display(),
            write("tls.key", &server.1)?.display(),
        );
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut tls = if certificate {
            let uri = format!("spiffe://example.com/{CALLER}");
            write!(
                self.configuration,
                "
  client_ca_file: {}
callers: {{ {CALLER}: {{ certificates: [{uri}] }} }}",
                ca_file.display()
            )?;
            let (certificate, key) = sign(SanType::URI(uri.as_str().try_into()?))?;
            builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?
        } else {
            builder.with_no_client_auth()
        };
        tls.alpn_protocols = vec![b"h2".to_vec()];
        self.tls = Some(Arc::new(tls));
        Ok(())
    }
}
