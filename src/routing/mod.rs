//! Resolves the names of targets, and makes attempts on the routes of a target.
//!
//! | file | job |
//! |---|---|
//! | `registry` | stores the state of routes, which survives a reload |
//! | `target` | what an alias or model ID resolves to, with the operator's settings for it |
//! | `route` | one model ID in one source Region of one AWS account |
//! | [`identity_health`] | tracks which AWS identities fail |
//! | [`health`] | the breaker, the cooldown and the load of a route |
//! | `profiles` | the inference profiles that Bedrock's control plane has listed |
//! | `ends_of_life` | when models reach their end of life |
//! | `route_selection` | selects the route of a call's next attempt |
//! | [`attempts`] | makes the attempts of a call, until the first event arrives |
//! | [`retry_budget`] | limits the retries of all calls together |
//! | `projects` | the projects of Bedrock with which a call may be sent to its routes |
//! | `open_call` | counts the open calls of a route |
//! | `metrics` | reports the state of the routes as metrics |

pub mod attempts;
mod ends_of_life;
pub mod health;
pub mod identity_health;
mod metrics;
mod open_call;
mod profiles;
mod projects;
mod registry;
pub mod retry_budget;
mod route;
mod route_selection;
mod target;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

pub use metrics::RouteMetrics;
pub use open_call::OpenCall;
pub use projects::RouteProjects;
pub use route::{AccountRegion, Route, RouteKey};
pub use target::{RouteCandidate, Target};

use self::registry::Registry;
use crate::{
    aws::{Fence, ModelIdKind, model_id, pattern},
    bedrock::{FoundationModel, InferenceProfile},
    config::{
        Alias, RequestPolicy, RouteOptions, Targets, nearest,
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
    routes: Mutex<Routes>,
    /// The state of routes, which all configurations of the process share.
    registry: Arc<Registry>,
}

/// The routes of a configuration, each stored once.
#[derive(Debug)]
struct Routes {
    all: HashMap<RouteKey, Arc<Route>>,
    /// Direct targets, by name.
    raw: HashMap<String, Arc<Target>>,
    registry: Arc<Registry>,
}

impl Routes {
    /// Returns the route of a key. Creates the route if necessary. `of_alias` is true if the route
    /// is created for an alias. All aliases are added before callers can name other routes.
    fn get(&mut self, key: RouteKey, of_alias: bool) -> Arc<Route> {
        let Self { all, registry, .. } = self;
        let new = |key: &RouteKey| Arc::new(Route::new(key, registry.state(key), of_alias));
        Arc::clone(all.entry(key).or_insert_with_key(new))
    }
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
        let mut routes = Routes {
            all: HashMap::new(),
            raw: HashMap::new(),
            registry: Arc::clone(&registry),
        };
        let aliases = targets
            .aliases
            .iter()
            .map(|(name, alias)| {
                let target = of_alias(name, alias, &targets, default_region, &mut routes);
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
    fn open_calls(&self) -> usize {
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
            let Routes { all, raw, .. } = &mut *routes;
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

/// Returns the name of the gateway's own account, which is empty.
fn own_account() -> Arc<str> {
    Arc::default()
}

/// Returns the name of the account in an ARN. For other model IDs, returns the gateway's own
/// account.
fn owner(account_names: &BTreeMap<String, String>, model_id: &str) -> Arc<str> {
    let id = model_id::account_of_arn(model_id);
    let name = id.and_then(|id| account_names.get(id));
    name.map_or_else(own_account, |name| name.as_str().into())
}

/// Returns the ID of the AWS account of a route. `None` if it is not known.
fn account_id(account_ids: &BTreeMap<String, String>, route: &Route) -> Option<Arc<str>> {
    let of_name = account_ids.get(route.account.as_ref()).map(String::as_str);
    of_name
        .or_else(|| model_id::account_of_arn(&route.model_id))
        .map(Arc::from)
}

/// Returns the accounts of a route.
fn accounts(options: &RouteOptions, targets: &Targets) -> Vec<Arc<str>> {
    if options.accounts.is_empty() {
        return vec![owner(&targets.account_names, &options.model_id)];
    }
    let names = options.accounts.iter();
    names.map(|name| name.as_str().into()).collect()
}

/// Creates the target of an alias: its own routes, followed by those of its fallbacks.
fn of_alias(
    name: &str,
    alias: &Alias,
    targets: &Targets,
    default_region: Option<&str>,
    routes: &mut Routes,
) -> Result<Target, Failure> {
    let mut candidates = Vec::new();
    let mut fences = vec![targets.only.clone(), alias.only.clone()];
    let mut next = Some(alias);
    let mut seen = vec![name];
    while let Some(alias) = next {
        let before = candidates
            .iter()
            .map(|known: &RouteCandidate| known.order)
            .max();
        for options in &alias.routes {
            for region in regions(name, options, default_region)? {
                for account in accounts(options, targets) {
                    let key = RouteKey {
                        account,
                        model_id: options.model_id.clone(),
                        source_region: region.to_owned(),
                    };
                    let route = routes.get(key, true);
                    candidates.push(RouteCandidate {
                        account_id: account_id(&targets.account_ids, &route),
                        route,
                        order: before.unwrap_or_default() + options.order,
                        weight: options.weight,
                        invoke_model: alias.invoke_model,
                        fences: fences.clone(),
                    });
                }
            }
        }
        next = match &alias.fallback {
            Some(fallback) if !seen.contains(&fallback.as_str()) => {
                seen.push(fallback);
                targets.aliases.get(fallback)
            }
            _ => None,
        };
        fences.extend(next.map(|fallback| fallback.only.clone()));
    }
    candidates.sort_by_key(|candidate| candidate.order);
    for candidate in &mut candidates {
        candidate.fences.retain(|fence| !fence.is_unrestricted());
    }
    Ok(Target {
        name: name.to_owned(),
        is_alias: true,
        description: alias.description.clone(),
        candidates,
        fallback: alias.fallback.clone(),
        defaults: alias.defaults.clone(),
        policy: targets.policy.and(&alias.policy),
        limits: alias.limits,
        request_metadata: alias.request_metadata.clone(),
    })
}

/// Returns the source Regions of a route. An ARN can be called only in its own Region.
fn regions<'a>(
    name: &str,
    options: &'a RouteOptions,
    default_region: Option<&'a str>,
) -> Result<Vec<&'a str>, Failure> {
    if let Some(own) = model_id::region_of_arn(&options.model_id) {
        return Ok(vec![own]);
    }
    if !options.regions.is_empty() {
        return Ok(options.regions.iter().map(String::as_str).collect());
    }
    default_region
        .map(|region| vec![region])
        .ok_or_else(|| no_region(name))
}

fn no_region(name: &str) -> Failure {
    Failure::new(
        Reason::UpstreamCredentials,
        format!(
            "target `{name}`: the gateway has no source Region for it; the operator must set AWS_REGION or bedrock.region"
        ),
    )
}
