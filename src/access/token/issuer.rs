//! One trusted issuer: checks the signature and the claims of its tokens.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jsonwebtoken::{Algorithm, Validation, decode, errors::ErrorKind};
use serde_json::{Map, Value};

use super::{
    claims::{self, LEEWAY, Unchecked, Valid},
    issuer_keys::IssuerKeys,
    source::Source,
};
use crate::{
    access::{
        claimed_caller::{ClaimKind, ClaimedCaller, SERVICE_ACCOUNT},
        rejection::Rejection,
    },
    config::{ClusterKeys, JwtIssuer, KeySetLocation, Kubernetes, SignatureAlgorithm, Unlisted},
    telemetry::Metrics,
};

/// The result of checking a token.
pub(super) enum Checked {
    /// The token is valid or rejected.
    Done(Result<Arc<ClaimedCaller>, Rejection>),
    /// The issuer has no key with the token's key ID. The number identifies the issuer.
    KeyMissing(usize),
}

/// A trusted issuer, with its settings.
#[derive(Debug)]
pub(super) struct Issuer {
    /// The value of `iss`. `None` if the source of the keys also provides it.
    name: Option<String>,
    algorithms: Vec<SignatureAlgorithm>,
    validation: Validation,
    caller: CallerClaim,
    groups_claim: Option<String>,
    unlisted: Option<Arc<[Arc<str>]>>,
    keys: KeysFrom,
    pub(super) ring: Arc<IssuerKeys>,
}

/// The settings that determine an issuer's keys. Issuers with equal settings share the keys.
#[derive(Clone, Debug, PartialEq)]
enum KeysFrom {
    Jwt {
        issuer: String,
        location: KeySetLocation,
        ca_file: Option<PathBuf>,
        refresh: Duration,
    },
    Cluster {
        location: ClusterKeys,
        ca_file: Option<PathBuf>,
        refresh: Duration,
    },
}

/// The claim that names the caller.
#[derive(Debug)]
enum CallerClaim {
    Claim { path: Arc<str>, prefix: Arc<str> },
    ServiceAccount,
}

impl Issuer {
    /// Creates an issuer of `access.jwt`. If the settings of its keys are the same as those of an
    /// issuer in `known`, both share the keys.
    ///
    /// # Errors
    /// Fails if the keys are in a file that cannot be used.
    pub(super) fn jwt(
        options: &JwtIssuer,
        known: &[Self],
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        let ca_file = options.ca_file.clone();
        let keys = KeysFrom::Jwt {
            issuer: options.issuer.clone(),
            location: options.keys.clone(),
            ca_file: ca_file.clone(),
            refresh: options.refresh,
        };
        let source = match &options.keys {
            KeySetLocation::File(path) => Source::File(path.clone()),
            KeySetLocation::Url(url) => Source::url(url, ca_file),
            KeySetLocation::Discovery => Source::discovery(&options.issuer, ca_file),
        };
        Ok(Self {
            name: Some(options.issuer.clone()),
            algorithms: options.algorithms.clone(),
            validation: validation(&options.audiences),
            caller: CallerClaim::Claim {
                path: options.caller_claim.as_str().into(),
                prefix: options.caller_prefix.as_str().into(),
            },
            groups_claim: options.groups_claim.clone(),
            unlisted: options.unlisted.as_ref().map(groups),
            ring: ring(&keys, known, || {
                IssuerKeys::start(&options.issuer, source, options.refresh, metrics)
            })?,
            keys,
        })
    }

    /// Creates the issuer of the cluster in `access.kubernetes`. If the settings of its keys are
    /// the same as those of an issuer in `known`, both share the keys.
    ///
    /// # Errors
    /// Cannot fail at present, because the keys of a cluster are not in a file.
    pub(super) fn kubernetes(
        options: &Kubernetes,
        known: &[Self],
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        let ca_file = options.ca_file.clone();
        let keys = KeysFrom::Cluster {
            location: options.keys.clone(),
            ca_file: ca_file.clone(),
            refresh: options.refresh,
        };
        let (name, source) = match &options.keys {
            ClusterKeys::Issuer { issuer, jwks_url } => {
                let source = match jwks_url {
                    Some(url) => Source::url(url, ca_file),
                    None => Source::discovery(issuer, ca_file),
                };
                (Some(issuer.clone()), source)
            }
            ClusterKeys::ApiServer { url, token_file } => {
                (None, Source::api_server(url, token_file, ca_file))
            }
        };
        let label = name.as_deref().unwrap_or("kubernetes").to_owned();
        Ok(Self {
            name,
            algorithms: SignatureAlgorithm::ALL.map(|(_, own)| own).to_vec(),
            validation: validation(std::slice::from_ref(&options.audience)),
            caller: CallerClaim::ServiceAccount,
            groups_claim: None,
            unlisted: options.unlisted.as_ref().map(groups),
            ring: ring(&keys, known, || {
                IssuerKeys::start(&label, source, options.refresh, metrics)
            })?,
            keys,
        })
    }

    /// Returns whether `iss` of a token names this issuer. `None` if this issuer's name is not
    /// known yet.
    pub(super) fn is(&self, issuer: &str) -> Option<bool> {
        match &self.name {
            Some(name) => Some(name == issuer),
            None => {
                let loaded = self.ring.load();
                Some(loaded.as_ref()?.issuer.as_deref() == Some(issuer))
            }
        }
    }

    /// Checks a token whose `iss` names this issuer.
    ///
    /// # Errors
    /// Returns the reason for the rejection, or `None` if the token's key is unknown.
    pub(super) fn check(
        &self,
        token: &str,
        unchecked: &Unchecked,
    ) -> Result<Valid, Option<Rejection>> {
        let algorithm = SignatureAlgorithm::of(&unchecked.algorithm)
            .filter(|own| self.algorithms.contains(own))
            .map(library_name)
            .ok_or(Some(Rejection::BadSignature))?;
        let loaded = self.ring.load();
        let loaded = loaded.as_ref().ok_or(None)?;
        let key_id = unchecked.key_id.as_deref();
        let key = loaded.set.find(key_id, algorithm).ok_or(None)?;
        let mut validation = self.validation.clone();
        // The library accepts only algorithms of one family here, so only that of the key is set.
        validation.algorithms = vec![algorithm];
        validation.iss = Some(HashSet::from([unchecked.issuer.clone()]));
        let decoded = decode::<Map<String, Value>>(token, key, &validation)
            .map_err(|error| Some(rejection(error.kind())))?;
        Ok(Valid {
            claimed: Arc::new(self.claimed(&decoded.claims).map_err(Some)?),
            until: claims::end(&decoded.claims).ok_or(Some(Rejection::Malformed))?,
            generation: loaded.generation,
        })
    }

    fn claimed(&self, claims: &Map<String, Value>) -> Result<ClaimedCaller, Rejection> {
        let text = |path: &str| {
            let value = claims::find(claims, path).and_then(Value::as_str);
            value.filter(|text| !text.is_empty())
        };
        let (name, kind, claim): (String, _, _) = match &self.caller {
            CallerClaim::Claim { path, prefix } => {
                let value = text(path).ok_or(Rejection::Unlisted)?;
                let claim = (Arc::clone(path), Arc::clone(prefix));
                (format!("{prefix}{value}"), ClaimKind::Token, Some(claim))
            }
            CallerClaim::ServiceAccount => {
                let subject = text("sub").filter(|subject| subject.starts_with(SERVICE_ACCOUNT));
                let subject = subject.ok_or(Rejection::Unlisted)?;
                (subject.to_owned(), ClaimKind::ServiceAccount, None)
            }
        };
        let named = self.groups_claim.as_ref();
        let groups = named.map(|path| claims::groups(claims::find(claims, path)));
        Ok(ClaimedCaller {
            name: name.into(),
            other_names: Vec::new(),
            kind,
            issuer: self.name.as_deref().map(Into::into),
            claim,
            audiences: claims::audiences(claims),
            groups: groups.unwrap_or_default(),
            unlisted: self.unlisted.clone(),
        })
    }
}

/// Returns the keys that an issuer of `known` with the same settings uses, or starts to fetch them.
fn ring(
    keys: &KeysFrom,
    known: &[Issuer],
    start: impl FnOnce() -> Result<IssuerKeys, String>,
) -> Result<Arc<IssuerKeys>, String> {
    match known.iter().find(|known| known.keys == *keys) {
        Some(known) => Ok(Arc::clone(&known.ring)),
        None => start().map(Arc::new),
    }
}

/// Checks whether a file contains keys that can be used.
///
/// # Errors
/// Returns why the file cannot be used.
pub fn check_file(path: &Path) -> Result<(), String> {
    Source::read_file(path).map(|_| ())
}

fn validation(audiences: &[String]) -> Validation {
    // `check` sets the algorithms and the issuer for each token.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = LEEWAY.as_secs();
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_audience(audiences);
    validation
}

fn groups(unlisted: &Unlisted) -> Arc<[Arc<str>]> {
    let groups = unlisted.groups.iter();
    groups.map(|group| group.as_str().into()).collect()
}

const fn library_name(algorithm: SignatureAlgorithm) -> Algorithm {
    match algorithm {
        SignatureAlgorithm::Rs256 => Algorithm::RS256,
        SignatureAlgorithm::Rs384 => Algorithm::RS384,
        SignatureAlgorithm::Rs512 => Algorithm::RS512,
        SignatureAlgorithm::Ps256 => Algorithm::PS256,
        SignatureAlgorithm::Ps384 => Algorithm::PS384,
        SignatureAlgorithm::Ps512 => Algorithm::PS512,
        SignatureAlgorithm::Es256 => Algorithm::ES256,
        SignatureAlgorithm::Es384 => Algorithm::ES384,
        SignatureAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

fn rejection(error: &ErrorKind) -> Rejection {
    match error {
        ErrorKind::ExpiredSignature => Rejection::Expired,
        ErrorKind::ImmatureSignature => Rejection::NotYetValid,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => Rejection::WrongAudience,
        ErrorKind::MissingRequiredClaim(claim) if claim != "exp" => Rejection::WrongAudience,
        ErrorKind::InvalidSignature
        | ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidKeyFormat
        | ErrorKind::Base64(_) => Rejection::BadSignature,
        _ => Rejection::Malformed,
    }
}
