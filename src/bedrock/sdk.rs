//! Loads the configuration from aws-config's chain, once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, identity::IdentityCache};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_bedrockruntime::config::{
    AppName, Builder, FrameworkMetadata, SharedIdentityCache, StalledStreamProtectionConfig,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_types::service_config::ServiceConfigKey;

use super::{
    accounts::Accounts,
    credentials::{ChainSource, Identity},
    failure,
    http::{Http, Tls, TlsError, Trust},
    session::SignedBySession,
};
use crate::{
    config::{
        AccountOptions,
        bedrock::{Endpoints, Options},
    },
    error::Failure,
};

const NAME: &str = env!("CARGO_PKG_NAME");
/// The maximum number of bytes of an answer of STS, IAM Identity Center or the instance metadata
/// service.
const LONGEST_ANSWER: usize = 1 << 20;
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The credentials, Region and endpoints, which are found as in every AWS SDK, and the trusted
/// certificates. Cheap to clone. All workers share the credentials.
#[derive(Clone)]
pub struct Sdk {
    config: SdkConfig,
    endpoint_url: Option<String>,
    control_endpoint_url: Option<String>,
    endpoints: Arc<BTreeMap<String, Endpoints>>,
    /// The identity whose credentials can be reloaded. `None` if the credentials never change.
    identity: Option<Identity>,
    accounts: Accounts,
    tls: Tls,
    /// The file that replaces the machine's root certificates.
    bundle: Option<PathBuf>,
}

impl Sdk {
    /// Loads the configuration. Credentials are loaded with the first call.
    ///
    /// # Errors
    ///
    /// Fails if a file of certificates cannot be read.
    pub async fn load(options: &Options) -> Result<Self, TlsError> {
        // The profile may name certificates, so the first client has none. It only asks the
        // instance metadata service for the Region.
        let http = Http::new(Tls::new(Trust::without_roots(options)?), options);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.for_whole_answers(LONGEST_ANSWER))
            .no_credentials();
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        let bundle = setting(&config, "AWS_CA_BUNDLE", "ca_bundle", "bedrock_runtime");
        let bundle = bundle.map(PathBuf::from);
        let tls = Tls::new(Trust::load(options, bundle.as_deref())?);
        let http = Http::new(tls.clone(), options).for_whole_answers(LONGEST_ANSWER);
        let source = ChainSource {
            http: http.clone(),
            region: config.region().cloned(),
            use_fips: config.use_fips(),
            use_dual_stack: config.use_dual_stack(),
            retries: config.retry_config().cloned(),
            time_limits: config.timeout_config().cloned(),
            files: options.shared_files.clone(),
        };
        let identity = Identity::new(source);
        // The SDK itself looks for `bedrock-runtime` in a services section. AWS documents
        // `bedrock_runtime`, which the other SDKs use.
        let endpoint_url = options.endpoint_url.clone().or_else(|| {
            setting(
                &config,
                "AWS_ENDPOINT_URL",
                "endpoint_url",
                "bedrock_runtime",
            )
        });
        let control_endpoint_url = options
            .control_endpoint_url
            .clone()
            .or_else(|| control_endpoint_url(&config));
        let config = config
            .into_builder()
            .http_client(http)
            .identity_cache(SharedIdentityCache::new(identity.clone()))
            .credentials_provider(SharedCredentialsProvider::new(identity.clone()))
            .build();
        Ok(Self {
            accounts: Accounts::none(config.clone(), Some(identity.clone())),
            config,
            endpoint_url,
            control_endpoint_url,
            endpoints: Arc::new(options.endpoints.clone()),
            identity: Some(identity),
            tls,
            bundle,
        })
    }

    /// Creates a configuration with these credentials, without the environment. Used with the
    /// emulator.
    ///
    /// # Errors
    ///
    /// Fails if the file of extra certificates cannot be read.
    pub fn with_credentials(
        access_key_id: &str,
        secret_access_key: &str,
        options: &Options,
    ) -> Result<Self, TlsError> {
        let credentials = Credentials::new(access_key_id, secret_access_key, None, None, NAME);
        let tls = Tls::new(Trust::load(options, None)?);
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .identity_cache(IdentityCache::lazy().build())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(options.region.clone().map(Region::new))
            .build();
        // The emulator serves STS, too.
        let http = Http::new(tls.clone(), options).for_whole_answers(LONGEST_ANSWER);
        let mut for_sts = config.clone().into_builder().http_client(http);
        for_sts.set_endpoint_url(options.endpoint_url.clone());
        Ok(Self {
            accounts: Accounts::none(for_sts.build(), None),
            config,
            endpoint_url: options.endpoint_url.clone(),
            // The emulator serves both the runtime and the control plane.
            control_endpoint_url: options
                .control_endpoint_url
                .clone()
                .or_else(|| options.endpoint_url.clone()),
            endpoints: Arc::new(options.endpoints.clone()),
            identity: None,
            tls,
            bundle: None,
        })
    }

    /// Returns the same with these accounts, which are called by sessions of their roles. Sessions
    /// that are as before keep their credentials.
    #[must_use]
    pub fn with_accounts(mut self, accounts: &BTreeMap<String, AccountOptions>) -> Self {
        self.accounts = self.accounts.with(accounts);
        self
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Returns the Region of the AWS environment.
    pub fn default_region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// Returns the URL of a Region's control plane for an account. `None` for its public endpoint.
    pub(super) fn control_endpoint_url<'a>(
        &'a self,
        accounts: &'a Accounts,
        account: &str,
        source_region: &str,
    ) -> Option<&'a str> {
        let of_account = accounts.endpoints(account, source_region);
        [of_account, self.endpoints.get(source_region)]
            .into_iter()
            .find_map(|endpoints| endpoints?.control_endpoint_url.as_deref())
            .or(self.control_endpoint_url.as_deref())
    }

    /// Makes a call. If AWS rejects its credentials and newer ones are available, retries the call
    /// once, which is safe because AWS has not processed the request.
    pub(super) async fn authenticated<T, F>(
        &self,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let Some(identity) = &self.identity else {
            return call().await;
        };
        let generation = identity.generation();
        match call().await {
            Err(failure)
                if failure::is_rejection(&failure) && identity.rejected(generation).await =>
            {
                call().await
            }
            outcome => outcome,
        }
    }

    /// Reads the trusted certificates again, with this content of `bedrock.extra_ca_file`. `None`
    /// if there is no such file.
    ///
    /// # Errors
    ///
    /// Fails if a file of certificates cannot be used.
    pub fn read_trust(
        &self,
        options: &Options,
        extra: Option<(&Path, Result<impl AsRef<[u8]>, String>)>,
    ) -> Result<Trust, TlsError> {
        Trust::with_extra(options, self.bundle.as_deref(), extra)
    }

    /// Trusts these certificates on all connections to AWS that are opened from now on. Open
    /// connections get no further requests, but their calls continue to their end.
    pub fn trust(&self, trust: Trust) {
        self.tls.replace(trust);
    }

    pub(super) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Returns the URL of a Region's runtime for an account. `None` for its public endpoint.
    pub(super) fn endpoint_url<'a>(
        &'a self,
        accounts: &'a Accounts,
        account: Option<&str>,
        source_region: &str,
    ) -> Option<&'a str> {
        let of_account = account.and_then(|account| accounts.endpoints(account, source_region));
        [of_account, self.endpoints.get(source_region)]
            .into_iter()
            .find_map(|endpoints| endpoints?.endpoint_url.as_deref())
            .or(self.endpoint_url.as_deref())
    }

    /// Returns a client's configuration for one source Region and endpoint, without an HTTP client.
    /// `None` is the public endpoint. Calls are signed by the session of their task if
    /// `by_session` is set, otherwise by the gateway's own identity.
    pub(super) fn client_config(
        &self,
        source_region: &str,
        endpoint_url: Option<&str>,
        by_session: bool,
    ) -> Builder {
        let mut builder = Builder::from(&self.config)
            .region(Region::new(source_region.to_owned()))
            // Routing decides on retries and timeouts. The stream outlives the SDK's call.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint_url) = endpoint_url {
            builder = builder.endpoint_url(endpoint_url);
        }
        if by_session {
            // A Bedrock API key is of another identity, and would take precedence.
            let signature = AuthSchemeId::from("sigv4");
            builder = builder
                .auth_scheme_preference([signature])
                .identity_cache(SharedIdentityCache::new(SignedBySession))
                .credentials_provider(SharedCredentialsProvider::new(SignedBySession));
        }
        // An application name set by the operator takes precedence.
        if self.config.app_name().is_none() {
            builder.set_app_name(AppName::new(NAME).ok());
        }
        if let Ok(metadata) = FrameworkMetadata::new(NAME, Some(VERSION)) {
            builder.push_framework_metadata(metadata);
        }
        builder
    }
}

/// Returns the control plane's endpoint from the AWS environment. The setting for the service
/// `bedrock` takes precedence.
fn control_endpoint_url(config: &SdkConfig) -> Option<String> {
    setting(config, "AWS_ENDPOINT_URL", "endpoint_url", "bedrock")
        .or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Returns a setting of the environment or the profile, as the SDK finds it.
fn setting(
    config: &SdkConfig,
    variable: &'static str,
    key: &'static str,
    service: &'static str,
) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env(variable)
        .profile(key)
        .build()
        .ok()?;
    config.service_config()?.load_config(key)
}

/// Returns whether a name can be part of a host name, as the names of all Regions can.
pub(super) fn is_region(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
