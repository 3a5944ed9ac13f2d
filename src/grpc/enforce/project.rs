//! Selects the project of a call: the operator's, or another one that a request names and the
//! operator allows.

use std::{borrow::Cow, sync::Arc};

use crate::{
    aws::{project::DEFAULT, without_accounts},
    config::{
        RequestPolicy,
        project::{Project, ProjectRoute},
    },
    error::{Failure, Reason, Violation},
    routing::{RouteCandidate, RouteProjects, Target},
    validate::Shown,
};

/// The project that a request names.
pub(in crate::grpc) struct NamedProject {
    /// The field of the request.
    pub(in crate::grpc) field: &'static str,
    pub(in crate::grpc) identifier: Option<String>,
}

impl NamedProject {
    /// Checks whether the operator allows the project, for a call to which Bedrock assigns none.
    ///
    /// # Errors
    /// Fails if the operator does not allow it.
    pub(in crate::grpc) fn check(&self, policy: &RequestPolicy) -> Result<RouteProjects, Failure> {
        self.chosen(policy).map(|_| RouteProjects::default())
    }

    /// Returns the projects with which the routes are called, and removes the routes that cannot be
    /// called with their project.
    ///
    /// # Errors
    /// Fails if the operator does not allow the project, or if no route is left.
    pub(in crate::grpc) fn select(
        &self,
        policy: &RequestPolicy,
        target: &Target,
        candidates: &mut Vec<RouteCandidate>,
    ) -> Result<RouteProjects, Failure> {
        match self.chosen(policy)? {
            Some(project) => self.of_routes(&project, target, candidates),
            None => Ok(RouteProjects::default()),
        }
    }

    /// Returns the project of the call. `None` for the default project.
    fn chosen<'p>(&self, policy: &'p RequestPolicy) -> Result<Option<Cow<'p, Project>>, Failure> {
        let ours = policy.project.as_ref();
        let Some(named) = self.identifier.as_deref() else {
            return Ok(ours.map(Cow::Borrowed));
        };
        let is_ours = match ours {
            Some(ours) => ours.identifiers().any(|ours| ours == named),
            None => named == DEFAULT,
        };
        if is_ours {
            return Ok(ours.map(Cow::Borrowed));
        }
        let allowed = policy.projects.as_ref();
        if allowed.is_some_and(|allowed| allowed.admit(named)) {
            return Ok(Some(Cow::Owned(Project::named(named))));
        }
        Err(self.refused(&format!(
            "this gateway does not allow the project {} here; remove the field, or ask the operator to add the project to `projects`",
            Shown(named)
        )))
    }

    fn of_routes(
        &self,
        project: &Project,
        target: &Target,
        candidates: &mut Vec<RouteCandidate>,
    ) -> Result<RouteProjects, Failure> {
        let mut named = Vec::new();
        let mut wrong = None;
        candidates.retain(|candidate| {
            let route = &candidate.route;
            let place = ProjectRoute {
                kind: route.kind,
                account: &route.account,
                account_id: candidate.account_id.as_deref(),
                region: &route.source_region,
            };
            let own = project
                .of_route(&place)
                .and_then(|own| self.admits(own, &place));
            match own {
                Ok(identifier) => {
                    named.extend(identifier.map(|it| (Arc::clone(route), Arc::from(it))));
                    true
                }
                Err(why) => {
                    wrong.get_or_insert(why);
                    false
                }
            }
        });
        match wrong {
            Some(why) if candidates.is_empty() && self.identifier.is_some() => {
                Err(self.refused(&format!("{why}; use another target or another project")))
            }
            Some(why) if candidates.is_empty() => Err(Failure::new(
                Reason::TargetNotAllowed,
                format!(
                    "target `{}`: {}; use another target, or ask the operator to change `project`",
                    target.name,
                    without_accounts(&why)
                ),
            )),
            _ => Ok(RouteProjects::of(named)),
        }
    }

    /// Returns the project of a route, unless the request names another one. A target has a project
    /// for each place, and a request that names one of them must not be billed to another.
    fn admits<'p>(
        &self,
        own: Option<&'p str>,
        place: &ProjectRoute<'_>,
    ) -> Result<Option<&'p str>, String> {
        match self.identifier.as_deref() {
            Some(named) if named != own.unwrap_or(DEFAULT) => Err(format!(
                "the project {} is not the one that is set for {}",
                Shown(named),
                place.region
            )),
            _ => Ok(own),
        }
    }

    fn refused(&self, why: &str) -> Failure {
        Failure::invalid_request(vec![Violation {
            field: self.field.to_owned(),
            description: why.to_owned(),
        }])
    }
}
