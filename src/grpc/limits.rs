//! Implements `LimitsService`: returns who the caller is, what it may call, and how much of its
//! limits is left.

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status};

use super::{Generations, context::CallContext, permission};
use crate::{
    access::{
        CredentialKind, Identity,
        limits::{Limit, LimitKind, Scope, ScopeKind, Scopes, Standing, UsageAccounting},
    },
    pb::{self, GetLimitsRequest, GetLimitsResponse, LimitScope, limits_service_server},
};

/// The dependencies of the service. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// The configuration for calls without a context, as in tests of the service alone.
    pub(super) generations: Generations,
}

#[tonic::async_trait]
impl limits_service_server::LimitsService for Limits {
    async fn get_limits(
        &self,
        request: Request<GetLimitsRequest>,
    ) -> Result<Response<GetLimitsResponse>, Status> {
        let context = request.extensions().get::<CallContext>();
        let generation = context.map_or_else(
            || self.generations.current(),
            |context| Arc::clone(&context.generation),
        );
        let router = &generation.router;
        let caller = context.and_then(|context| context.caller.clone());
        let caller = caller.as_ref();
        let mut targets: Vec<_> = router
            .aliases()
            .filter(|alias| permission::may_use(router, caller, alias))
            .map(str::to_owned)
            .collect();
        targets.sort_unstable();
        let (limits, counts_unavailable) = limits(&generation.accounts, caller, &targets).await;
        let methods = permission::methods(&generation.rules, caller);
        let groups = caller.map_or(&[][..], |caller| &caller.caller().groups);
        let name = |name: &Arc<str>| name.as_ref().to_owned();
        Ok(Response::new(GetLimitsResponse {
            caller: caller.map(|caller| name(caller.name())).unwrap_or_default(),
            groups: groups.iter().map(name).collect(),
            credential: credential(caller).into(),
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            allowed_model_ids: permission::allowed_model_ids(router, caller),
            targets,
            limits,
            counts_unavailable,
        }))
    }
}

/// Returns the limits of the caller and of these targets. The flag is true if the counts are not
/// available.
async fn limits(
    accounts: &UsageAccounting,
    caller: Option<&Identity>,
    targets: &[String],
) -> (Vec<pb::Limit>, bool) {
    let of_caller = accounts.scopes(caller, "").caller;
    let of_targets = targets
        .iter()
        .filter_map(|target| accounts.scopes(None, target).target);
    let of_caller = of_caller.iter().flat_map(|scopes| scopes.iter().cloned());
    let all: Arc<[Arc<Scope>]> = of_caller.chain(of_targets).collect();
    if all.is_empty() {
        return (Vec::new(), false);
    }
    let scopes = Scopes {
        caller: Some(Arc::clone(&all)),
        target: None,
    };
    let standings = accounts.limiter().standings(scopes).await;
    let each = all
        .iter()
        .flat_map(|scope| scope.limits.iter().map(move |limit| (scope, limit)));
    match standings {
        Ok(standings) => {
            let limits = each.zip(standings);
            let limits =
                limits.map(|((scope, limit), standing)| described(scope, limit, Some(standing)));
            (limits.collect(), false)
        }
        Err(_) => {
            let limits = each.map(|(scope, limit)| described(scope, limit, None));
            (limits.collect(), true)
        }
    }
}

fn described(scope: &Scope, limit: &Limit, standing: Option<Standing>) -> pb::Limit {
    let number = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    let refilled_in = standing.filter(|_| limit.kind != LimitKind::OpenStreams);
    let refilled_in = refilled_in.map(|standing| Duration::from_millis(standing.whole_in));
    let scope_kind = match scope.kind {
        ScopeKind::Caller => LimitScope::Caller,
        ScopeKind::Group => LimitScope::Group,
        ScopeKind::Target => LimitScope::Target,
    };
    pb::Limit {
        kind: limit.kind.as_str().to_owned(),
        scope: scope_kind.into(),
        name: scope.name.as_ref().to_owned(),
        limit: number(limit.most),
        remaining: standing.map(|standing| number(standing.left)),
        refilled_in: refilled_in.and_then(|time| prost_types::Duration::try_from(time).ok()),
    }
}

fn credential(caller: Option<&Identity>) -> pb::CredentialKind {
    match caller.map(Identity::credential) {
        None => pb::CredentialKind::Unspecified,
        Some(CredentialKind::ApiKey) => pb::CredentialKind::ApiKey,
        Some(CredentialKind::Token) => pb::CredentialKind::Token,
        Some(CredentialKind::ServiceAccount) => pb::CredentialKind::ServiceAccount,
        Some(CredentialKind::Certificate) => pb::CredentialKind::Certificate,
    }
}
