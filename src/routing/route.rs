//! Defines a route: one model ID in one source Region of one AWS account, with its profile and
//! health.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{health::RouteHealth, identity_health::IdentityHealth};
use crate::{
    aws::{Fence, Geography, ModelIdKind, NativeFormat, Sampling, Side, model_id},
    bedrock::InferenceProfile,
    telemetry::metrics,
};

/// How long the gateway caches that Bedrock refuses to count a model's tokens.
const COUNT_REFUSED_FOR: Duration = Duration::from_secs(60 * 60);

/// The identity of a route. Quotas apply to an account, a Region and a model, so health is tracked
/// for the same combination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// The name of the AWS account in the configuration. Empty for the account of the gateway's own
    /// identity.
    pub account: Arc<str>,
    /// The `modelId` of requests to Bedrock.
    pub model_id: String,
    /// The source Region.
    pub source_region: String,
}

/// A source Region of an AWS account. Discovery looks up profiles for each one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountRegion {
    /// The name of the AWS account, as in [`RouteKey::account`].
    pub account: Arc<str>,
    /// The source Region.
    pub source_region: String,
}

/// A model ID in a source Region of an AWS account. All targets of a configuration share the route
/// of a [`RouteKey`].
#[derive(Debug)]
pub struct Route {
    /// The name of the AWS account that is called. Empty for the account of the gateway's own
    /// identity.
    pub account: Arc<str>,
    /// The `modelId` of requests to Bedrock.
    pub model_id: String,
    /// The kind of model ID.
    pub kind: ModelIdKind,
    /// The source Region: the endpoint that is called.
    pub source_region: String,
    /// Whether an alias uses this route. If not, a caller named it, and the number of such routes
    /// is unlimited.
    pub of_alias: bool,
    /// The health, as observed by the calls of this replica.
    pub health: RouteHealth,
    /// The identities of the account whose credentials AWS rejects. All routes of the account share
    /// this value.
    pub credentials: Arc<IdentityHealth>,
    /// The identities that may not call this model.
    pub access: Arc<IdentityHealth>,
    pub(super) state: Arc<RouteState>,
}

/// The state of a route, as this replica observes it. Routes with the same [`RouteKey`] share it,
/// even in different configurations.
#[derive(Debug, Default)]
pub(super) struct RouteState {
    health: RouteHealth,
    credentials: Arc<IdentityHealth>,
    access: Arc<IdentityHealth>,
    /// The number of open calls to Bedrock.
    pub(super) open: AtomicUsize,
    /// The inference profile, if the model ID is a profile that Bedrock's control plane has listed.
    profile: RwLock<Option<Arc<InferenceProfile>>>,
    /// An inference profile that serves the model in this Region, if one is known.
    held_by: RwLock<Option<String>>,
    /// The time until which CountTokens is not called for the route's model.
    count_refused_until: RwLock<Option<Instant>>,
}

impl RouteState {
    /// Creates the state of a route that has not been called yet.
    pub(super) fn new(credentials: Arc<IdentityHealth>) -> Self {
        Self {
            credentials,
            ..Self::default()
        }
    }
}

impl Route {
    /// Creates a route with the state of its key.
    pub(super) fn new(key: &RouteKey, state: Arc<RouteState>, of_alias: bool) -> Self {
        Self {
            account: Arc::clone(&key.account),
            model_id: key.model_id.clone(),
            kind: ModelIdKind::of(&key.model_id),
            source_region: key.source_region.clone(),
            of_alias,
            health: state.health.clone(),
            credentials: Arc::clone(&state.credentials),
            access: Arc::clone(&state.access),
            state,
        }
    }

    /// Returns the identity of the route.
    pub fn key(&self) -> RouteKey {
        RouteKey {
            account: Arc::clone(&self.account),
            model_id: self.model_id.clone(),
            source_region: self.source_region.clone(),
        }
    }

    /// Returns the Region and account that are called.
    pub fn account_region(&self) -> AccountRegion {
        AccountRegion {
            account: Arc::clone(&self.account),
            source_region: self.source_region.clone(),
        }
    }

    /// Returns the labels of the route in metrics. They are empty for a route that no alias uses.
    pub fn labels(&self) -> metrics::RouteLabels {
        if !self.of_alias {
            return metrics::RouteLabels::default();
        }
        metrics::RouteLabels {
            model_id: self.model_id.clone(),
            source_region: self.source_region.clone(),
            account: metrics::AccountLabel::named(&self.account),
        }
    }

    /// Returns the time until which an identity is skipped on this route. `None` if it is not
    /// skipped.
    pub fn identity_skipped_until(&self, owner: Option<&str>, now: Instant) -> Option<Instant> {
        self.credentials
            .skipped_until(owner, now)
            .max(self.access.skipped_until(owner, now))
    }

    /// Returns the foundation model with which tokens of this route's calls are counted. `None` if
    /// the model is unknown, or if the route does not call a foundation model.
    pub fn foundation_model(&self) -> Option<String> {
        let id = model_id::profile_id(&self.model_id);
        match self.kind {
            ModelIdKind::OnDemand => Some(id.to_owned()),
            ModelIdKind::SystemInferenceProfile | ModelIdKind::ApplicationInferenceProfile => {
                let of_profile = self.profile().map(|profile| profile.model.clone());
                of_profile
                    .filter(|model| !model.is_empty())
                    .or_else(|| model_id::foundation_model(&self.model_id).map(str::to_owned))
            }
            ModelIdKind::ProvisionedThroughput
            | ModelIdKind::CustomModelDeployment
            | ModelIdKind::ImportedModel
            | ModelIdKind::Prompt
            | ModelIdKind::PromptRouter
            | ModelIdKind::SagemakerEndpoint => None,
        }
    }

    /// Returns the format of the model's bodies. `None` if the format is unknown.
    pub fn native_format(&self) -> Option<NativeFormat> {
        NativeFormat::of_model(&self.foundation_model()?)
    }

    /// Returns whether Bedrock has recently refused to count tokens for this route's model.
    pub fn refuses_to_count(&self, now: Instant) -> bool {
        let until = self.state.count_refused_until.read();
        until
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|until| now < until)
    }

    /// Records that Bedrock refuses to count tokens for this route's model. The gateway calls
    /// CountTokens again later, because models can gain support.
    pub fn refused_to_count(&self, now: Instant) {
        let mut until = self
            .state
            .count_refused_until
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *until = Some(now + COUNT_REFUSED_FOR);
    }

    /// Returns the number of open calls to Bedrock.
    pub fn open_calls(&self) -> usize {
        self.state.open.load(Relaxed)
    }

    /// Returns the inference profile, if the model ID is a profile that Bedrock has listed.
    pub fn profile(&self) -> Option<Arc<InferenceProfile>> {
        self.state
            .profile
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets the inference profile that Bedrock has listed for this route.
    pub fn learn(&self, profile: Arc<InferenceProfile>) {
        *self
            .state
            .profile
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(profile);
    }

    /// Sets a profile that serves the model in this Region, for hints to callers.
    pub fn suggest(&self, inference_profile: Option<String>) {
        *self
            .state
            .held_by
            .write()
            .unwrap_or_else(PoisonError::into_inner) = inference_profile;
    }

    /// Returns the profile to call if the model is not available on demand. It is a profile that
    /// Bedrock has listed, or else one with the usual name.
    pub fn inference_profile(&self) -> Option<String> {
        let known = self
            .state
            .held_by
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        known.or_else(|| {
            let geography = Geography::of_profiles_in(&self.source_region)?;
            let model = model_id::profile_id(&self.model_id);
            (self.kind == ModelIdKind::OnDemand).then(|| format!("{}.{model}", geography.name()))
        })
    }

    /// Returns the destination Regions, if they are known. Bedrock does not report which one serves
    /// a request.
    pub fn destination_regions(&self) -> Vec<String> {
        match self.profile() {
            Some(profile) if profile.anywhere => Vec::new(),
            Some(profile) => profile.destination_regions.clone(),
            None if self.is_served_where_it_is_called() => vec![self.source_region.clone()],
            None => Vec::new(),
        }
    }

    /// Returns which sampling parameters the model accepts. The model behind an application profile
    /// is known only after the profile has been looked up. Before that, the route is assumed to
    /// accept no sampling parameters.
    pub fn sampling(&self) -> Sampling {
        match self.profile() {
            Some(profile) if !profile.model.is_empty() => Sampling::of_model(&profile.model),
            _ if self.kind == ModelIdKind::ApplicationInferenceProfile => Sampling::Neither,
            _ => Sampling::of_model(&self.model_id),
        }
    }

    /// Returns whether requests may be served in any Region.
    pub fn is_served_anywhere(&self) -> bool {
        self.profile().is_some_and(|profile| profile.anywhere)
    }

    /// Returns on which side of a fence requests are processed. A request reaches its source Region
    /// first, so the source Region must also be inside the fence.
    pub fn side_of(&self, fence: &Fence) -> Side {
        if fence.is_unrestricted() {
            return Side::Inside;
        }
        match fence.side_of_region(&self.source_region) {
            Side::Inside => self.destinations_side_of(fence),
            side => side,
        }
    }

    fn destinations_side_of(&self, fence: &Fence) -> Side {
        if let Some(profile) = self.profile() {
            let inside = |region: &String| fence.side_of_region(region) == Side::Inside;
            return match profile.destination_regions.as_slice() {
                _ if profile.anywhere => fence.side_of_anywhere(),
                [] => Side::Unknown,
                regions if regions.iter().all(inside) => Side::Inside,
                _ => Side::Outside,
            };
        }
        if let Some(geography) = model_id::geography_of(&self.model_id) {
            return fence.side_of(geography);
        }
        if self.is_served_where_it_is_called() {
            return fence.side_of_region(&self.source_region);
        }
        Side::Unknown
    }

    /// Returns whether requests are served only in the source Region. Prompts and prompt routers
    /// can use inference profiles, so their destination Regions are unknown.
    fn is_served_where_it_is_called(&self) -> bool {
        match self.kind {
            ModelIdKind::OnDemand
            | ModelIdKind::ProvisionedThroughput
            | ModelIdKind::CustomModelDeployment
            | ModelIdKind::ImportedModel
            | ModelIdKind::SagemakerEndpoint => true,
            ModelIdKind::SystemInferenceProfile
            | ModelIdKind::ApplicationInferenceProfile
            | ModelIdKind::Prompt
            | ModelIdKind::PromptRouter => false,
        }
    }
}
