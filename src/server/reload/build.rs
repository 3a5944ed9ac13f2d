//! Builds a generation from a configuration, and so checks the configuration whole.

use std::sync::Arc;

use crate::{
    access::{
        limits::{Names, Store},
        token::TokenVerifier,
    },
    bedrock::Sdk,
    config::Config,
    grpc::{Generation, Parts},
    routing::Router,
    server::{access, budgets, tls},
    telemetry::{Metrics, Traces},
};

/// The state of the process, which all generations share.
pub(in crate::server) struct Builder {
    pub(in crate::server) sdk: Sdk,
    pub(in crate::server) names: Arc<Names>,
    pub(in crate::server) store: Arc<dyn Store>,
    pub(in crate::server) traces: Traces,
    pub(in crate::server) metrics: Arc<Metrics>,
}

/// What a generation takes over from the one before it.
pub(in crate::server) struct Before<'a> {
    pub(in crate::server) generation: &'a Generation,
    pub(in crate::server) tokens: Option<&'a TokenVerifier>,
}

impl Builder {
    /// Builds a generation, and the verifier of tokens in it.
    ///
    /// # Errors
    /// Returns all problems.
    pub(in crate::server) fn build(
        &self,
        config: &Config,
        hash: String,
        before: Option<&Before<'_>>,
    ) -> Result<(Generation, Option<TokenVerifier>), Vec<String>> {
        let server_tls = config.server.tls.as_ref();
        let tokens = before.and_then(|before| before.tokens);
        let rules = access::rules(
            &config.access,
            server_tls,
            tokens,
            &self.names,
            &self.metrics,
        );
        let acceptor = server_tls.map(tls::acceptor).transpose();
        let (rules, tokens) = match (rules, acceptor) {
            (Ok(rules), Ok(_)) => rules,
            (rules, acceptor) => {
                let of_tls = acceptor.err().map(|error| error.to_string());
                let problems = rules.err().into_iter().flatten();
                return Err(problems.chain(of_tls).collect());
            }
        };
        let targets = config.targets.clone();
        let router = match before {
            Some(before) => before.generation.router.next(targets),
            None => Router::new(targets, self.sdk.default_region()),
        };
        let parts = Parts {
            router,
            rules,
            accounts: access::accounts(config, &self.store, &self.names, &self.metrics),
            budgets: budgets::of(config, &self.names),
            sdk: self.sdk.clone(),
            traces: self.traces.clone(),
        };
        let number = before.map_or(1, |before| before.generation.number + 1);
        let in_use = &self.metrics.config.generations_in_use;
        let generation = Generation::new(number, hash, config, parts, in_use);
        Ok((generation, tokens))
    }
}
