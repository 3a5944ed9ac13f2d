//! Resolves the names of targets, and makes attempts on the routes of a target.
//!
//! | file | job |
//! |---|---|
//! | `router` | resolves the name of a target: an alias, a model ID or an ARN |
//! | `alias_routes` | resolves an alias to its routes, including those of its fallbacks |
//! | `route_table` | stores the routes of one configuration |
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

mod alias_routes;
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
mod route_table;
mod router;
mod target;

pub use metrics::RouteMetrics;
pub use open_call::OpenCall;
pub use projects::RouteProjects;
pub use route::{AccountRegion, Route, RouteKey};
pub use router::Router;
pub use target::{RouteCandidate, Target};
