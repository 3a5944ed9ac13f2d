//! Loads the gateway's AWS credentials with aws-config's provider chain. The chain is rebuilt when
//! its files change or when AWS rejects its credentials.
//!
//! aws-config reads its files once and keeps their content, but mounted secrets are rotated. So the
//! chain is rebuilt in two cases:
//! - The files have changed when the identity cache refreshes. It refreshes before credentials
//!   expire, or after 15 minutes for keys without an expiry.
//! - AWS rejects credentials as expired or unknown.
//!
//! Failures are cached for a while, so that calls fail at once while STS does not respond.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_config::{
    BehaviorVersion, Region, default_provider::credentials::DefaultCredentialsChain,
    identity::IdentityCache, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, error::CredentialsError, future},
};
use aws_sdk_bedrockruntime::config::{
    SharedIdentityCache, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_runtime_api::client::{
    identity::{IdentityFuture, ResolveCachedIdentity, SharedIdentityResolver},
    runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
};
use aws_smithy_types::config_bag::ConfigBag;
use tokio::time::Instant;

use super::{http::Http, signature};

/// The time limit for the chain. It is long because a credential process may call a server.
const LONGEST_LOAD: Duration = Duration::from_secs(30);
/// The backoff after a failure of the chain. It doubles after each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The backoff while credentials are missing or the configuration is wrong. If a file changes, the
/// backoff ends early.
pub(super) const CONFIG_PAUSE: Duration = Duration::from_secs(5);
/// The minimum time between two rebuilds after rejected credentials, if no file has changed.
const REBUILD_PAUSE: Duration = Duration::from_secs(5);

/// Phrases in errors of the chain which mean that only a new sign-in helps.
const SIGNED_OUT: [&str; 7] = [
    "failed to load the cached SSO token",
    "the SSO token has expired",
    "cached SSO token file",
    "cached Login token is expired",
    "/sso/cache/",
    "/login/cache/",
    "UnauthorizedException",
];

/// The inputs from which a chain is built.
pub(super) struct ChainSource {
    /// The HTTP client for STS, IAM Identity Center and the instance metadata service.
    pub(super) http: Http,
    pub(super) region: Option<Region>,
    pub(super) use_fips: Option<bool>,
    pub(super) use_dual_stack: Option<bool>,
    pub(super) retries: Option<RetryConfig>,
    pub(super) time_limits: Option<TimeoutConfig>,
    /// The shared config and credentials files, and the files of tokens.
    pub(super) files: Vec<PathBuf>,
}

impl ChainSource {
    /// Returns a new configuration. The configuration reads the files once, when it needs them.
    fn config(&self) -> ProviderConfig {
        let mut config = ProviderConfig::without_region()
            .with_http_client(self.http.clone())
            .with_region(self.region.clone())
            .with_use_fips(self.use_fips)
            .with_use_dual_stack(self.use_dual_stack)
            .with_behavior_version(Some(BehaviorVersion::latest()));
        if let Some(retries) = &self.retries {
            config = config.with_retry_config(retries.clone());
        }
        if let Some(limits) = &self.time_limits {
            config = config.with_timeout_config(limits.clone());
        }
        config
    }
}

/// Why there are no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// No provider of the chain is configured.
    NotConfigured,
    /// A profile or another setting is wrong.
    WronglyConfigured,
    /// The sign-in of IAM Identity Center or of the console is missing or has expired.
    SignedOut,
    /// A provider is configured but does not respond, or returns an error.
    Unavailable,
    /// STS does not let the gateway assume a role.
    Refused,
}

/// The error of an identity that has no credentials. Its text is for the operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct NoCredentials {
    pub(super) cause: Cause,
    text: String,
    /// The time of the chain's next attempt.
    until: Instant,
}

impl NoCredentials {
    pub(super) fn new(cause: Cause, text: String, pause: Duration) -> Self {
        Self {
            cause,
            text,
            until: Instant::now() + pause,
        }
    }

    /// Returns whether the chain is still waiting before its next attempt.
    pub(super) fn is_recent(&self) -> bool {
        self.until > Instant::now()
    }

    /// Returns the time until the chain's next attempt.
    pub(super) fn retry_after(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// The credentials of one AWS identity. Cheap to clone; all clones share the identity.
#[derive(Clone)]
pub(super) struct Identity(Arc<Inner>);

struct Inner {
    source: ChainSource,
    /// The current chain. Locked while it is rebuilt or used.
    chain: tokio::sync::Mutex<Option<Chain>>,
    state: Mutex<State>,
    cache: RwLock<SharedIdentityCache>,
    /// The number of the current credentials. It is incremented for each chain.
    generation: AtomicU64,
}

struct Chain {
    provider: Arc<DefaultCredentialsChain>,
    /// The hash of the files from which the chain was built.
    fingerprint: u64,
}

#[derive(Default)]
struct State {
    failed: Option<NoCredentials>,
    failures: u32,
    last: Option<Credentials>,
    rebuilt: Option<Instant>,
}

impl Identity {
    pub(super) fn new(source: ChainSource) -> Self {
        Self(Arc::new(Inner {
            source,
            chain: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            cache: RwLock::new(new_cache()),
            generation: AtomicU64::new(0),
        }))
    }

    /// Returns the number of the current credentials. Newer credentials have a higher number.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Handles credentials that AWS rejected. `generation` is the generation of these
    /// credentials. Returns whether newer ones are available, so that the call can be retried.
    pub(super) async fn rejected(&self, generation: u64) -> bool {
        let mut chain = self.0.chain.lock().await;
        if self.generation() > generation {
            return true;
        }
        let fingerprint = self.fingerprint().await;
        let has_changed = chain
            .as_ref()
            .is_some_and(|chain| chain.fingerprint != fingerprint);
        {
            let mut state = self.state();
            let now = Instant::now();
            let is_recent = state
                .rebuilt
                .is_some_and(|then| now.saturating_duration_since(then) < REBUILD_PAUSE);
            if !has_changed && is_recent {
                return false;
            }
            state.rebuilt = Some(now);
            (state.last, state.failed) = (None, None);
        }
        tracing::warn!(
            has_changed,
            "AWS rejected the gateway's credentials; reloading them"
        );
        *chain = None;
        *self.0.cache.write().unwrap_or_else(PoisonError::into_inner) = new_cache();
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        true
    }

    async fn load(&self) -> provider::Result {
        let mut chain = self.0.chain.lock().await;
        let fingerprint = self.fingerprint().await;
        if chain
            .as_ref()
            .is_some_and(|chain| chain.fingerprint != fingerprint)
        {
            *chain = None;
        }
        let provider = match &*chain {
            Some(known) => {
                if let Some(failed) = self.recent_failure() {
                    return Err(CredentialsError::provider_error(failed));
                }
                Arc::clone(&known.provider)
            }
            None => {
                let source = &self.0.source;
                let mut builder = DefaultCredentialsChain::builder().configure(source.config());
                builder.set_region(source.region.clone());
                let provider = Arc::new(builder.build().await);
                *chain = Some(Chain {
                    provider: Arc::clone(&provider),
                    fingerprint,
                });
                provider
            }
        };
        match tokio::time::timeout(LONGEST_LOAD, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => {
                let credentials = signature::with_signing_keys(credentials);
                let mut state = self.state();
                (state.failed, state.failures) = (None, 0);
                state.last = Some(credentials.clone());
                Ok(credentials)
            }
            Ok(Err(error)) => self.failed(error).await,
            Err(_) => {
                self.failed(CredentialsError::provider_timed_out(LONGEST_LOAD))
                    .await
            }
        }
    }

    fn recent_failure(&self) -> Option<NoCredentials> {
        let failed = self.state().failed.clone()?;
        failed.is_recent().then_some(failed)
    }

    /// Records and logs the cause. Returns older credentials if they are still valid.
    async fn failed(&self, error: CredentialsError) -> provider::Result {
        let (cause, text) = self.explained(&error).await;
        let mut state = self.state();
        let pause = match cause {
            Cause::Unavailable => FIRST_PAUSE
                .saturating_mul(1 << state.failures.min(8))
                .min(LONGEST_PAUSE),
            Cause::NotConfigured | Cause::WronglyConfigured | Cause::SignedOut | Cause::Refused => {
                CONFIG_PAUSE
            }
        };
        state.failures = state.failures.saturating_add(1);
        tracing::warn!(detail = %text, "cannot load the gateway's AWS credentials");
        let failed = NoCredentials::new(cause, text, pause);
        state.failed = Some(failed.clone());
        match &state.last {
            Some(last)
                if matches!(cause, Cause::Unavailable | Cause::SignedOut)
                    && last
                        .expiry()
                        .is_some_and(|expiry| expiry > SystemTime::now()) =>
            {
                Ok(last.clone())
            }
            _ => Err(CredentialsError::provider_error(failed)),
        }
    }

    /// Describes the cause for the operator. The text contains no secrets.
    async fn explained(&self, error: &CredentialsError) -> (Cause, String) {
        match error {
            CredentialsError::CredentialsNotLoaded(_) => match self.profile_problem().await {
                Some(problem) => (
                    Cause::WronglyConfigured,
                    format!("{problem}; check AWS_PROFILE and the profile"),
                ),
                None => (
                    Cause::NotConfigured,
                    "no AWS credentials are configured: set AWS_BEARER_TOKEN_BEDROCK, \
                     AWS_BEARER_TOKEN_BEDROCK_FILE, or \
                     AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with AWS_PROFILE, \
                     or give the pod, task or instance a role"
                        .to_owned(),
                ),
            },
            CredentialsError::InvalidConfiguration(_) => (
                Cause::WronglyConfigured,
                format!(
                    "the configuration of AWS credentials is invalid: {}",
                    causes(error)
                ),
            ),
            _ => {
                let text = causes(error);
                if SIGNED_OUT.iter().any(|words| text.contains(words)) {
                    let hint = "run `aws sso login` or, for `login_session`, `aws login`";
                    return (Cause::SignedOut, format!("{text}; {hint}"));
                }
                let text = format!("AWS credentials cannot be obtained at the moment: {text}");
                (Cause::Unavailable, text)
            }
        }
    }

    /// Returns what is wrong with the profile. The chain silently skips a profile that it cannot
    /// use.
    async fn profile_problem(&self) -> Option<String> {
        let profile = ProfileFileCredentialsProvider::builder().configure(&self.0.source.config());
        let profile = profile.build();
        let error = profile.provide_credentials().await.err()?;
        let text = causes(&error);
        // A machine without any profile is normal, so that is not reported.
        (text.contains("was not defined") || text.contains("sso")).then_some(text)
    }

    /// Returns a hash of the content of the files that the chain reads.
    async fn fingerprint(&self) -> u64 {
        let files = self.0.source.files.clone();
        let read = move || {
            let mut hasher = DefaultHasher::new();
            for file in files {
                std::fs::read(file).ok().hash(&mut hasher);
            }
            hasher.finish()
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns all causes of an error as text. It omits the output of a credential process, because
/// that may contain secrets.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |cause| (*cause).source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    let of_process = ["external process", "credential process", "Stderr"];
    if of_process.iter().any(|words| text.contains(words)) {
        return "the profile's credential_process failed; run it by hand to see its output, which is not logged"
            .to_owned();
    }
    text
}

impl ProvideCredentials for Identity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

fn new_cache() -> SharedIdentityCache {
    // This is longer than the chain's own timeout, so that the chain's timeout applies first.
    IdentityCache::lazy()
        .load_timeout(LONGEST_LOAD + Duration::from_secs(5))
        .build()
}

/// Resolves the identity from the SDK's identity cache. The cache is replaced when AWS rejects the
/// cached identity.
impl ResolveCachedIdentity for Identity {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        config: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let cache = self.0.cache.read().unwrap_or_else(PoisonError::into_inner);
        let cache = cache.clone();
        IdentityFuture::new(async move {
            cache
                .resolve_cached_identity(resolver, components, config)
                .await
        })
    }

    fn validate_base_client_config(
        &self,
        _: &RuntimeComponentsBuilder,
        _: &ConfigBag,
    ) -> Result<(), aws_smithy_runtime_api::box_error::BoxError> {
        Ok(())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}
