//! Resolves the names of targets: an alias of the configuration, or a model ID or ARN that callers
//! may name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::{
    alias_routes::{account_id, no_region, own_account, owner, target_of_alias},
    registry::Registry,
    route::{AccountRegion, Route, RouteKey},
    route_table::RouteTable,
    target::{RouteCandidate, Target},
};
use crate::{
    aws::{Fence, ModelIdKind, model_id, pattern},
    bedrock::{FoundationModel, InferenceProfile},
    config::{
        RequestPolicy, Targets, nearest,
        project::{Project, ProjectRoute},
    },
    error::{Failure, Reason},
};

/// The maximum number of direct targets that are cached. It is needed because callers choose their
/// names.
const MOST_RAW: usize = 1_024;

/// Resolves the targets of one configuration. Cheap to clone. All clones share the routes.
#[derive(Clone, Debug)]
pub struct Router(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The aliases. An alias whose source Region is unknown cannot be called: its value is the
    /// failure.
    aliases: BTreeMap<String, Result<Arc<Target>, Failure>>,
    allowed_model_ids: Vec<String>,
    only: Fence,
    policy: RequestPolicy,
    /// The configured names of the accounts, by their AWS account IDs.
    account_names: BTreeMap<String, String>,
    /// The AWS account IDs of the configured names.
    account_ids: BTreeMap<String, String>,
    /// The projects that the configuration names.
    projects: Vec<Project>,
    default_region: Option<String>,
    routes: Mutex<RouteTable>,
    /// The state of routes, which all configurations of the process share.
    registry: Arc<Registry>,
}

impl Router {
    /// Creates a router for these targets. `default_region` is from the settings of the AWS SDK.
    pub fn new(targets: Targets, default_region: Option<&str>) -> Self {
        Self::with(Arc::default(), targets, default_region)
    }

    /// Creates a router for the targets of another configuration. Routes that are in both
    /// configurations share their state.
    #[must_use]
    pub fn next(&self, targets: Targets) -> Self {
        let registry = Arc::clone(&self.0.registry);
        registry.prune();
        let next = Self::with(registry, targets, self.default_region());
        for route in next.routes() {
            next.0.registry.profiles.teach(&route);
        }
        next
    }

    fn with(registry: Arc<Registry>, targets: Targets, default_region: Option<&str>) -> Self {
        let mut routes = RouteTable::new(Arc::clone(&registry));
        let aliases = targets
            .aliases
            .iter()
            .map(|(name, alias)| {
                let target = target_of_alias(name, alias, &targets, default_region, &mut routes);
                (name.clone(), target.map(Arc::new))
            })
            .collect();
        let of_aliases = targets.aliases.values().map(|alias| &alias.policy);
        let policies = of_aliases.chain([&targets.policy]);
        let projects = policies.filter_map(|policy| policy.project.clone());
        let projects = projects
            .chain(targets.projects_of_callers.clone())
            .collect();
        Self(Arc::new(Inner {
            aliases,
            projects,
            allowed_model_ids: targets.allowed_model_ids,
            only: targets.only,
            policy: targets.policy,
            account_names: targets.account_names,
            account_ids: targets.account_ids,
            default_region: default_region.map(str::to_owned),
            routes: Mutex::new(routes),
            registry,
        }))
    }

    /// Resolves the `target` of a request.
    ///
    /// # Errors
    /// Fails if the target is unknown or not allowed, or if its source Region is not known.
    pub fn resolve(&self, target: &str) -> Result<Arc<Target>, Failure> {
        self.resolve_among(target, |_| true)
    }

    /// Resolves the `target` of a request, for a caller that may see only some aliases.
    ///
    /// # Errors
    /// Fails if the target is unknown or not allowed, or if its source Region is not known.
    pub fn resolve_among(
        &self,
        target: &str,
        is_visible: impl Fn(&str) -> bool,
    ) -> Result<Arc<Target>, Failure> {
        if let Some(known) = self.0.aliases.get(target) {
            return known.clone();
        }
        let allowed = self.may_be_named(target);
        // No known model ID looks like an alias, so the name is probably mistyped, unless the
        // operator allows it as a model ID.
        if !model_id::is_raw(target) && (!allowed || self.near(target, &is_visible).is_some()) {
            return Err(self.unknown_among(target, is_visible));
        }
        if !allowed {
            return Err(Failure::new(
                Reason::TargetNotAllowed,
                format!(
                    "target `{target}`: this gateway does not allow this model ID or ARN; use an alias, \
                     or ask the operator to add it to allowed_model_ids"
                ),
            ));
        }
        self.raw(target)
    }

    /// Returns the failure for an unknown target. Its hint uses only aliases that the caller may
    /// see.
    pub fn unknown_among(&self, target: &str, is_visible: impl Fn(&str) -> bool) -> Failure {
        let hint = match self.near(target, &is_visible) {
            Some(name) => format!("did you mean `{name}`?"),
            None if !self.aliases().any(is_visible) => {
                "this gateway has no aliases; use a model ID, an inference profile ID or an ARN"
                    .to_owned()
            }
            None => "TargetService.ListTargets lists the targets".to_owned(),
        };
        Failure::new(
            Reason::TargetUnknown,
            format!("target `{target}` is unknown; {hint}"),
        )
    }

    /// Returns whether a name is that of an alias.
    pub fn is_alias(&self, name: &str) -> bool {
        self.0.aliases.contains_key(name)
    }

    /// Returns the names of the aliases.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.0.aliases.keys().map(String::as_str)
    }

    /// Returns the inference profiles that callers can use in the gateway's Region: the IDs of
    /// system profiles, and the ARNs of application profiles.
    pub fn inference_profiles(&self) -> Vec<String> {
        let Some(place) = self.default_account_region() else {
            return Vec::new();
        };
        let profiles = self.0.registry.profiles.of(&place);
        let names = profiles.iter().map(|profile| {
            if profile.is_system_defined {
                profile.id.clone()
            } else {
                profile.arn.clone()
            }
        });
        names.filter(|name| self.may_be_named(name)).collect()
    }

    /// Returns the patterns of the model IDs and ARNs that callers can use.
    pub fn allowed_model_ids(&self) -> &[String] {
        &self.0.allowed_model_ids
    }

    /// Returns all routes, of aliases and of direct targets.
    pub fn routes(&self) -> Vec<Arc<Route>> {
        let routes = self.0.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.all.values().cloned().collect()
    }

    /// Returns the number of open calls to Bedrock, on routes of all configurations.
    pub(super) fn open_calls(&self) -> usize {
        self.0.registry.open_calls()
    }

    /// Stores the inference profiles that Bedrock's control plane has listed for a source Region of
    /// an account.
    pub fn learn(&self, place: &AccountRegion, profiles: Vec<InferenceProfile>) {
        self.0.registry.profiles.learn(place, profiles);
        for route in self.routes() {
            if route.account_region() == *place {
                self.0.registry.profiles.teach(&route);
            }
        }
    }

    /// Stores the foundation models that Bedrock's control plane has listed for a source Region.
    pub fn learn_models(&self, source_region: &str, models: Vec<FoundationModel>) {
        self.0.registry.ends_of_life.learn(source_region, models);
    }

    /// Returns when the model of a route reaches its end of life. `None` if AWS has not announced
    /// it, or if the model behind the route is unknown.
    pub fn end_of_life(&self, route: &Route) -> Option<SystemTime> {
        self.0.registry.ends_of_life.of(route)
    }

    /// Stores the system-defined profiles that a project can use. Routes get to know them, but
    /// callers of other projects cannot use them, so they are neither listed nor suggested.
    pub fn learn_of_project(&self, place: &AccountRegion, profiles: Vec<InferenceProfile>) {
        self.0.registry.profiles.learn_of_project(place, profiles);
        for route in self.routes() {
            if route.account_region() == *place {
                self.0.registry.profiles.teach(&route);
            }
        }
    }

    /// Returns the projects of the configuration that can be used in a place.
    pub fn projects(&self, place: &AccountRegion) -> BTreeSet<String> {
        let account_id = self.0.account_ids.get(place.account.as_ref());
        let of_profiles = ProjectRoute {
            kind: ModelIdKind::SystemInferenceProfile,
            account: &place.account,
            account_id: account_id.map(String::as_str),
            region: &place.source_region,
        };
        let projects = self.0.projects.iter();
        let identifiers = projects.filter_map(|project| project.of_route(&of_profiles).ok()?);
        identifiers.map(str::to_owned).collect()
    }

    /// Starts a lookup of the profiles of new routes.
    pub fn look_up_profiles(&self) {
        self.0.registry.unknown.notify_one();
    }

    /// Waits until there is a new route whose profile can be looked up, in this configuration or in
    /// a later one.
    pub fn unknown_route(&self) -> impl Future<Output = ()> + Send + use<> {
        let registry = Arc::clone(&self.0.registry);
        async move { registry.unknown.notified().await }
    }

    /// Returns the source Region of targets that do not name one.
    pub fn default_region(&self) -> Option<&str> {
        self.0.default_region.as_deref()
    }

    /// Returns the source Region of targets that do not name one, in the gateway's own account.
    pub fn default_account_region(&self) -> Option<AccountRegion> {
        self.default_region().map(|region| AccountRegion {
            account: own_account(),
            source_region: region.to_owned(),
        })
    }

    fn raw(&self, name: &str) -> Result<Arc<Target>, Failure> {
        let mut routes = self.0.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = routes.raw.get(name) {
            return Ok(Arc::clone(known));
        }
        let region = model_id::region_of_arn(name)
            .or(self.0.default_region.as_deref())
            .ok_or_else(|| no_region(name))?;
        if routes.raw.len() >= MOST_RAW {
            let RouteTable { all, raw, .. } = &mut *routes;
            raw.clear();
            // This keeps routes of aliases, and routes that open calls use.
            all.retain(|_, route| Arc::strong_count(route) > 1);
            self.0.registry.prune();
        }
        let key = RouteKey {
            account: owner(&self.0.account_names, name),
            model_id: name.to_owned(),
            source_region: region.to_owned(),
        };
        let route = routes.get(key, false);
        self.0.registry.profiles.teach(&route);
        if route.profile().is_none() {
            self.0.registry.unknown.notify_one();
        }
        let candidate = RouteCandidate {
            account_id: account_id(&self.0.account_ids, &route),
            route,
            order: 1,
            weight: 1,
            invoke_model: false,
            body_format: None,
            fences: vec![self.0.only.clone()],
        };
        let target = Arc::new(Target {
            name: name.to_owned(),
            candidates: vec![candidate],
            policy: self.0.policy.clone(),
            ..Target::default()
        });
        routes.raw.insert(name.to_owned(), Arc::clone(&target));
        Ok(target)
    }

    fn may_be_named(&self, model_id: &str) -> bool {
        self.0
            .allowed_model_ids
            .iter()
            .any(|pattern| pattern::matches(pattern, model_id))
    }

    fn near(&self, target: &str, is_visible: impl Fn(&str) -> bool) -> Option<&str> {
        nearest(target, self.aliases().filter(|alias| is_visible(alias)))
    }
}
