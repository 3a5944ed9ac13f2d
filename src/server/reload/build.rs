//! Builds a generation from a configuration, which also checks the whole configuration.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    access::{
        limits::{Names, Store},
        token::TokenVerifier,
    },
    bedrock::{BedrockApiKey, Sdk, Trust},
    config::Config,
    grpc::{Generation, Parts},
    routing::Router,
    server::{access, budget_metrics, file_contents::FileContents, tls},
    telemetry::{Metrics, Traces},
};

/// The content of a PEM file.
type Pem = Arc<[u8]>;

/// The state of the process, which all generations share.
pub(in crate::server) struct Builder {
    pub(in crate::server) sdk: Sdk,
    pub(in crate::server) names: Arc<Names>,
    pub(in crate::server) store: Arc<dyn Store>,
    pub(in crate::server) traces: Traces,
    pub(in crate::server) metrics: Arc<Metrics>,
}

/// The parts of a generation that the next generation can reuse.
#[derive(Default)]
pub(in crate::server) struct Kept {
    /// The token verifier.
    tokens: Option<TokenVerifier>,
    /// The content of the TLS files, after loading.
    tls: Option<Arc<tls::Loaded>>,
    /// The content of `bedrock.extra_ca_file`.
    extra_ca: Option<Pem>,
}

/// The result of building a configuration.
pub(in crate::server) struct Built {
    pub(in crate::server) generation: Generation,
    pub(in crate::server) kept: Kept,
    /// The certificates that connections to AWS trust, if these have changed.
    pub(in crate::server) trust: Option<Trust>,
    /// The Bedrock API key, if it is in a file.
    pub(in crate::server) api_key: Option<BedrockApiKey>,
}

/// The state of the previous generation.
pub(in crate::server) struct Before<'a> {
    pub(in crate::server) generation: &'a Generation,
    pub(in crate::server) kept: &'a Kept,
}

impl Kept {
    /// Warns about certificates that are not valid now, or that expire soon. The gateway uses them
    /// anyway: the clock may be wrong, and the previous certificate may have expired, too.
    pub(in crate::server) fn warn(&self, config: &Config) {
        let tls = config.server.tls.as_ref().zip(self.tls.as_ref());
        let warnings = tls.map(|(tls, loaded)| loaded.warnings(tls, OffsetDateTime::now_utc()));
        for (key, warning) in warnings.into_iter().flatten() {
            tracing::warn!(key, "{warning}");
        }
    }
}

impl Builder {
    /// Builds a generation from a configuration and the content of its files.
    ///
    /// # Errors
    /// Returns all problems.
    pub(in crate::server) fn build(
        &self,
        config: &Config,
        hash: String,
        files: &FileContents,
        before: Option<&Before<'_>>,
    ) -> Result<Built, Vec<String>> {
        let kept = before.map(|before| before.kept);
        let tls_before = kept.and_then(|kept| kept.tls.as_ref());
        let server_tls = config.server.tls.as_ref();
        let tls = server_tls
            .map(|tls| tls::Loaded::new(tls, files, tls_before))
            .transpose();
        let rules = access::rules(
            &config.access,
            files,
            tls.as_ref().ok().and_then(Option::as_deref),
            kept.and_then(|kept| kept.tokens.as_ref()),
            &self.names,
            &self.metrics,
        );
        let trust = self.trust(config, files, kept.and_then(|kept| kept.extra_ca.as_ref()));
        let api_key = self.api_key(files);
        let ((rules, tokens), tls, (extra_ca, trust), api_key) = match (rules, tls, trust, api_key)
        {
            (Ok(rules), Ok(tls), Ok(trust), Ok(api_key)) => (rules, tls, trust, api_key),
            (rules, tls, trust, api_key) => {
                let problems = rules.err().into_iter().chain(tls.err()).flatten();
                return Err(problems.chain(trust.err()).chain(api_key.err()).collect());
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
            budgets: budget_metrics::of(config, &self.names),
            sdk: self.sdk.clone(),
            traces: self.traces.clone(),
            tls: tls.as_ref().map(|tls| tls.server()),
        };
        let number = before.map_or(1, |before| before.generation.number + 1);
        let in_use = &self.metrics.config.generations_in_use;
        let generation = Generation::new(number, hash, config, parts, in_use);
        let kept = Kept {
            tokens,
            tls,
            extra_ca,
        };
        Ok(Built {
            generation,
            kept,
            trust,
            api_key,
        })
    }

    /// Returns the Bedrock API key in its file. `None` if there is no such file.
    fn api_key(&self, files: &FileContents) -> Result<Option<BedrockApiKey>, String> {
        let key = self.sdk.api_key_file().map(|path| {
            let content = files.of(path);
            BedrockApiKey::of_file(path, content.as_deref().map_err(String::as_str))
        });
        key.transpose()
    }

    /// Returns the content of `bedrock.extra_ca_file`. If it differs from `before`, also returns
    /// the certificates to trust.
    fn trust(
        &self,
        config: &Config,
        files: &FileContents,
        before: Option<&Pem>,
    ) -> Result<(Option<Pem>, Option<Trust>), String> {
        let path = config.bedrock.extra_ca_file.as_deref();
        let extra = path.map(|path| (path, files.of(path)));
        let content = extra.as_ref().and_then(|(_, content)| content.clone().ok());
        let is_readable = content.is_some() == path.is_some();
        if is_readable && content.as_ref() == before {
            return Ok((content, None));
        }
        let trust = self.sdk.read_trust(extra);
        let trust = trust.map_err(|error| error.to_string())?;
        Ok((content, Some(trust)))
    }
}
