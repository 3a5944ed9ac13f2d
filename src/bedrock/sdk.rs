//! What aws-config's chain says, read once.

use aws_config::{BehaviorVersion, Region, SdkConfig, identity::IdentityCache};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_bedrockruntime::config::{
    AppName, Builder, FrameworkMetadata, StalledStreamProtectionConfig, retry::RetryConfig,
    timeout::TimeoutConfig,
};

use aws_types::service_config::ServiceConfigKey;

use super::http::{Tls, TlsError};
use crate::config::bedrock::Options;

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Credentials, Region, endpoint and identity as every AWS SDK finds them, and whom to trust. Cheap to clone; the workers
/// share its credentials, which are fetched once and refreshed before they expire.
#[derive(Clone)]
pub struct Sdk {
    config: SdkConfig,
    endpoint_url: Option<String>,
    control_endpoint_url: Option<String>,
    tls: Tls,
}

impl Sdk {
    /// Reads aws-config's chain. Credentials are fetched with the first call, not here.
    ///
    /// # Errors
    ///
    /// Fails if the file of extra certificates cannot be read.
    pub async fn load(options: &Options) -> Result<Self, TlsError> {
        let tls = Tls::load(options)?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .identity_cache(IdentityCache::lazy().build());
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        let control_endpoint_url = options
            .control_endpoint_url
            .clone()
            .or_else(|| control_endpoint_url(&config));
        Ok(Self {
            config,
            endpoint_url: options.endpoint_url.clone(),
            control_endpoint_url,
            tls,
        })
    }

    /// These credentials and nothing of the environment: for the emulator, which knows them.
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
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .identity_cache(IdentityCache::lazy().build())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(options.region.clone().map(Region::new))
            .build();
        Ok(Self {
            config,
            endpoint_url: options.endpoint_url.clone(),
            // The emulator is both planes.
            control_endpoint_url: options
                .control_endpoint_url
                .clone()
                .or_else(|| options.endpoint_url.clone()),
            tls: Tls::load(options)?,
        })
    }

    /// The Region to call when nothing else names one.
    pub fn default_region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// Where the control plane is, if not at the Region's public endpoint.
    pub(super) fn control_endpoint_url(&self) -> Option<&str> {
        self.control_endpoint_url.as_deref()
    }

    pub(super) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// A client's configuration for one source Region, without an HTTP client.
    pub(super) fn client_config(&self, source_region: &str) -> Builder {
        let mut builder = Builder::from(&self.config)
            .region(Region::new(source_region.to_owned()))
            // Retries and time limits are decided in one place, and not here: the stream outlives this call.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint_url) = &self.endpoint_url {
            builder = builder.endpoint_url(endpoint_url);
        }
        // The operator's own name for the app, if there is one, stays.
        if self.config.app_name().is_none() {
            builder.set_app_name(AppName::new(NAME).ok());
        }
        if let Ok(metadata) = FrameworkMetadata::new(NAME, Some(VERSION)) {
            builder.push_framework_metadata(metadata);
        }
        builder
    }
}

/// What the variables and files that every AWS SDK reads say of the control plane's endpoint: of the service `bedrock` first.
fn control_endpoint_url(config: &SdkConfig) -> Option<String> {
    let of_service = ServiceConfigKey::builder()
        .service_id("bedrock")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()
        .and_then(|key| config.service_config()?.load_config(key));
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}
