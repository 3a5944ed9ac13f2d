//! Loads and caches the credentials of one session of an assumed role. All workers share them.
//!
//! Each session makes one call to STS at a time, before the credentials expire. Until the new
//! credentials arrive, calls use the old ones and do not wait. The call to STS continues if the
//! client's call that started it is cancelled. Failures are cached for a while, so that calls fail
//! at once while STS refuses.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, error::CredentialsError, future},
};
use aws_sdk_sts::{
    error::{ProvideErrorMetadata, SdkError},
    operation::assume_role::{AssumeRoleError, AssumeRoleOutput},
    types::Tag,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        identity::{
            Identity as SdkIdentity, IdentityFuture, ResolveCachedIdentity, SharedIdentityResolver,
        },
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use tokio::{sync::OwnedMutexGuard, time::Instant};

use super::{
    credentials::{Cause, Identity, NoCredentials, causes},
    denial::{self, Denied},
    failure, signature,
};
use crate::error::{Failure, Reason};

/// The maximum time before their expiry at which credentials are loaded again. For short sessions,
/// it is a fifth of their lifetime.
const LONGEST_MARGIN: Duration = Duration::from_secs(5 * 60);
/// The time limit for STS, including the SDK's retries.
const LONGEST_LOAD: Duration = Duration::from_secs(15);
/// The backoff after STS has refused the role. It is short, because an operator may correct the
/// role.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// The backoff while STS does not answer. It doubles after each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The minimum time between two loads that are caused by credentials that Bedrock rejects.
const REJECTED_PAUSE: Duration = Duration::from_secs(5);
/// How long a call to which Bedrock denies access waits for a new session.
const DENIED_WAIT: Duration = Duration::from_secs(2);

/// STS's error names, without `Exception`, which mean that the gateway's own credentials are
/// invalid.
const OWN_REJECTED: &[&str] = &[
    "ExpiredToken",
    "InvalidClientTokenId",
    "UnrecognizedClient",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignature",
    "RequestExpired",
];

tokio::task_local! {
    /// The session that signs the calls of the current task.
    static SIGNED_BY: Session;
}

/// The parameters of a call to STS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
    /// The name of the session.
    pub(super) name: String,
    pub(super) tags: BTreeMap<String, String>,
    /// The requested duration of the session. If `None`, STS decides.
    pub(super) duration: Option<Duration>,
}

/// A session. Cheap to clone; all clones share the credentials.
#[derive(Clone)]
pub(super) struct Session(Arc<Inner>);

struct Inner {
    role: Role,
    sts: aws_sdk_sts::Client,
    /// The identity that assumes the role. `None` if the credentials of that identity never change.
    own: Option<Identity>,
    /// Held while STS is called.
    loading: Arc<tokio::sync::Mutex<()>>,
    state: RwLock<State>,
    /// Incremented with each change of the credentials.
    generation: AtomicU64,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    loaded: Option<Instant>,
    /// When Bedrock last rejected the credentials.
    rejected: Option<Instant>,
    /// The last replacement because of a denial.
    denied: Option<Denied>,
    failed: Option<NoCredentials>,
    failures: u32,
}

/// Credentials that STS has granted.
#[derive(Clone)]
struct Held {
    identity: SdkIdentity,
    refresh_at: SystemTime,
    expiry: SystemTime,
}

impl Session {
    pub(super) fn new(role: Role, sts: aws_sdk_sts::Client, own: Option<Identity>) -> Self {
        Self(Arc::new(Inner {
            role,
            sts,
            own,
            loading: Arc::default(),
            state: RwLock::default(),
            generation: AtomicU64::new(0),
        }))
    }

    /// Makes a call that this session signs. If AWS rejects its credentials or denies access, and
    /// newer credentials are available, retries the call once. This is safe, because AWS has not
    /// processed the request.
    pub(super) async fn authenticated<T, F>(
        &self,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let generation = self.generation();
        let outcome = SIGNED_BY.scope(self.clone(), call()).await;
        match outcome {
            Err(failure) if failure::is_rejection(&failure) && self.rejected(generation).await => {
                SIGNED_BY.scope(self.clone(), call()).await
            }
            Err(failure)
                if failure.reason == Reason::UpstreamAccessDenied
                    && self.replaced(generation).await =>
            {
                SIGNED_BY.scope(self.clone(), call()).await
            }
            outcome => outcome,
        }
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Records that Bedrock has rejected the credentials of this generation. Returns whether newer
    /// credentials are available.
    async fn rejected(&self, generation: u64) -> bool {
        let _turn = self.0.loading.lock().await;
        if self.generation() > generation {
            return true;
        }
        let mut state = self.write();
        if state
            .rejected
            .is_some_and(|at| at.elapsed() < REJECTED_PAUSE)
        {
            return false;
        }
        state.rejected = Some(Instant::now());
        (state.held, state.failed) = (None, None);
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        tracing::warn!(
            role = self.0.role.arn,
            session = self.0.role.name,
            "AWS rejected the credentials of a session; the gateway assumes the role again"
        );
        true
    }

    /// Replaces the session after Bedrock has denied access to its credentials of this generation,
    /// because the role's sessions may have been revoked. Returns whether newer credentials are
    /// available.
    async fn replaced(&self, generation: u64) -> bool {
        let loaded = tokio::time::timeout(DENIED_WAIT, self.replace(generation)).await;
        loaded.unwrap_or_default()
    }

    async fn replace(&self, generation: u64) -> bool {
        let turn = Arc::clone(&self.0.loading).lock_owned().await;
        if self.generation() > generation {
            return true;
        }
        {
            let mut state = self.write();
            let is_new = state
                .loaded
                .is_some_and(|at| at.elapsed() < denial::FIRST_PAUSE);
            match Denied::next(state.denied, Instant::now()) {
                Some(next) if !is_new => state.denied = Some(next),
                _ => return false,
            }
        }
        // The load runs in a separate task, because later calls need it even if this call is
        // cancelled or stops waiting.
        let session = self.clone();
        let load = tokio::spawn(async move {
            let loaded = session.clone().load(turn).await.is_ok();
            if !loaded {
                session.write().denied = Some(Denied::refused(Instant::now()));
            }
            loaded
        });
        load.await.unwrap_or_default()
    }

    /// Returns valid credentials. Waits only if there are none.
    async fn identity(&self) -> Result<SdkIdentity, NoCredentials> {
        if let Some(identity) = self.ready() {
            return Ok(identity);
        }
        let turn = Arc::clone(&self.0.loading).lock_owned().await;
        // While this call waited for the lock, another call may have loaded credentials, or failed
        // to load them.
        if let Some(identity) = self.ready() {
            return Ok(identity);
        }
        if let Some(failed) = self.recent_failure() {
            return Err(failed);
        }
        // The load runs in a separate task, because other calls need it even if this call is
        // cancelled.
        match tokio::spawn(self.clone().load(turn)).await {
            Ok(loaded) => loaded,
            Err(error) => Err(NoCredentials::new(
                Cause::Unavailable,
                format!("loading AWS credentials was interrupted: {error}"),
                FIRST_PAUSE,
            )),
        }
    }

    /// Returns valid credentials if there are any. If they expire soon, starts to load new ones.
    fn ready(&self) -> Option<SdkIdentity> {
        let now = SystemTime::now();
        let held = self.read().held.clone().filter(|held| now < held.expiry)?;
        if now >= held.refresh_at
            && let Ok(turn) = Arc::clone(&self.0.loading).try_lock_owned()
            && self.recent_failure().is_none()
        {
            tokio::spawn(self.clone().load(turn));
        }
        Some(held.identity)
    }

    fn recent_failure(&self) -> Option<NoCredentials> {
        let failed = self.read().failed.clone()?;
        failed.is_recent().then_some(failed)
    }

    async fn load(self, _turn: OwnedMutexGuard<()>) -> Result<SdkIdentity, NoCredentials> {
        let loaded = match tokio::time::timeout(LONGEST_LOAD, self.assume()).await {
            Ok(loaded) => loaded,
            Err(_) => Err((
                Cause::Unavailable,
                format!("STS did not answer within {} s", LONGEST_LOAD.as_secs()),
            )),
        };
        match loaded {
            Ok(held) => {
                let identity = held.identity.clone();
                let mut state = self.write();
                (state.failed, state.failures) = (None, 0);
                state.held = Some(held);
                state.loaded = Some(Instant::now());
                drop(state);
                self.0.generation.fetch_add(1, Ordering::AcqRel);
                Ok(identity)
            }
            Err((cause, text)) => Err(self.failed(cause, text)),
        }
    }

    fn failed(&self, cause: Cause, text: String) -> NoCredentials {
        let role = &self.0.role;
        let mut state = self.write();
        let pause = match cause {
            Cause::Unavailable => FIRST_PAUSE
                .saturating_mul(1 << state.failures.min(8))
                .min(LONGEST_PAUSE),
            Cause::NotConfigured | Cause::WronglyConfigured | Cause::SignedOut | Cause::Refused => {
                REFUSED_PAUSE
            }
        };
        tracing::warn!(role = role.arn, session = role.name, detail = %text, "cannot assume a role");
        let failed = NoCredentials::new(cause, format!("{}: {text}", role.arn), pause);
        state.failures = state.failures.saturating_add(1);
        state.failed = Some(failed.clone());
        failed
    }

    /// Calls STS. If STS rejects the gateway's own credentials and newer ones are available, calls
    /// STS again with these.
    async fn assume(&self) -> Result<Held, (Cause, String)> {
        let generation = self.0.own.as_ref().map(Identity::generation);
        let outcome = match (self.assume_once().await, &self.0.own) {
            (Err(error), Some(own))
                if is_own_rejected(&error)
                    && own.rejected(generation.unwrap_or_default()).await =>
            {
                self.assume_once().await
            }
            (outcome, _) => outcome,
        };
        match outcome {
            Ok(output) => held(output).ok_or_else(|| {
                (
                    Cause::Unavailable,
                    "STS answered without credentials".to_owned(),
                )
            }),
            Err(error) => Err(explained(&error)),
        }
    }

    async fn assume_once(&self) -> Result<AssumeRoleOutput, SdkError<AssumeRoleError>> {
        let role = &self.0.role;
        let tags = role.tags.iter().filter_map(|(key, value)| {
            let tag = Tag::builder().key(key).value(value).build();
            // Building a tag cannot fail, because both members are set.
            tag.ok()
        });
        let tags: Vec<_> = tags.collect();
        let duration = role.duration.map(|duration| duration.as_secs());
        self.0
            .sts
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(&role.name)
            .set_external_id(role.external_id.clone())
            .set_duration_seconds(duration.and_then(|seconds| i32::try_from(seconds).ok()))
            .set_tags((!tags.is_empty()).then_some(tags))
            .send()
            .await
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Converts the credentials that STS has granted. `None` if the response is incomplete.
fn held(output: AssumeRoleOutput) -> Option<Held> {
    let granted = output.credentials?;
    let expiry = SystemTime::try_from(granted.expiration).ok()?;
    let now = SystemTime::now();
    let lifetime = expiry.duration_since(now).unwrap_or_default();
    let credentials = Credentials::new(
        granted.access_key_id,
        granted.secret_access_key,
        Some(granted.session_token),
        Some(expiry),
        "AssumeRole",
    );
    Some(Held {
        identity: signature::with_signing_keys(credentials).into(),
        refresh_at: now + (lifetime - LONGEST_MARGIN.min(lifetime / 5)),
        expiry,
    })
}

fn is_own_rejected(error: &SdkError<AssumeRoleError>) -> bool {
    error.code().is_some_and(|code| {
        let name = code.strip_suffix("Exception").unwrap_or(code);
        OWN_REJECTED.contains(&name)
    })
}

/// Describes for the operator why STS has not granted credentials.
fn explained(error: &SdkError<AssumeRoleError>) -> (Cause, String) {
    let Some(response) = error.raw_response() else {
        return match failure::find::<NoCredentials>(error) {
            // The gateway's own identity has no credentials.
            Some(own) => (own.cause, own.to_string()),
            None => (
                Cause::Unavailable,
                format!("STS can't be reached: {}", causes(error)),
            ),
        };
    };
    let code = error.code().unwrap_or_default();
    let said = format!(
        "STS: HTTP {} {code}: {}",
        response.status().as_u16(),
        error.message().unwrap_or_default()
    );
    if is_own_rejected(error) {
        let text = format!("the gateway's own credentials are rejected: {said}");
        return (Cause::Unavailable, text);
    }
    let is_temporary = response.status().is_server_error() || code.starts_with("Throttl");
    if is_temporary {
        return (Cause::Unavailable, said);
    }
    (
        Cause::Refused,
        format!(
            "{said}; check the role's trust policy, the external ID, and that the gateway's own identity may call sts:AssumeRole and, for session tags, sts:TagSession"
        ),
    )
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("role", &self.0.role.arn)
            .field("name", &self.0.role.name)
            .finish_non_exhaustive()
    }
}

/// Signs each call of a client with the session of its task. So all sessions of an account can
/// share a client.
#[derive(Clone, Debug)]
pub(super) struct SignedBySession;

impl ResolveCachedIdentity for SignedBySession {
    fn resolve_cached_identity<'a>(
        &'a self,
        _: SharedIdentityResolver,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        match SIGNED_BY.try_with(|session| (session.ready(), session.clone())) {
            Ok((Some(identity), _)) => IdentityFuture::ready(Ok(identity)),
            Ok((None, session)) => IdentityFuture::new(async move {
                let identity = session.identity().await;
                identity.map_err(BoxError::from)
            }),
            Err(error) => IdentityFuture::ready(Err(error.into())),
        }
    }

    fn validate_base_client_config(
        &self,
        _: &RuntimeComponentsBuilder,
        _: &ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The SDK requires a credentials provider, but gets identities only from the cache.
impl ProvideCredentials for SignedBySession {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let session = SIGNED_BY.try_with(Clone::clone);
            let session: Session = session.map_err(CredentialsError::unhandled)?;
            let identity = session.identity().await;
            let identity = identity.map_err(CredentialsError::provider_error)?;
            credentials_of(&identity)
        })
    }
}

fn credentials_of(identity: &SdkIdentity) -> provider::Result {
    let credentials = identity.data::<Credentials>().cloned();
    credentials
        .ok_or_else(|| CredentialsError::unhandled("the identity contains no AWS credentials"))
}
