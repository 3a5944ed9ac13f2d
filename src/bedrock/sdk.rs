//! Loads the AWS configuration from aws-config's chain, once per process.

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
    api_key::{ApiKeyFile, BedrockApiKey},
    credentials::{ChainSource, Identity},
    failure,
    http::{CurrentSettings, Http, TlsError, Trust},
    session::SignedBySession,
    signature,
};
use crate::{
    config::{
        AccountOptions,
        bedrock::{BedrockOptions, Endpoints},
    },
    error::Failure,
};

const NAME: &str = env!("CARGO_PKG_NAME");
/// The maximum size of an answer of STS, IAM Identity Center or the instance metadata service, in
/// bytes.
const LONGEST_ANSWER: usize = 1 << 20;
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The credentials and the Region, which are found as in every AWS SDK, with the accounts and
/// endpoints of one configuration. Cheap to clone. All workers share the credentials.
#[derive(Clone)]
pub struct Sdk {
    process: Arc<Process>,
    configured: Arc<Configured>,
}

/// The state that all configurations of a process share.
struct Process {
    config: SdkConfig,
    /// The URL of the runtime for configurations that set none.
    endpoint_url: Option<String>,
    /// The URL of the control plane for configurations that set none.
    control_endpoint_url: Option<String>,
    /// The identity whose credentials can be reloaded. `None` if the credentials never change.
    identity: Option<Identity>,
    /// The file of the Bedrock API key that replaces the credentials of `identity` for calls to
    /// Bedrock. `None` if there is no such file.
    api_key: Option<ApiKeyFile>,
    connections: CurrentSettings,
    /// The file that replaces the machine's root certificates.
    bundle: Option<PathBuf>,
}

/// The settings of one configuration.
struct Configured {
    endpoint_url: Option<String>,
    control_endpoint_url: Option<String>,
    endpoints: BTreeMap<String, Endpoints>,
    accounts: Accounts,
}

impl Sdk {
    /// Loads the configuration. Credentials are loaded with the first call.
    ///
    /// # Errors
    ///
    /// Fails if a file of certificates cannot be read.
    pub async fn load(options: &BedrockOptions) -> Result<Self, TlsError> {
        // The AWS profile, which is not loaded yet, can name the file of CA certificates. So the
        // first client trusts no CA. The SDK uses it only to request the Region from the instance
        // metadata service.
        let http = Http::new(CurrentSettings::new(Trust::without_roots()?, options));
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.for_whole_answers(LONGEST_ANSWER))
            .no_credentials();
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        let bundle = setting(&config, "AWS_CA_BUNDLE", "ca_bundle", "bedrock_runtime");
        // An empty variable counts as not set, as in other AWS SDKs.
        let bundle = bundle.filter(|path| !path.is_empty());
        let bundle = bundle.map(PathBuf::from);
        let trust = Trust::load(options, bundle.as_deref())?;
        let connections = CurrentSettings::new(trust, options);
        let http = Http::new(connections.clone()).for_whole_answers(LONGEST_ANSWER);
        let source = ChainSource {
            http: http.clone(),
            region: config.region().cloned(),
            use_fips: config.use_fips(),
            use_dual_stack: config.use_dual_stack(),
            retries: config.retry_config().cloned(),
            time_limits: config.timeout_config().cloned(),
            files: options.credential_files.clone(),
        };
        let identity = Identity::new(source);
        // In a services section, this SDK looks for `bedrock-runtime`. AWS documents
        // `bedrock_runtime`, which the other SDKs use.
        let endpoint_url = setting(
            &config,
            "AWS_ENDPOINT_URL",
            "endpoint_url",
            "bedrock_runtime",
        );
        let control_endpoint_url = control_endpoint_url(&config);
        let config = config
            .into_builder()
            .http_client(http)
            .identity_cache(SharedIdentityCache::new(identity.clone()))
            .credentials_provider(SharedCredentialsProvider::new(identity.clone()))
            .build();
        let accounts = Accounts::none(config.clone(), Some(identity.clone()));
        let process = Process {
            config,
            endpoint_url,
            control_endpoint_url,
            identity: Some(identity),
            api_key: options.api_key_file.as_deref().map(ApiKeyFile::open),
            connections,
            bundle,
        };
        Ok(Self::new(Arc::new(process), options, accounts))
    }

    /// Creates a configuration with these credentials, without reading the environment. Used with
    /// the emulator.
    ///
    /// # Errors
    ///
    /// Fails if the file of extra certificates cannot be read.
    pub fn with_credentials(
        access_key_id: &str,
        secret_access_key: &str,
        options: &BedrockOptions,
    ) -> Result<Self, TlsError> {
        let credentials = Credentials::new(access_key_id, secret_access_key, None, None, NAME);
        let credentials = signature::with_signing_keys(credentials);
        let connections = CurrentSettings::new(Trust::load(options, None)?, options);
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .identity_cache(IdentityCache::lazy().build())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(options.region.clone().map(Region::new))
            .build();
        // The emulator also serves STS.
        let http = Http::new(connections.clone()).for_whole_answers(LONGEST_ANSWER);
        let mut for_sts = config.clone().into_builder().http_client(http);
        for_sts.set_endpoint_url(options.endpoint_url.clone());
        let process = Process {
            config,
            // The emulator serves both the runtime and the control plane.
            endpoint_url: options.endpoint_url.clone(),
            control_endpoint_url: options.endpoint_url.clone(),
            identity: None,
            api_key: None,
            connections,
            bundle: None,
        };
        let accounts = Accounts::none(for_sts.build(), None);
        Ok(Self::new(Arc::new(process), options, accounts))
    }

    fn new(process: Arc<Process>, options: &BedrockOptions, accounts: Accounts) -> Self {
        let or = |url: &Option<String>, default: &Option<String>| {
            url.as_ref().or(default.as_ref()).cloned()
        };
        let configured = Configured {
            endpoint_url: or(&options.endpoint_url, &process.endpoint_url),
            control_endpoint_url: or(&options.control_endpoint_url, &process.control_endpoint_url),
            endpoints: options.endpoints.clone(),
            accounts,
        };
        Self {
            process,
            configured: Arc::new(configured),
        }
    }

    /// Returns the same SDK with the endpoints and accounts of another configuration. Calls of an
    /// account are signed by sessions of its role. Sessions that have not changed keep their
    /// credentials.
    #[must_use]
    pub fn configured(
        &self,
        options: &BedrockOptions,
        accounts: &BTreeMap<String, AccountOptions>,
    ) -> Self {
        let accounts = self.configured.accounts.with(accounts);
        Self::new(Arc::clone(&self.process), options, accounts)
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.configured.accounts
    }

    /// Returns the Region of the AWS environment.
    pub fn default_region(&self) -> Option<&str> {
        self.process.config.region().map(AsRef::as_ref)
    }

    /// Returns the URL of a Region's control plane for an account. `None` for the public endpoint.
    pub(super) fn control_endpoint_url(&self, account: &str, source_region: &str) -> Option<&str> {
        let configured = &*self.configured;
        let of_account = configured.accounts.endpoints(account, source_region);
        [of_account, configured.endpoints.get(source_region)]
            .into_iter()
            .find_map(|endpoints| endpoints?.control_endpoint_url.as_deref())
            .or(configured.control_endpoint_url.as_deref())
    }

    /// Makes a call. If AWS rejects its credentials and newer ones are available, retries the call
    /// once. This is safe, because AWS has not processed the request.
    pub(super) async fn authenticated<T, F>(
        &self,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        if let Some(api_key) = &self.process.api_key {
            let version = api_key.version();
            return match call().await {
                Err(failure)
                    if failure::is_rejection(&failure) && api_key.rejected(version).await =>
                {
                    call().await
                }
                outcome => outcome,
            };
        }
        let Some(identity) = &self.process.identity else {
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
        extra: Option<(&Path, Result<impl AsRef<[u8]>, String>)>,
    ) -> Result<Trust, TlsError> {
        Trust::with_extra(self.process.bundle.as_deref(), extra)
    }

    /// Returns the file of the Bedrock API key. `None` if calls are signed by other credentials.
    pub fn api_key_file(&self) -> Option<&Path> {
        self.process.api_key.as_ref().map(ApiKeyFile::path)
    }

    /// Uses this Bedrock API key for all further calls of the gateway's own identity. Open calls
    /// continue. Has no effect if there is no file of an API key.
    pub fn sign_with(&self, api_key: BedrockApiKey) {
        if let Some(file) = &self.process.api_key {
            file.replace(api_key);
        }
    }

    /// Uses these settings for all new connections to AWS, in all configurations. If the settings
    /// differ from the previous ones, open connections get no further requests, but their calls
    /// continue to their end. Without `trust`, the trusted certificates stay the same.
    pub fn connect_with(
        &self,
        options: &BedrockOptions,
        accounts: &BTreeMap<String, AccountOptions>,
        trust: Option<Trust>,
    ) {
        self.process.connections.replace(options, accounts, trust);
    }

    /// Returns how often the settings of connections to AWS have changed since the start.
    pub fn connections_version(&self) -> u64 {
        self.process.connections.version()
    }

    pub(super) fn connections(&self) -> CurrentSettings {
        self.process.connections.clone()
    }

    /// Returns the URL of a Region's runtime for an account. `None` for the public endpoint.
    pub(super) fn endpoint_url(&self, account: Option<&str>, source_region: &str) -> Option<&str> {
        let configured = &*self.configured;
        let of_account =
            account.and_then(|account| configured.accounts.endpoints(account, source_region));
        [of_account, configured.endpoints.get(source_region)]
            .into_iter()
            .find_map(|endpoints| endpoints?.endpoint_url.as_deref())
            .or(configured.endpoint_url.as_deref())
    }

    /// Returns whether clients correct the difference between AWS's clock and the machine's.
    pub(super) fn corrects_clock(&self) -> bool {
        let config = aws_sdk_bedrockruntime::Config::new(&self.process.config);
        !config.disable_clock_skew_correction().unwrap_or(false)
    }

    /// Returns the configuration of a client for one source Region, without an HTTP client. If
    /// `endpoint_url` is `None`, the client uses the public endpoint. If `by_session` is true,
    /// calls are signed by the session of their task, otherwise by the gateway's own identity.
    pub(super) fn client_config(
        &self,
        source_region: &str,
        endpoint_url: Option<&str>,
        by_session: bool,
    ) -> Builder {
        let config = &self.process.config;
        let mut builder = Builder::from(config)
            .region(Region::new(source_region.to_owned()))
            // Routing handles retries and timeouts. SDK timeouts would not fit, because the stream
            // outlives the SDK's call.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint_url) = endpoint_url {
            builder = builder.endpoint_url(endpoint_url);
        }
        if by_session {
            // A Bedrock API key would take precedence, but it belongs to another identity.
            let signature = AuthSchemeId::from("sigv4");
            builder = builder
                .auth_scheme_preference([signature])
                .identity_cache(SharedIdentityCache::new(SignedBySession))
                .credentials_provider(SharedCredentialsProvider::new(SignedBySession));
        } else if let Some(api_key) = &self.process.api_key {
            // The SDK does the same for the variable with an API key.
            let bearer = AuthSchemeId::from("httpBearerAuth");
            builder = builder
                .auth_scheme_preference([bearer])
                .bearer_token_resolver(api_key.clone());
        }
        // If the operator has set an application name, that name is used.
        if config.app_name().is_none() {
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

/// Returns a setting of the environment or the profile, with the SDK's rules of precedence.
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

/// Returns whether a name can be part of a host name, as all names of Regions can.
pub(super) fn is_region(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
