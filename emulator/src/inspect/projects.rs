//! Manages projects: GET lists them, PUT declares one, and DELETE removes one or all.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    super::projects::{Project, Projects},
    reply::{Problem, Reply, read},
};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    archived: bool,
    trusted_access: Vec<String>,
}

pub(super) fn answer(method: &Method, arn: &str, body: &[u8], projects: &Projects) -> Reply {
    match (method, arn) {
        (&Method::GET, "") => {}
        (&Method::DELETE, "") => projects.clear(),
        (&Method::DELETE, arn) => projects.remove(arn),
        (&Method::PUT, arn) if !arn.is_empty() => {
            let project: Project = arn.parse().map_err(Problem::Invalid)?;
            let change = match body {
                [] => Change::default(),
                body => read(body)?,
            };
            projects.set(Project {
                is_archived: change.archived,
                trusted_access: change.trusted_access,
                ..project
            });
        }
        _ => {
            return Err(Problem::Method(
                "Use GET /_emulator/projects to list the projects, and PUT or DELETE /_emulator/projects/ARN to declare or remove one.",
            ));
        }
    }
    let all = projects.list();
    let list = all.iter().map(|project| {
        json!({
            "arn": project.arn,
            "archived": project.is_archived,
            "trustedAccess": project.trusted_access,
        })
    });
    Ok(json!({ "projects": list.collect::<Vec<_>>() }))
}
