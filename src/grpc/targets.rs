//! Implements `TargetService`, which describes the targets of this gateway.

use std::collections::BTreeSet;

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{Generation, Generations, context::CallContext, permission, status};
use crate::{
    access::Identity,
    aws::Side,
    error::{Failure, Reason, Violation},
    pb::{
        self, ConfigVersion, GetTargetRequest, GetTargetResponse, ListTargetsRequest,
        ListTargetsResponse, RouteHealth, Target, target_service_server::TargetService,
    },
    routing::{RouteCandidate, Router, health::Availability},
    stream::answer_origin,
    validate::{self, Violations},
};

const DEFAULT_PAGE_SIZE: usize = 100;
const MAX_PAGE_SIZE: i32 = 1_000;

/// The dependencies of the service. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    /// The configuration for calls without a context, as in tests of the service alone.
    pub(super) generations: Generations,
}

/// Returns a target as the caller may see it.
fn target(router: &Router, caller: Option<&Identity>, name: &str) -> Result<Target, Failure> {
    let target = permission::resolve(router, caller, name)?;
    let now = Instant::now();
    let fallback = target.fallback.as_deref();
    let fallback = fallback.filter(|name| permission::may_use(router, caller, name));
    Ok(Target {
        name: name.to_owned(),
        description: target.description.clone(),
        routes: target
            .candidates
            .iter()
            .map(|candidate| pb_route(router, candidate, now))
            .collect(),
        fallback: fallback.unwrap_or_default().to_owned(),
    })
}

#[tonic::async_trait]
impl TargetService for Targets {
    async fn list_targets(
        &self,
        request: Request<ListTargetsRequest>,
    ) -> Result<Response<ListTargetsResponse>, Status> {
        let context = self.context(&request);
        let (router, request_id) = (&context.generation.router, &context.request_id);
        let caller = context.caller.as_ref();
        let request = request.into_inner();
        let page_size = page_size(request.page_size)
            .map_err(|failure| status::status(&failure, &[], request_id))?;
        let mut names: BTreeSet<String> = router.aliases().map(str::to_owned).collect();
        if request.include_inference_profiles {
            names.extend(router.inference_profiles());
        }
        names.retain(|name| permission::may_use(router, caller, name));
        // Names are sorted, and the page token is the last name of the previous page.
        let mut rest = names
            .iter()
            .filter(|name| **name > request.page_token)
            .peekable();
        let mut targets = Vec::new();
        while targets.len() < page_size
            && let Some(name) = rest.next()
        {
            let target = target(router, caller, name);
            targets.push(target.map_err(|failure| status::status(&failure, &[], request_id))?);
        }
        let next_page_token = match (rest.peek(), targets.last()) {
            (Some(_), Some(last)) => last.name.clone(),
            _ => String::new(),
        };
        Ok(Response::new(ListTargetsResponse {
            targets,
            next_page_token,
            allowed_model_ids: permission::allowed_model_ids(router, caller),
            config: Some(version(&context.generation)),
        }))
    }

    async fn get_target(
        &self,
        request: Request<GetTargetRequest>,
    ) -> Result<Response<GetTargetResponse>, Status> {
        let context = self.context(&request);
        let request_id = &context.request_id;
        let name = request.into_inner().target;
        let mut violations = Violations::new();
        validate::target(&name, &mut violations);
        violations.finish().map_err(|violations| {
            status::status(&Failure::invalid_request(violations), &[], request_id)
        })?;
        let target = target(&context.generation.router, context.caller.as_ref(), &name).map_err(
            |failure| {
                let named = pb::Attempt {
                    model_id: name.clone(),
                    ..pb::Attempt::default()
                };
                status::status(&failure, &[named], request_id)
            },
        )?;
        Ok(Response::new(GetTargetResponse {
            target: Some(target),
            config: Some(version(&context.generation)),
        }))
    }
}

impl Targets {
    /// Returns the call's context.
    fn context<T>(&self, request: &Request<T>) -> CallContext {
        let context = request.extensions().get::<CallContext>();
        context.cloned().unwrap_or_else(|| {
            CallContext::read(&http::HeaderMap::new(), self.generations.current())
        })
    }
}

fn version(generation: &Generation) -> ConfigVersion {
    ConfigVersion {
        generation: i64::try_from(generation.number).unwrap_or(i64::MAX),
        sha256: generation.hash.clone(),
        loaded_at: Some(generation.loaded_at.into()),
    }
}

fn page_size(asked: i32) -> Result<usize, Failure> {
    match asked {
        0 => Ok(DEFAULT_PAGE_SIZE),
        1..=MAX_PAGE_SIZE => Ok(asked.unsigned_abs() as usize),
        _ => {
            let description =
                format!("must be from 1 to {MAX_PAGE_SIZE}, or 0 for the default, got {asked}");
            let mut failure =
                Failure::new(Reason::InvalidRequest, format!("page_size: {description}"));
            failure.violations.push(Violation {
                field: "page_size".to_owned(),
                description,
            });
            Err(failure)
        }
    }
}

fn pb_route(router: &Router, candidate: &RouteCandidate, now: Instant) -> pb::Route {
    let route = &candidate.route;
    let health = route.health.snapshot(now);
    let profile = route.profile();
    let availability = match health.availability {
        // The health is reported for calls that the account's shared identity signs.
        Availability::Available => route
            .identity_skipped_until(None, now)
            .map_or(Availability::Available, Availability::IdentityFailsUntil),
        availability => availability,
    };
    let unavailable_for = availability
        .until()
        .and_then(|until| prost_types::Duration::try_from(until - now).ok());
    pb::Route {
        model_id: route.model_id.clone(),
        kind: answer_origin::kind(route.kind).into(),
        source_region: route.source_region.clone(),
        destination_regions: route.destination_regions(),
        status: profile
            .as_ref()
            .map_or_else(String::new, |profile| profile.status.clone()),
        health: route_health(availability, health.tried).into(),
        order: i32::try_from(candidate.order).unwrap_or(i32::MAX),
        weight: i32::try_from(candidate.weight).unwrap_or(i32::MAX),
        open_calls: i32::try_from(health.open_calls).unwrap_or(i32::MAX),
        unavailable_for,
        model: profile.map_or_else(String::new, |profile| profile.model.clone()),
        served_anywhere: route.is_served_anywhere(),
        outside_fence: candidate.side() != Side::Inside,
        account: route.account.as_ref().to_owned(),
        end_of_life: router.end_of_life(route).map(Into::into),
    }
}

fn route_health(availability: Availability, tried: bool) -> RouteHealth {
    match availability {
        Availability::ThrottledUntil(_) => RouteHealth::Throttled,
        Availability::OpenUntil(_) | Availability::IdentityFailsUntil(_) => RouteHealth::Unhealthy,
        Availability::Available if tried => RouteHealth::Healthy,
        Availability::Available => RouteHealth::Unspecified,
    }
}
