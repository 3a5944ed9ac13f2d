//! Creates the rules that identify callers, and the accounting of their usage.

use std::sync::Arc;

use super::{file_contents::FileContents, tls};
use crate::{
    access::{
        Rules, Snapshot, Verifier,
        limits::{Names, Store, UsageAccounting},
        token::TokenVerifier,
    },
    config::{self, Access, Config, KeysByCaller},
    telemetry::Metrics,
};

/// The rules of a configuration, and its token verifier, which the rules also use.
pub(super) type RulesAndTokens = (Rules, Option<TokenVerifier>);

/// Creates the rules that identify callers. Starts to fetch the keys of token issuers that are not
/// in the rules `before`.
///
/// # Errors
/// Fails if a key file cannot be used, or if it contradicts the configuration. Returns all
/// problems.
pub(super) fn rules(
    access: &Access,
    contents: &FileContents,
    tls: Option<&tls::Loaded>,
    before: Option<&TokenVerifier>,
    names: &Arc<Names>,
    metrics: &Arc<Metrics>,
) -> Result<RulesAndTokens, Vec<String>> {
    let mut problems = Vec::new();
    let mut noted = |problem| problems.push(problem);
    let snapshot = read(access, contents, names).map_err(&mut noted).ok();
    let tokens = TokenVerifier::start(access, before, metrics)
        .map_err(&mut noted)
        .ok();
    let (Some(snapshot), Some(tokens)) = (snapshot, tokens) else {
        return Err(problems);
    };
    let of_tokens = tokens
        .clone()
        .map(|verifier| Box::new(verifier) as Box<dyn Verifier>);
    let clients = tls.and_then(|tls| tls.clients.clone());
    let rules = Rules::new(access, snapshot, of_tokens.into_iter().collect());
    let rules = match clients {
        Some(clients) => rules.with_client_certificates(clients),
        None => rules,
    };
    Ok((rules, tokens))
}

/// Creates the accounting of tokens and costs.
pub(super) fn accounts(
    config: &Config,
    store: &Arc<dyn Store>,
    names: &Names,
    metrics: &Arc<Metrics>,
) -> UsageAccounting {
    let aliases = config.targets.aliases.iter();
    UsageAccounting::new(
        &config.access,
        aliases.map(|(name, alias)| (name.as_str(), &alias.limits.quota)),
        names,
        Arc::clone(store),
        Arc::clone(metrics),
    )
}

/// Returns whether the keys file contains a key.
pub(super) fn has_keys(access: &Access, contents: &FileContents) -> bool {
    let keys = keys_of_file(access, contents);
    keys.is_some_and(|keys| keys.values().any(|keys| !keys.is_empty()))
}

/// Returns the key and a message if there is no keys file, or if it is valid and contains no key. A
/// file without keys has probably not been written yet.
pub(super) fn without_keys(config: &Config, contents: &FileContents) -> Option<(String, String)> {
    let keys = match &config.access.keys_file {
        Some(_) => keys_of_file(&config.access, contents)?,
        None => KeysByCaller::new(),
    };
    config::without_keys(config, &keys)
}

/// Returns the keys in the keys file. `None` if there is no valid keys file.
pub(super) fn keys_of_file(access: &Access, contents: &FileContents) -> Option<KeysByCaller> {
    let path = access.keys_file.as_deref()?;
    config::check_keys(path, contents.of(path)).ok()
}

fn read(access: &Access, contents: &FileContents, names: &Arc<Names>) -> Result<Snapshot, String> {
    let keys = match &access.keys_file {
        Some(path) => {
            config::check_keys(path, contents.of(path)).map_err(|problems| problems.to_string())?
        }
        None => KeysByCaller::new(),
    };
    Snapshot::new(access, &keys, names)
}
