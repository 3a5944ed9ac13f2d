//! The client of Bedrock's control plane, which reads inference profiles and foundation models.
//!
//! Only three GET requests are needed. The runtime's SDK client sends them: it loads credentials,
//! signs (both planes sign as `bedrock`) and resolves endpoints. A hook replaces the address before
//! signing (docs/adr/0007-two-requests-without-a-second-sdk.md).

mod address;
mod foundation_model;
mod profile;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_bedrockruntime::Client;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
            },
            dyn_dispatch_hint,
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use http_body_util::BodyExt as _;

pub use foundation_model::FoundationModel;
pub use profile::InferenceProfile;

use super::{Sdk, failure, http::Http, sdk::is_region};
use crate::error::{Failure, Reason};

/// The query for the maximum number of profiles per page. Source: `maxResults` in Bedrock's service
/// model.
const PAGE: &str = "maxResults=1000";
/// The query parameter that names a project.
const PROJECT: &str = "projectIdentifier";
/// The maximum size of a response, in bytes. A full page has about 1 MiB.
const LONGEST_PAGE: usize = 16 << 20;
/// The maximum number of pages, which is more than AWS has. It ends the loop if a server always
/// names a further page.
const MOST_PAGES: usize = 50;

tokio::task_local! {
    /// The exchange of the current task.
    static EXCHANGE: Exchange;
}

/// One request and its response, which bypass the SDK's serialization.
struct Exchange {
    path: RefCell<String>,
    response: Cell<Option<SdkBody>>,
}

/// A client of Bedrock's control plane. Cheap to clone. All clones share their connections.
#[derive(Clone)]
pub struct ControlPlane {
    shared: Arc<Shared>,
    /// The accounts and endpoints of a configuration.
    sdk: Sdk,
}

struct Shared {
    http: Http,
    /// The clients, by account and source Region.
    clients: Mutex<HashMap<(String, String), Regional>>,
}

/// The client of an account and source Region.
struct Regional {
    client: Client,
    /// The URL of the control plane. `None` for the Region's public endpoint.
    base: Option<String>,
}

impl ControlPlane {
    /// Creates a client, without connections.
    pub fn new(sdk: &Sdk) -> Self {
        Self {
            shared: Arc::new(Shared {
                http: Http::new(sdk.connections()).for_whole_answers(LONGEST_PAGE),
                clients: Mutex::default(),
            }),
            sdk: sdk.clone(),
        }
    }

    /// Returns the same client with the accounts and endpoints of another configuration.
    #[must_use]
    pub fn of(&self, sdk: &Sdk) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            sdk: sdk.clone(),
        }
    }

    /// Returns all inference profiles of a source Region in an account. An empty account name means
    /// the account of the gateway's own identity. With a project, returns the system-defined
    /// profiles that the project can use.
    ///
    /// # Errors
    /// Fails if Bedrock returned an error, or if the request failed.
    pub async fn list_inference_profiles(
        &self,
        account: &str,
        source_region: &str,
        project: Option<&str>,
    ) -> Result<Vec<InferenceProfile>, Failure> {
        let mut profiles = Vec::new();
        let project = project.map_or_else(String::new, |identifier| {
            format!("&{PROJECT}={}", address::encoded(identifier))
        });
        let mut path = format!("/inference-profiles?{PAGE}{project}");
        for _ in 0..MOST_PAGES {
            let page: profile::Page = parsed(&self.get(account, source_region, path).await?)?;
            profiles.extend(page.profiles.into_iter().map(InferenceProfile::from));
            match page.next_token {
                Some(token) if !token.is_empty() => {
                    let token = address::encoded(&token);
                    path = format!("/inference-profiles?{PAGE}{project}&nextToken={token}");
                }
                _ => break,
            }
        }
        Ok(profiles)
    }

    /// Returns one inference profile, by ID or ARN. With a project, also finds a system-defined
    /// profile that only the project can use.
    ///
    /// # Errors
    /// Fails for the same reasons as [`Self::list_inference_profiles`].
    pub async fn get_inference_profile(
        &self,
        account: &str,
        source_region: &str,
        id: &str,
        project: Option<&str>,
    ) -> Result<InferenceProfile, Failure> {
        let mut path = format!("/inference-profiles/{}", address::encoded(id));
        if let Some(identifier) = project {
            path.push_str(&format!("?{PROJECT}={}", address::encoded(identifier)));
        }
        let profile: profile::Description = parsed(&self.get(account, source_region, path).await?)?;
        Ok(profile.into())
    }

    /// Returns all foundation models of a source Region. `account` is the account that asks. With a
    /// project, also returns models that only the project can use.
    ///
    /// # Errors
    /// Fails for the same reasons as [`Self::list_inference_profiles`].
    pub async fn list_foundation_models(
        &self,
        account: &str,
        source_region: &str,
        project: Option<&str>,
    ) -> Result<Vec<FoundationModel>, Failure> {
        let mut path = "/foundation-models".to_owned();
        if let Some(identifier) = project {
            path.push_str(&format!("?{PROJECT}={}", address::encoded(identifier)));
        }
        let list: foundation_model::List = parsed(&self.get(account, source_region, path).await?)?;
        Ok(list.models.into_iter().map(FoundationModel::from).collect())
    }

    async fn get(
        &self,
        account: &str,
        source_region: &str,
        path: String,
    ) -> Result<Vec<u8>, Failure> {
        let sdk = &self.sdk;
        let call = || self.get_once(account, source_region, path.clone());
        if account.is_empty() {
            return sdk.authenticated(call).await;
        }
        match sdk.accounts().session(account, None) {
            Some(session) => session.authenticated(call).await,
            None => Err(failure::no_account(account)),
        }
    }

    async fn get_once(
        &self,
        account: &str,
        source_region: &str,
        path: String,
    ) -> Result<Vec<u8>, Failure> {
        let exchange = Exchange {
            path: RefCell::new(path),
            response: Cell::default(),
        };
        let call = self.client(account, source_region)?.list_async_invokes();
        let call = async {
            let outcome = call.send().await;
            let body = EXCHANGE.try_with(|exchange| exchange.response.take());
            (outcome, body.ok().flatten())
        };
        let (outcome, body) = EXCHANGE.scope(exchange, call).await;
        outcome.map_err(failure::of_call)?;
        let body = body.unwrap_or_else(SdkBody::empty).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|error| {
            Failure::new(Reason::UpstreamConnect, "Bedrock's answer was truncated")
                .with_detail(error)
        })
    }

    fn client(&self, account: &str, source_region: &str) -> Result<Client, Failure> {
        let Shared { http, clients } = &*self.shared;
        let base = self.sdk.control_endpoint_url(account, source_region);
        let key = (account.to_owned(), source_region.to_owned());
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        // Another configuration can set another endpoint for the Region.
        if let Some(regional) = clients.get(&key)
            && regional.base.as_deref() == base
        {
            return Ok(regional.client.clone());
        }
        if !is_region(source_region) {
            return Err(failure::no_region(source_region));
        }
        let mut config = self
            .sdk
            .client_config(source_region, None, !account.is_empty())
            .http_client(http.clone());
        // The endpoint of the runtime must not be used for the control plane.
        config.set_endpoint_url(None);
        let base = base.map(str::to_owned);
        let address = Address { base: base.clone() };
        let client = Client::from_conf(config.interceptor(address).build());
        let regional = Regional {
            client: client.clone(),
            base,
        };
        clients.insert(key, regional);
        Ok(client)
    }
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::new(
            Reason::UpstreamCorrupt,
            format!("cannot decode the answer of Bedrock's control plane: {error}"),
        )
    })
}

/// Inserts the address of the [`Exchange`] before signing, and extracts the body of a successful
/// response.
#[derive(Debug)]
struct Address {
    /// The URL of the control plane. `None` for the Region's public endpoint.
    base: Option<String>,
}

#[dyn_dispatch_hint]
impl Intercept for Address {
    fn name(&self) -> &'static str {
        "Address"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let path = EXCHANGE.try_with(|exchange| exchange.path.take())?;
        let request = context.request_mut();
        let uri = address::of(self.base.as_deref(), request.uri(), &path);
        request.set_uri(uri)?;
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let body = std::mem::replace(response.body_mut(), SdkBody::from("{}"));
            EXCHANGE.try_with(|exchange| exchange.response.set(Some(body)))?;
        }
        Ok(())
    }
}
