//! Creates the rules by which callers are identified, and the accounts that count their usage.

use std::{path::Path, sync::Arc};

use super::tls;
use crate::{
    access::{
        CertificateVerifier, Rules, Snapshot, Verifier,
        limits::{Accounts, Names, Store},
        token::TokenVerifier,
    },
    config::{self, Access, Config, KeysByCaller, Tls},
    telemetry::Metrics,
};

/// The rules of a configuration, and the verifier of tokens among them.
pub(super) type RulesAndTokens = (Rules, Option<TokenVerifier>);

/// Creates the rules by which callers are identified. Starts to fetch the keys of token issuers
/// that the rules `before` do not have.
///
/// # Errors
/// Fails if a file with keys cannot be used, or contradicts the configuration. Returns all
/// problems.
pub(super) fn rules(
    access: &Access,
    tls: Option<&Tls>,
    before: Option<&TokenVerifier>,
    names: &Arc<Names>,
    metrics: &Arc<Metrics>,
) -> Result<RulesAndTokens, Vec<String>> {
    let mut problems = Vec::new();
    let mut noted = |problem| problems.push(problem);
    let snapshot = read(access, names).map_err(&mut noted).ok();
    let tokens = TokenVerifier::start(access, before, metrics)
        .map_err(&mut noted)
        .ok();
    let clients = tls.and_then(|tls| tls.clients.as_ref());
    let certificates = clients
        .map(tls::clients_of)
        .transpose()
        .map_err(|error| noted(error.to_string()))
        .ok();
    let (Some(snapshot), Some(tokens), Some(certificates)) = (snapshot, tokens, certificates)
    else {
        return Err(problems);
    };
    let of_tokens = tokens
        .clone()
        .map(|verifier| Box::new(verifier) as Box<dyn Verifier>);
    let certificates = certificates
        .map(|authorities| Box::new(CertificateVerifier::new(authorities)) as Box<dyn Verifier>);
    let verifiers = of_tokens.into_iter().chain(certificates);
    Ok((Rules::new(access, snapshot, verifiers.collect()), tokens))
}

/// Creates the accounts that count tokens and money.
pub(super) fn accounts(
    config: &Config,
    store: &Arc<dyn Store>,
    names: &Names,
    metrics: &Arc<Metrics>,
) -> Accounts {
    let aliases = config.targets.aliases.iter();
    Accounts::new(
        &config.access,
        aliases.map(|(name, alias)| (name.as_str(), &alias.limits.quota)),
        names,
        Arc::clone(store),
        Arc::clone(metrics),
    )
}

fn read(access: &Access, names: &Arc<Names>) -> Result<Snapshot, String> {
    let keys = match &access.keys_file {
        Some(path) => load(path)?,
        None => KeysByCaller::new(),
    };
    Snapshot::new(access, &keys, names)
}

fn load(path: &Path) -> Result<KeysByCaller, String> {
    config::load_keys(path).map_err(|problems| problems.to_string())
}
