//! Creates the access gate from the configuration and the keys file, and reloads the file after
//! changes.

use std::{io, path::Path, sync::Arc, time::Duration};

use super::tls;
use crate::{
    access::{
        CertificateVerifier, Gate, Rules, Snapshot, Verifier,
        limits::{Accounts, Names, Store},
        token::TokenVerifier,
    },
    config::{self, Access, Config, KeysByCaller, Tls},
    telemetry::Metrics,
};

/// How often the keys file is checked. A revoked key works for at most this time.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Creates the gate for a configuration.
///
/// # Errors
/// Fails if the keys file cannot be used, or contradicts the configuration.
pub(super) fn gate(
    access: &Access,
    tls: Option<&Tls>,
    names: &Arc<Names>,
    metrics: &Arc<Metrics>,
) -> io::Result<Gate> {
    let rules = rules(access, tls, names, metrics)?;
    Ok(Gate::new(
        rules,
        access.failures_per_minute,
        Arc::clone(metrics),
    ))
}

/// Creates the rules by which callers are identified, and starts to fetch the keys of token
/// issuers.
///
/// # Errors
/// Fails if a file with keys cannot be used, or contradicts the configuration.
fn rules(
    access: &Access,
    tls: Option<&Tls>,
    names: &Arc<Names>,
    metrics: &Arc<Metrics>,
) -> io::Result<Rules> {
    let snapshot = read(access, names)?;
    let tokens = TokenVerifier::start(access, metrics).map_err(io::Error::other)?;
    let tokens = tokens.map(|verifier| Box::new(verifier) as Box<dyn Verifier>);
    let clients = tls.and_then(|tls| tls.clients.as_ref());
    let certificates = clients.map(tls::clients_of).transpose()?;
    let certificates = certificates
        .map(|authorities| Box::new(CertificateVerifier::new(authorities)) as Box<dyn Verifier>);
    let verifiers = tokens.into_iter().chain(certificates);
    Ok(Rules::new(access, snapshot, verifiers.collect()))
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

fn read(access: &Access, names: &Arc<Names>) -> io::Result<Snapshot> {
    let keys = match &access.keys_file {
        Some(path) => load(path)?,
        None => KeysByCaller::new(),
    };
    Snapshot::new(access, &keys, names).map_err(io::Error::other)
}

fn load(path: &Path) -> io::Result<KeysByCaller> {
    config::load_keys(path).map_err(io::Error::other)
}

/// Applies changes of the keys file while the process runs, unless the file is invalid. Returns
/// `None` if there is no such file.
pub(super) fn follow_keys(
    access: &Access,
    names: Arc<Names>,
    gate: &Gate,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let path = access.keys_file.clone()?;
    let (access, gate) = (access.clone(), gate.clone());
    Some(async move {
        let mut known = load(&path).ok();
        // The same error is logged only once.
        let mut told = None;
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let read = load(&path);
            if read.as_ref().ok() == known.as_ref() {
                continue;
            }
            let swapped = read.and_then(|keys| {
                let snapshot = Snapshot::new(&access, &keys, &names).map_err(io::Error::other)?;
                Ok((keys, snapshot))
            });
            match swapped {
                Ok((keys, snapshot)) => {
                    gate.swap_snapshot(snapshot);
                    tracing::info!(file = %path.display(), "the keys file changed; the gateway now uses its keys");
                    (known, told) = (Some(keys), None);
                }
                Err(error) => {
                    let error = error.to_string();
                    if told.as_ref() != Some(&error) {
                        tracing::error!(%error, "the keys file cannot be used; the previous keys stay valid");
                        told = Some(error);
                    }
                }
            }
        }
    })
}
