//! `access.jwt` and `access.kubernetes`: the accepted issuers of tokens. Also reads the names by
//! which tokens and certificates identify callers.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use http::Uri;

use crate::config::{masked::masked_url, section::Section, units};

/// The path at which Kubernetes mounts the token of a pod's service account.
const POD_TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// The path at which Kubernetes mounts the CA certificate of the API server.
const POD_CA_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// The URL of the API server inside the cluster.
const API_SERVER: &str = "https://kubernetes.default.svc";
const REFRESH: Duration = Duration::from_secs(300);
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);
const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 3_600);

/// A signature algorithm. All of them are asymmetric: with a symmetric one, everyone who can read
/// the keys of an issuer could sign tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSA, PKCS #1 v1.5, SHA-256.
    Rs256,
    /// RSA, PKCS #1 v1.5, SHA-384.
    Rs384,
    /// RSA, PKCS #1 v1.5, SHA-512.
    Rs512,
    /// RSA, PSS, SHA-256.
    Ps256,
    /// RSA, PSS, SHA-384.
    Ps384,
    /// RSA, PSS, SHA-512.
    Ps512,
    /// ECDSA, P-256, SHA-256.
    Es256,
    /// ECDSA, P-384, SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl SignatureAlgorithm {
    /// All algorithms, by their names in JWTs.
    pub const ALL: [(&str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// Returns the algorithm with this name.
    pub fn of(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(known, _)| *known == name).map(|(_, own)| *own)
    }
}

/// The location of the public keys of an issuer (a JSON Web Key Set).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetLocation {
    /// The location that `<issuer>/.well-known/openid-configuration` names.
    Discovery,
    /// At a URL.
    Url(String),
    /// In a file.
    File(PathBuf),
}

/// Settings for callers of a trusted issuer that are not configured by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unlisted {
    /// The groups of all these callers, in addition to those that the token names.
    /// `unlisted.groups`, default: none.
    pub groups: Vec<String>,
}

/// An issuer whose tokens (JWT) are accepted. `access.jwt[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtIssuer {
    /// The value of `iss`. `issuer`. Required.
    pub issuer: String,
    /// The accepted values of `aud`: a token must contain one of them. `audiences`. Required.
    pub audiences: Vec<String>,
    /// The accepted algorithms. `algorithms`, default: all of them.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// The location of the keys. `jwks_url` or `jwks_file`, default: discovery.
    pub keys: KeySetLocation,
    /// A PEM file with the CA certificates to trust when the keys are fetched. `ca_file`, default:
    /// those of the machine.
    pub ca_file: Option<PathBuf>,
    /// How often the gateway fetches the keys again. `refresh`, default 5m.
    pub refresh: Duration,
    /// The claim that names the caller. `caller_claim`, default `sub`.
    pub caller_claim: String,
    /// The text before the claim's value in the caller's name. `caller_prefix`, default: none.
    pub caller_prefix: String,
    /// The claim that names groups. `groups_claim`, default: none.
    pub groups_claim: Option<String>,
    /// Settings for callers that are not configured. `unlisted`, default: they are refused.
    pub unlisted: Option<Unlisted>,
}

/// Where the gateway finds the keys of a Kubernetes cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterKeys {
    /// A public issuer, as on EKS.
    Issuer {
        /// The value of `iss`. `issuer`.
        issuer: String,
        /// The URL of the keys. `jwks_url`, default: by discovery.
        jwks_url: Option<String>,
    },
    /// The API server, which also provides the issuer's name.
    ApiServer {
        /// The URL of the API server. `api_server`, default `https://kubernetes.default.svc`.
        url: String,
        /// The token to send. `token_file`, default: that of the pod's service account.
        token_file: PathBuf,
    },
}

/// The cluster whose service accounts are accepted. `access.kubernetes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// The audience that a token's `aud` must contain. `audience`. Required.
    pub audience: String,
    /// Where the gateway finds the keys.
    pub keys: ClusterKeys,
    /// A PEM file with the CA certificates to trust when the keys are fetched. `ca_file`, default:
    /// those of the pod for the API server, those of the machine for an issuer.
    pub ca_file: Option<PathBuf>,
    /// How often the gateway fetches the keys again. `refresh`, default 5m.
    pub refresh: Duration,
    /// Settings for service accounts that `callers` does not list. `unlisted`, default: they are
    /// refused.
    pub unlisted: Option<Unlisted>,
}

/// Checks the name of a group, which must exist.
type Groups<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Reads `jwt`.
pub(super) fn read_jwt(section: &mut Section<'_>, known: Groups<'_>) -> Vec<JwtIssuer> {
    let mut issuers: Vec<JwtIssuer> = Vec::new();
    for section in section.list_of_sections("jwt").unwrap_or_default() {
        issuers.extend(read_issuer(section, known, &issuers));
    }
    issuers
}

fn read_issuer(
    mut section: Section<'_>,
    known: Groups<'_>,
    before: &[JwtIssuer],
) -> Option<JwtIssuer> {
    let issuer = section.value("issuer", |text| {
        let issuer = units::text(text)?;
        if before.iter().any(|other| other.issuer == issuer) {
            return Err("this issuer is listed twice; remove one of the entries".to_owned());
        }
        Ok(issuer)
    });
    let audiences = section.list("audiences", units::text);
    let has_wrong_ones = Cell::new(false);
    let algorithms = section.list("algorithms", |text| {
        algorithm(text).inspect_err(|_| has_wrong_ones.set(true))
    });
    let jwks_url = section.value("jwks_url", secure_url);
    let jwks_file = section
        .path_value("jwks_file", units::text)
        .map(PathBuf::from);
    let ca_file = section
        .path_value("ca_file", units::text)
        .map(PathBuf::from);
    let refresh = section.value("refresh", refresh);
    let caller_claim = section.value("caller_claim", units::text);
    let caller_prefix = section.value("caller_prefix", units::text);
    let groups_claim = section.value("groups_claim", units::text);
    let unlisted = read_unlisted(&mut section, known);
    if !section.has_had("issuer") {
        section.report("issuer", "required: the value of the tokens' `iss`");
    }
    match &audiences {
        None if !section.has_had("audiences") => section.report(
            "audiences",
            "required: tokens for other services must not be accepted here; list the value that the tokens' `aud` has for this gateway",
        ),
        Some(list) if list.is_empty() => section.report("audiences", "must not be empty"),
        _ => {}
    }
    if algorithms.as_ref().is_some_and(Vec::is_empty) && !has_wrong_ones.get() {
        section.report("algorithms", "must not be empty");
    }
    if jwks_file.is_some() && (jwks_url.is_some() || ca_file.is_some()) {
        section.report(
            "jwks_file",
            "cannot be combined with jwks_url or ca_file: the keys are either in a file or fetched",
        );
    }
    let keys = match (jwks_url, jwks_file) {
        (Some(url), _) => KeySetLocation::Url(url),
        (None, Some(file)) => KeySetLocation::File(file),
        (None, None) => {
            let is_fetched = !section.has_had("jwks_url") && !section.has_had("jwks_file");
            if let Some(Err(message)) = issuer.as_deref().map(secure_url)
                && is_fetched
            {
                let message = format!(
                    "its keys cannot be discovered: {message}. Alternatively, set jwks_url or jwks_file"
                );
                section.report("issuer", message);
            }
            KeySetLocation::Discovery
        }
    };
    section.finish();
    Some(JwtIssuer {
        issuer: issuer?,
        audiences: audiences?,
        algorithms: algorithms
            .unwrap_or_else(|| SignatureAlgorithm::ALL.map(|(_, own)| own).to_vec()),
        keys,
        ca_file,
        refresh: refresh.unwrap_or(REFRESH),
        caller_claim: caller_claim.unwrap_or_else(|| "sub".to_owned()),
        caller_prefix: caller_prefix.unwrap_or_default(),
        groups_claim,
        unlisted,
    })
}

/// Reads `kubernetes`.
pub(super) fn read_kubernetes(section: &mut Section<'_>, known: Groups<'_>) -> Option<Kubernetes> {
    let mut section = section.optional_section("kubernetes")?;
    let audience = section.value("audience", units::text);
    let issuer = section.value("issuer", secure_url);
    let jwks_url = section.value("jwks_url", secure_url);
    let api_server = section.value("api_server", secure_url);
    let token_file = section
        .path_value("token_file", units::text)
        .map(PathBuf::from);
    let ca_file = section
        .path_value("ca_file", units::text)
        .map(PathBuf::from);
    let refresh = section.value("refresh", refresh);
    let unlisted = read_unlisted(&mut section, known);
    if !section.has_had("audience") {
        section.report(
            "audience",
            "required: the audience of the tokens that pods mount for this gateway, such as bedrock-grpc",
        );
    }
    let is_public = section.has_had("issuer");
    if is_public && (api_server.is_some() || token_file.is_some()) {
        section.report(
            "issuer",
            "cannot be combined with api_server or token_file: the keys come either from the issuer or from the API server",
        );
    }
    if !is_public && jwks_url.is_some() {
        section.report("jwks_url", "needs `issuer`: the value of the tokens' `iss`");
    }
    section.finish();
    let keys = match issuer {
        Some(issuer) => ClusterKeys::Issuer { issuer, jwks_url },
        None => ClusterKeys::ApiServer {
            url: api_server.unwrap_or_else(|| API_SERVER.to_owned()),
            token_file: token_file.unwrap_or_else(|| POD_TOKEN_FILE.into()),
        },
    };
    let is_api_server = matches!(keys, ClusterKeys::ApiServer { .. });
    Some(Kubernetes {
        audience: audience?,
        keys,
        ca_file: ca_file.or_else(|| is_api_server.then(|| POD_CA_FILE.into())),
        refresh: refresh.unwrap_or(REFRESH),
        unlisted,
    })
}

fn read_unlisted(section: &mut Section<'_>, known: Groups<'_>) -> Option<Unlisted> {
    let mut section = section.optional_section("unlisted")?;
    let groups = section.list("groups", known);
    section.finish();
    Some(Unlisted {
        groups: groups.unwrap_or_default(),
    })
}

fn refresh(text: &str) -> Result<Duration, String> {
    let refresh = units::positive_duration(text)?;
    if !(SHORTEST_REFRESH..=LONGEST_REFRESH).contains(&refresh) {
        return Err("must be from 1s to 24h".to_owned());
    }
    Ok(refresh)
}

fn algorithm(text: &str) -> Result<SignatureAlgorithm, String> {
    if text == "none" || text.starts_with("HS") {
        return Err(format!(
            "`{text}` is not accepted, because everyone who can read the keys could create tokens; use an asymmetric algorithm, such as RS256 or ES256"
        ));
    }
    units::one_of(text, &SignatureAlgorithm::ALL)
}

/// Returns whether a URL protects what is read from it against changes on the network: it uses TLS,
/// or leads to this machine.
pub fn is_secure_url(text: &str) -> bool {
    text.parse().is_ok_and(|uri: Uri| {
        let host = uri.host().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        match uri.scheme_str() {
            Some("https") => !host.is_empty(),
            Some("http") => {
                host == "localhost" || address.is_some_and(|address| address.is_loopback())
            }
            _ => false,
        }
    })
}

/// Parses the URL of a service whose responses decide which callers are accepted.
fn secure_url(text: &str) -> Result<String, String> {
    if is_secure_url(text) {
        return Ok(text.to_owned());
    }
    Err(if text.starts_with("http://") {
        format!(
            "`{}` has no TLS, so others could replace the keys on the network; use https://",
            masked_url(text)
        )
    } else {
        format!(
            "`{}` is not a URL; write one such as https://login.example.com",
            masked_url(text)
        )
    })
}

/// The maximum length of the name of a namespace, a service account or a host.
const MAX_NAME: usize = 253;

/// Reads `namespace/name` or `namespace/*`.
pub(super) fn service_account(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
            })
    };
    match text.split_once('/') {
        Some((namespace, name)) if is_name(namespace) && (name == "*" || is_name(name)) => {
            Ok(text.to_owned())
        }
        _ => Err(format!(
            "`{text}` is not a service account; write namespace/name, or namespace/* for all service accounts of a namespace"
        )),
    }
}

/// Parses a name in a client certificate: a URI, which may end in `/*`, or a DNS name.
pub(super) fn certificate(text: &str) -> Result<String, String> {
    let (is_uri, is_name) = match text.split_once("://") {
        Some((scheme, rest)) => {
            let rest = rest.strip_suffix("/*").unwrap_or(rest);
            let is_graphic = rest.bytes().all(|byte| byte.is_ascii_graphic());
            let is_uri = !scheme.is_empty() && !rest.is_empty() && is_graphic;
            (is_uri && !rest.contains('*'), false)
        }
        None => {
            let is_label = |label: &str| {
                !label.is_empty()
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            };
            (
                false,
                text.len() <= MAX_NAME && text.split('.').all(is_label),
            )
        }
    };
    if is_uri {
        Ok(text.to_owned())
    } else if is_name {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!(
            "`{text}` is not a name of a certificate; write a SPIFFE ID such as spiffe://example.com/team-a, which may end in /*, or a DNS name"
        ))
    }
}

/// Records a name that a caller lists. Fails if another caller lists it, too.
pub(super) fn claim_once(seen: &RefCell<BTreeSet<String>>, text: String) -> Result<String, String> {
    if seen.borrow_mut().insert(text.clone()) {
        Ok(text)
    } else {
        Err(format!(
            "`{text}` is listed for several callers; list it for one"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_with_tls_or_from_this_machine() {
        for secure in [
            "https://a.example/keys",
            "http://127.0.0.1:8080/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            assert!(is_secure_url(secure), "{secure}");
        }
        for insecure in [
            "http://a.example/keys",
            "http://127.0.0.1.a.example",
            "http://localhost.a.example",
            "http://localhost@a.example",
            "ftp://a",
            "/keys",
            "",
            "https://",
        ] {
            assert!(!is_secure_url(insecure), "{insecure}");
        }
    }
}
