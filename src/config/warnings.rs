//! Finds settings that are valid but have no effect or a surprising one.

use std::time::Duration;

use super::{
    Alias, Config, ConfigFile, LimitsStore, OnStoreFailure, Problem, RouteOptions, Targets,
    problem::ConfigLocation, yaml,
};
use crate::aws::{ModelIdKind, NativeFormat, Sampling, Side, model_id};

/// The maximum duration of a session if one role assumes another (role chaining).
const LONGEST_CHAINED_SESSION: Duration = Duration::from_secs(60 * 60);
/// The methods that only targets with `invoke_model` accept.
const NATIVE_METHODS: [&str; 2] = ["InvokeModel", "StreamInvokeModel"];

impl Config {
    /// Returns settings that are valid but have no effect, such as defaults that a model refuses,
    /// or a surprising one, with their positions in the file.
    pub fn warnings_in(&self, file: &ConfigFile) -> Vec<Problem> {
        let mut warnings = self.warnings();
        let tree = yaml::parse(&file.text).map(|tree| yaml::config_of_values(tree).0);
        if let Ok(tree) = tree {
            for warning in &mut warnings {
                warning.place = tree.place_of(&warning.key);
            }
        }
        warnings
    }

    /// Returns settings that are valid but have no effect, such as defaults that a model refuses,
    /// or a surprising one.
    pub fn warnings(&self) -> Vec<Problem> {
        let targets = &self.targets;
        let mut warnings = Vec::new();
        warnings.extend(long_sessions(self));
        warnings.extend(unused_accounts(self));
        warnings.extend(tags_without_accounts(self));
        warnings.extend(undivided_limits(self));
        warnings.extend(no_credentials(self));
        warnings.extend(useless_methods(self));
        warnings.extend(little_memory(self));
        for (name, alias) in &targets.aliases {
            warnings.extend(sampling(name, alias, targets));
            warnings.extend(default_region(name, alias, self));
            warnings.extend(unenforceable(name, alias, targets));
        }
        warnings
    }
}

/// Warns about a store that several replicas share if `limits.replicas`, by which `local` divides
/// limits, is not set.
fn undivided_limits(config: &Config) -> Option<Problem> {
    let LimitsStore::Redis(store) = &config.access.store else {
        return None;
    };
    let is_undivided = store.on_failure == OnStoreFailure::Local && store.replicas.is_none();
    is_undivided.then(|| {
        Problem::new(
            "limits.replicas".to_owned(),
            ConfigLocation::default(),
            "is not set, so each replica enforces the whole of each limit while the store does not answer (`on_store_failure: local`); set the number of replicas, or `on_store_failure: deny`",
        )
    })
}

/// Warns if callers are configured, but no caller can have a credential.
fn no_credentials(config: &Config) -> Option<Problem> {
    let access = &config.access;
    let has_other = access.keys_file.is_some()
        || !access.jwt.is_empty()
        || access.kubernetes.is_some()
        || access.has_client_ca;
    let has_key = access
        .callers
        .values()
        .any(|caller| !caller.keys.is_empty());
    let is_needless = access.callers.is_empty() || !access.required || has_other || has_key;
    (!is_needless).then(|| {
        Problem::new(
            "callers".to_owned(),
            ConfigLocation::default(),
            "no caller has a key, and no other kind of credential is configured, so every call is refused; create a key by `bedrock-grpc keys new --caller NAME`",
        )
    })
}

/// Warns about permissions for methods that no target accepts.
fn useless_methods(config: &Config) -> impl Iterator<Item = Problem> {
    let mut aliases = config.targets.aliases.values();
    let is_useless = !aliases.any(|alias| alias.invoke_model);
    let groups = config.access.groups.iter();
    let groups = groups.map(|(name, group)| (format!("groups.{name}"), &group.permission));
    let callers = config.access.callers.iter();
    let callers = callers.map(|(name, caller)| (format!("callers.{name}"), &caller.permission));
    let all = groups.chain(callers).filter(move |_| is_useless);
    all.filter_map(|(place, permission)| {
        let mut methods = permission.methods.iter().flatten();
        let method = methods.find(|method| NATIVE_METHODS.contains(method))?;
        Some(Problem::new(
            format!("{place}.methods"),
            ConfigLocation::default(),
            format!(
                "every call of {method} will be refused, because no target has `invoke_model: true`; set it for a target, or remove the method"
            ),
        ))
    })
}

/// Warns about a budget that is too small for the largest request.
fn little_memory(config: &Config) -> Option<Problem> {
    let limits = &config.limits;
    let memory = limits
        .memory
        .filter(|memory| *memory < limits.max_request_size)?;
    Some(Problem::new(
        "limits.memory".to_owned(),
        ConfigLocation::default(),
        format!(
            "requests of the maximum size ({} bytes) will be refused, because they need more memory than {memory} bytes; raise it, or lower limits.max_request_size",
            limits.max_request_size
        ),
    ))
}

/// Warns about session durations that STS refuses if the gateway's own identity is a role.
fn long_sessions(config: &Config) -> impl Iterator<Item = Problem> {
    let is_long = |duration: Duration| duration > LONGEST_CHAINED_SESSION;
    let long = config
        .accounts
        .iter()
        .filter(move |(_, account)| account.session_duration.is_some_and(is_long));
    long.map(|(name, _)| {
        Problem::new(
            format!("accounts.{name}.session_duration"),
            ConfigLocation::default(),
            "AWS grants at most 1h if the gateway's own identity is a role, as with IRSA, EKS Pod Identity, ECS and EC2 (role chaining); leave it out unless the gateway has access keys",
        )
    })
}

/// Warns about accounts that no target uses. If callers may use model IDs or ARNs directly, no
/// account counts as unused.
fn unused_accounts(config: &Config) -> impl Iterator<Item = Problem> {
    let targets = &config.targets;
    let routes = || targets.aliases.values().flat_map(|alias| &alias.routes);
    let is_unused = move |name: &&String| {
        let owns_arn = |model_id: &str| {
            model_id::account_of_arn(model_id)
                .is_some_and(|id| targets.account_names.get(id) == Some(*name))
        };
        targets.allowed_model_ids.is_empty()
            && !routes().any(|route| route.accounts.contains(name) || owns_arn(&route.model_id))
    };
    config.accounts.keys().filter(is_unused).map(|name| {
        Problem::new(
            format!("accounts.{name}"),
            ConfigLocation::default(),
            "no target names this account; set `account` or `accounts` in a route",
        )
    })
}

/// Warns about session tags of callers that have no effect, because no role is assumed.
fn tags_without_accounts(config: &Config) -> impl Iterator<Item = Problem> {
    let has_none = config.accounts.is_empty();
    let callers = config.access.callers.iter().filter(move |(_, caller)| {
        let session = &caller.session;
        has_none && session.role_arn.is_none() && !session.session_tags.is_empty()
    });
    callers.map(|(name, _)| {
        Problem::new(
            format!("callers.{name}.session_tags"),
            ConfigLocation::default(),
            "only sessions of roles have tags: name a role in `accounts`, or in `callers.<name>.role_arn`",
        )
    })
}

/// Warns about routes that are called in `bedrock.region` if this Region is outside a fence.
fn default_region(name: &str, alias: &Alias, config: &Config) -> Option<Problem> {
    let region = config.bedrock.region.as_deref()?;
    let takes_default = |route: &&RouteOptions| {
        route.regions.is_empty() && model_id::region_of_arn(&route.model_id).is_none()
    };
    let route = alias.routes.iter().find(takes_default)?;
    let mut fences = [&alias.only, &config.targets.only].into_iter();
    let fence = fences.find(|fence| fence.side_of_region(region) == Side::Outside)?;
    let message = format!(
        "{} is called in bedrock.region, {region}, outside of only: [{fence}], so calls never take this route; set its region",
        route.model_id
    );
    let key = format!("targets.{name}.routes");
    Some(Problem::new(key, ConfigLocation::default(), message))
}

/// Warns about defaults that the gateway does not send, because a model of the target would refuse
/// them.
fn sampling(name: &str, alias: &Alias, targets: &Targets) -> Option<Problem> {
    let defaults = &alias.defaults;
    let (model_id, accepted) = strictest(alias, targets)?;
    let (key, message) = match (accepted, defaults.temperature, defaults.top_p) {
        (Sampling::EitherOne, Some(_), Some(_)) => (
            "top_p",
            format!(
                "{model_id} refuses temperature and top_p in one request, so the gateway sends only temperature; remove one of the two"
            ),
        ),
        (Sampling::Neither, Some(_), _) => (
            "temperature",
            format!("{model_id} refuses it, so the gateway does not send it; remove it"),
        ),
        (Sampling::Neither, None, Some(_)) => (
            "top_p",
            format!("{model_id} refuses it, so the gateway does not send it; remove it"),
        ),
        _ => return None,
    };
    let key = format!("targets.{name}.defaults.{key}");
    Some(Problem::new(key, ConfigLocation::default(), message))
}

/// Returns the model with the most restrictions among those that a target may call. The same
/// request is sent to each of them, so these restrictions apply to all.
fn strictest<'a>(alias: &'a Alias, targets: &'a Targets) -> Option<(&'a str, Sampling)> {
    fallbacks(alias, targets)
        .flat_map(|alias| &alias.routes)
        .map(|route| (route.model_id.as_str(), Sampling::of_model(&route.model_id)))
        .max_by_key(|(_, sampling)| *sampling)
}

/// Warns about a target for `InvokeModel` that would refuse every call, because the maximum number
/// of output tokens cannot be enforced in the format of its models.
fn unenforceable(name: &str, alias: &Alias, targets: &Targets) -> Option<Problem> {
    if !alias.invoke_model {
        return None;
    }
    alias.policy.max_tokens.or(targets.policy.max_tokens)?;
    let mut format = None;
    let routes = fallbacks(alias, targets)
        .filter(|alias| alias.invoke_model)
        .flat_map(|alias| alias.routes.iter().map(move |route| (alias, route)));
    for (alias, route) in routes {
        let model_id = &route.model_id;
        // The model of an application inference profile is known only when the gateway runs.
        if ModelIdKind::of(model_id) == ModelIdKind::ApplicationInferenceProfile {
            return None;
        }
        let known = model_id::foundation_model(model_id).and_then(NativeFormat::of_model);
        let why = match known.or(alias.body_format) {
            None => format!(
                "the gateway does not know the format of {model_id}; set body_format if it is one of those that the gateway supports"
            ),
            Some(known) if *format.get_or_insert(known) != known => {
                "the models of its routes have different formats".to_owned()
            }
            Some(_) => continue,
        };
        return Some(Problem::new(
            format!("targets.{name}.invoke_model"),
            ConfigLocation::default(),
            format!(
                "every call will be refused: limits.max_tokens applies, and {why}; use models of one known format, or remove limits.max_tokens or invoke_model"
            ),
        ));
    }
    None
}

/// Returns an alias and its fallbacks.
fn fallbacks<'a>(alias: &'a Alias, targets: &'a Targets) -> impl Iterator<Item = &'a Alias> {
    std::iter::successors(Some(alias), |alias| {
        targets.aliases.get(alias.fallback.as_ref()?)
    })
}
