//! `TargetService`: what this gateway routes to.

use tonic::{Request, Response, Status};

use super::{
    context::CallContext,
    status,
    validate::{self, Violations},
};
use crate::{
    error::{Failure, Reason, Violation},
    pb::{
        self, GetTargetRequest, GetTargetResponse, ListTargetsRequest, ListTargetsResponse, Target,
        TargetKind, target_service_server::TargetService,
    },
    routing::{Route, Router, model_id::Kind},
};

const DEFAULT_PAGE_SIZE: usize = 100;
const MAX_PAGE_SIZE: i32 = 1_000;

/// What the service needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Knows the targets.
    pub router: Router,
}

impl Targets {
    fn target(&self, name: &str, description: &str) -> Result<Target, Failure> {
        let route = self.router.resolve(name)?;
        Ok(Target {
            name: name.to_owned(),
            description: description.to_owned(),
            routes: vec![pb_route(&route)],
        })
    }
}

#[tonic::async_trait]
impl TargetService for Targets {
    async fn list_targets(
        &self,
        request: Request<ListTargetsRequest>,
    ) -> Result<Response<ListTargetsResponse>, Status> {
        let request_id = request_id(&request);
        let request = request.into_inner();
        let page_size = page_size(request.page_size)
            .map_err(|failure| status::status(&failure, &[], &request_id))?;
        // The token is the last name of the page before: names are in order.
        let mut rest = self
            .router
            .aliases()
            .filter(|(name, _)| *name > request.page_token.as_str())
            .peekable();
        let mut targets = Vec::new();
        while targets.len() < page_size
            && let Some((name, alias)) = rest.next()
        {
            let target = self.target(name, &alias.description);
            targets.push(target.map_err(|failure| status::status(&failure, &[], &request_id))?);
        }
        let next_page_token = match (rest.peek(), targets.last()) {
            (Some(_), Some(last)) => last.name.clone(),
            _ => String::new(),
        };
        Ok(Response::new(ListTargetsResponse {
            targets,
            next_page_token,
            allowed_model_ids: self.router.allowed_model_ids().to_vec(),
        }))
    }

    async fn get_target(
        &self,
        request: Request<GetTargetRequest>,
    ) -> Result<Response<GetTargetResponse>, Status> {
        let request_id = request_id(&request);
        let name = request.into_inner().target;
        let description = self
            .router
            .aliases()
            .find(|(alias, _)| *alias == name)
            .map_or("", |(_, alias)| alias.description.as_str());
        let target = well_formed(&name).and_then(|()| self.target(&name, description));
        let target = target.map_err(|failure| {
            let named = pb::Attempt {
                model_id: name.clone(),
                ..pb::Attempt::default()
            };
            status::status(&failure, &[named], &request_id)
        })?;
        Ok(Response::new(GetTargetResponse {
            target: Some(target),
        }))
    }
}

fn request_id<T>(request: &Request<T>) -> String {
    request
        .extensions()
        .get::<CallContext>()
        .map_or_else(String::new, |context| {
            context.request_id.as_ref().to_owned()
        })
}

/// What can't be a target is told as in every other request.
fn well_formed(target: &str) -> Result<(), Failure> {
    let mut violations = Violations::new();
    validate::target(target, &mut violations);
    violations.finish().map_err(|violations| {
        let message = violations.first().map_or_else(String::new, |violation| {
            format!("{}: {}", violation.field, violation.description)
        });
        Failure {
            violations,
            ..Failure::new(Reason::InvalidRequest, message)
        }
    })
}

fn page_size(asked: i32) -> Result<usize, Failure> {
    match asked {
        0 => Ok(DEFAULT_PAGE_SIZE),
        1..=MAX_PAGE_SIZE => Ok(asked.unsigned_abs() as usize),
        _ => {
            let description =
                format!("{asked} is not from 1 to {MAX_PAGE_SIZE}, or 0 for the default");
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

fn pb_route(route: &Route) -> pb::Route {
    pb::Route {
        model_id: route.model_id.clone(),
        kind: kind(route.kind).into(),
        source_region: route.source_region.clone(),
        ..pb::Route::default()
    }
}

/// The API's word for a kind of model ID.
pub(super) const fn kind(kind: Kind) -> TargetKind {
    match kind {
        Kind::OnDemand => TargetKind::OnDemand,
        Kind::SystemInferenceProfile => TargetKind::SystemInferenceProfile,
        Kind::ApplicationInferenceProfile => TargetKind::ApplicationInferenceProfile,
        Kind::ProvisionedThroughput => TargetKind::ProvisionedThroughput,
        Kind::CustomModelDeployment => TargetKind::CustomModelDeployment,
        Kind::ImportedModel => TargetKind::ImportedModel,
        Kind::Prompt => TargetKind::Prompt,
        Kind::PromptRouter => TargetKind::PromptRouter,
        Kind::SagemakerEndpoint => TargetKind::SagemakerEndpoint,
    }
}
