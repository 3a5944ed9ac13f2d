//! Stores the projects of Bedrock with which a call may be sent to its routes.

use std::sync::Arc;

use super::Route;

/// The project of each route of a call. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RouteProjects {
    /// The routes whose project is not the default project.
    named: Arc<[(Arc<Route>, Arc<str>)]>,
    /// Whether the body of the request already names the project.
    is_in_body: bool,
}

impl RouteProjects {
    /// Stores these projects. Routes that are not listed have the default project.
    pub fn of(named: Vec<(Arc<Route>, Arc<str>)>) -> Self {
        Self {
            named: named.into(),
            is_in_body: false,
        }
    }

    /// Returns the project of a route. `None` for the default project.
    pub fn get(&self, route: &Route) -> Option<&Arc<str>> {
        let mut named = self.named.iter();
        let found = named.find(|(known, _)| std::ptr::eq(known.as_ref(), route));
        found.map(|(_, identifier)| identifier)
    }

    /// Returns the project, if all of these routes have the same one and it is not the default
    /// project.
    pub fn common<'r>(&self, mut routes: impl Iterator<Item = &'r Arc<Route>>) -> Option<Arc<str>> {
        let first = self.get(routes.next()?)?;
        let is_common = routes.all(|route| self.get(route) == Some(first));
        is_common.then(|| Arc::clone(first))
    }

    /// Returns whether attempts add a project to the body, because it depends on the route.
    pub fn is_added_to_body(&self) -> bool {
        !self.is_in_body && !self.named.is_empty()
    }

    /// Returns the same projects, for a call whose body names the project that all routes have.
    #[must_use]
    pub fn in_body(self) -> Self {
        Self {
            is_in_body: true,
            ..self
        }
    }

    /// Returns the project that must be added to an attempt on a route. `None` for the default
    /// project, and if the body already names it.
    pub fn to_add(&self, route: &Route) -> Option<Arc<str>> {
        if self.is_in_body {
            return None;
        }
        self.get(route).cloned()
    }
}
