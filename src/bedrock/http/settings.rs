//! The settings of connections to AWS, which a reload can replace.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use super::tls::Trust;
use crate::config::{
    AccountOptions,
    bedrock::{BedrockOptions, Endpoints},
};

/// The settings of connections. If one of them changes, calls use new connections.
pub(super) struct Settings {
    /// The trusted certificates.
    pub(super) trust: Arc<Trust>,
    /// The endpoints, time limits and connection limits.
    pub(super) options: BedrockOptions,
    /// The endpoints of each account that sets its own.
    of_accounts: Vec<BTreeMap<String, Endpoints>>,
    /// How often the settings have changed since the start of the process.
    version: u64,
}

/// The current settings, which all workers share. Cheap to clone. All clones share the settings.
#[derive(Clone)]
pub(in crate::bedrock) struct CurrentSettings(Arc<ArcSwap<Settings>>);

impl CurrentSettings {
    pub(in crate::bedrock) fn new(trust: Trust, options: &BedrockOptions) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Settings {
            trust: Arc::new(trust),
            options: options.clone(),
            of_accounts: Vec::new(),
            version: 0,
        })))
    }

    pub(super) fn load(&self) -> Arc<Settings> {
        self.0.load_full()
    }

    /// Returns how often the settings have changed since the start of the process.
    pub(in crate::bedrock) fn version(&self) -> u64 {
        self.load().version
    }

    /// Replaces the settings if they differ. Existing connections then get no further requests.
    /// Without `trust`, the trusted certificates stay the same.
    pub(in crate::bedrock) fn replace(
        &self,
        options: &BedrockOptions,
        accounts: &BTreeMap<String, AccountOptions>,
        trust: Option<Trust>,
    ) {
        let current = self.load();
        let endpoints = |account: &AccountOptions| account.endpoints.clone();
        let of_accounts: Vec<_> = accounts.values().map(endpoints).collect();
        let is_same = current.options == *options && current.of_accounts == of_accounts;
        if is_same && trust.is_none() {
            return;
        }
        self.0.store(Arc::new(Settings {
            trust: trust.map_or_else(|| Arc::clone(&current.trust), Arc::new),
            options: options.clone(),
            of_accounts,
            version: current.version + 1,
        }));
    }
}
