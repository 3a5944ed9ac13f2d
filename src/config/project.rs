//! `project` and `projects`: the project of calls, and the projects that requests may name.

use std::collections::BTreeMap;

use super::{section::Section, units};
use crate::aws::{ModelIdKind, pattern, project};

/// The project of calls: one for all of them, or one for each source Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    everywhere: Option<String>,
    /// The identifiers by `REGION` or `ACCOUNT/REGION`, where `ACCOUNT` is a name in `accounts`.
    by_place: BTreeMap<String, String>,
}

/// A route, as far as its project depends on it.
#[derive(Clone, Copy, Debug)]
pub struct ProjectRoute<'a> {
    /// The kind of the model ID.
    pub kind: ModelIdKind,
    /// The name of the account in the configuration. Empty for the account of the gateway's own
    /// identity.
    pub account: &'a str,
    /// The ID of the AWS account, if it is known.
    pub account_id: Option<&'a str>,
    /// The source Region. Empty if it is not known yet.
    pub region: &'a str,
}

impl Project {
    /// Returns the project with this identifier, for calls of all Regions. The project of an ARN
    /// can be used only in its Region and account.
    pub fn named(identifier: impl Into<String>) -> Self {
        Self {
            everywhere: Some(identifier.into()),
            by_place: BTreeMap::new(),
        }
    }

    /// Returns the identifiers of all places.
    pub fn identifiers(&self) -> impl Iterator<Item = &str> {
        let all = self.everywhere.iter().chain(self.by_place.values());
        all.map(String::as_str)
    }

    /// Returns whether the project depends on the Region of a call.
    pub fn is_by_place(&self) -> bool {
        self.everywhere.is_none()
    }

    /// Returns the accounts that are named in the keys of places.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        let keys = self.by_place.keys();
        keys.filter_map(|key| Some(key.split_once('/')?.0))
    }

    /// Returns the identifier for a route. `None` for the default project.
    ///
    /// # Errors
    /// Returns why the route cannot be called with the project.
    pub fn of_route(&self, route: &ProjectRoute<'_>) -> Result<Option<&str>, String> {
        let ProjectRoute {
            kind,
            account,
            account_id,
            region,
        } = *route;
        let of_place = || {
            let of_account = self.by_place.get(&format!("{account}/{region}"));
            of_account.or_else(|| self.by_place.get(region))
        };
        let identifier = self.everywhere.as_ref().or_else(of_place);
        let identifier = identifier.ok_or_else(|| format!("no project is set for {region}"))?;
        if identifier == project::DEFAULT {
            return Ok(None);
        }
        if let Some(what) = project::never_in_project(kind) {
            return Err(format!(
                "{what} cannot be called with the project `{identifier}`, only with the project `default`"
            ));
        }
        if let Some(other) = project::region(identifier)
            && !region.is_empty()
            && other != region
        {
            return Err(format!(
                "the project `{identifier}` is in {other}, not in {region}"
            ));
        }
        if let (Some(other), Some(own)) = (project::account(identifier), account_id)
            && other != own
        {
            // Callers see this text, so it does not contain the account's number.
            let of_account = match account {
                "" => "of the gateway's own identity".to_owned(),
                name => format!("`{name}`"),
            };
            return Err(format!(
                "the project `{identifier}` does not belong to the AWS account {of_account}"
            ));
        }
        Ok(Some(identifier))
    }
}

/// The projects that requests may name. A name must match a pattern of each list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectPatterns(Vec<Vec<String>>);

impl ProjectPatterns {
    /// Returns whether a request may name a project.
    pub fn admit(&self, identifier: &str) -> bool {
        let matches = |pattern: &String| pattern::matches(pattern, identifier);
        self.0.iter().all(|list| list.iter().any(matches))
    }

    /// Returns the projects that both `self` and `other` allow.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let further = other.0.iter().filter(|list| !self.0.contains(list));
        Self(self.0.iter().chain(further).cloned().collect())
    }

    /// Returns whether `outer` allows every project that `self` allows. Returns false if the
    /// patterns do not show that.
    pub(super) fn is_within(&self, outer: &Self) -> bool {
        let is_within = |inner: &Vec<String>, outer: &Vec<String>| {
            let covers = |inner| outer.iter().any(|outer| pattern::matches(outer, inner));
            inner.iter().all(|inner: &String| covers(inner))
        };
        let mut lists = outer.0.iter();
        lists.all(|outer| self.0.iter().any(|inner| is_within(inner, outer)))
    }

    /// Returns the projects that `self` or `other` allows.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let pairs = self
            .0
            .iter()
            .flat_map(|one| other.0.iter().map(move |two| (one, two)));
        let either = pairs.map(|(one, two)| one.iter().chain(two).cloned().collect());
        Self(either.collect())
    }
}

/// Reads `project`: an identifier, or a map with one for each place.
pub(super) fn read(section: &mut Section<'_>) -> Option<Project> {
    if !section.has_map("project") {
        return section.value("project", identifier).map(Project::named);
    }
    let by_place = section.map("project", place, identifier);
    if by_place.is_empty() {
        section.report(
            "project",
            "has no entry: list a project for each source Region, or remove the key",
        );
        return None;
    }
    for (place, identifier) in &by_place {
        let region = place.rsplit('/').next().unwrap_or_default();
        if let Some(other) = project::region(identifier).filter(|other| *other != region) {
            section.report(
                "project",
                format!("`{identifier}` is in {other}, but its key is `{place}`: use the project of {region}"),
            );
        }
    }
    Some(Project {
        everywhere: None,
        by_place,
    })
}

/// Reads `projects`.
pub(super) fn read_patterns(section: &mut Section<'_>) -> Option<ProjectPatterns> {
    let patterns = section.list("projects", |text| {
        let text = units::text(text)?;
        let named = text.replace('*', "x");
        // A `*` can replace a whole part of an ARN, including the account ID.
        let is_arn = named.starts_with("arn:") && pattern::check(&text).is_ok();
        if text == "*" || is_arn || project::is_identifier(&named) {
            Ok(text)
        } else {
            Err(format!(
                "`{text}` matches no project: use IDs or ARNs, in which * stands for any characters"
            ))
        }
    });
    patterns.map(|list| ProjectPatterns(vec![list]))
}

fn identifier(text: &str) -> Result<String, String> {
    let text = units::text(text)?;
    if project::is_identifier(&text) {
        Ok(text)
    } else {
        Err(format!(
            "`{text}` is not a project: use its ID, its ARN (arn:aws:bedrock:REGION:ACCOUNT:project/ID), or `default`"
        ))
    }
}

/// Reads `REGION` or `ACCOUNT/REGION`.
fn place(text: &str) -> Result<String, String> {
    let region = text.split_once('/').map_or(text, |(_, region)| region);
    let is_named = text
        .split_once('/')
        .is_none_or(|(account, _)| !account.is_empty());
    match units::region(region) {
        Ok(_) if is_named => Ok(text.to_owned()),
        _ => Err(format!(
            "`{text}` is not a place: use a source Region such as us-east-1, or ACCOUNT/REGION with an account of `accounts`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:bedrock:us-east-1:123456789012:project/a";

    fn route(
        kind: ModelIdKind,
        account: &'static str,
        region: &'static str,
    ) -> ProjectRoute<'static> {
        ProjectRoute {
            kind,
            account,
            account_id: (account == "research").then_some("111122223333"),
            region,
        }
    }

    #[test]
    fn a_route_has_the_project_of_its_account_and_region() {
        use ModelIdKind::{ApplicationInferenceProfile as Application, OnDemand};
        let by_place = Project {
            everywhere: None,
            by_place: [
                ("us-east-1", "a"),
                ("research/us-east-1", "r"),
                ("eu-west-1", "default"),
            ]
            .map(|(place, identifier)| (place.to_owned(), identifier.to_owned()))
            .into(),
        };
        for (project, kind, account, region, expected) in [
            (
                &Project::named("a"),
                OnDemand,
                "",
                "us-east-1",
                Ok(Some("a")),
            ),
            (
                &Project::named("default"),
                Application,
                "",
                "us-east-1",
                Ok(None),
            ),
            (
                &Project::named("a"),
                Application,
                "",
                "us-east-1",
                Err("application"),
            ),
            (
                &Project::named(ARN),
                OnDemand,
                "",
                "us-east-1",
                Ok(Some(ARN)),
            ),
            (
                &Project::named(ARN),
                OnDemand,
                "",
                "us-west-2",
                Err("is in us-east-1"),
            ),
            (
                &Project::named(ARN),
                OnDemand,
                "research",
                "us-east-1",
                Err("belong to the AWS account `research`"),
            ),
            (&by_place, OnDemand, "", "us-east-1", Ok(Some("a"))),
            (&by_place, OnDemand, "other", "us-east-1", Ok(Some("a"))),
            (&by_place, OnDemand, "research", "us-east-1", Ok(Some("r"))),
            (&by_place, Application, "", "eu-west-1", Ok(None)),
            (&by_place, OnDemand, "", "us-west-2", Err("for us-west-2")),
        ] {
            let found = project.of_route(&route(kind, account, region));
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(*found, expected),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                _ => panic!("{project:?} {region}: {found:?}"),
            }
        }
    }

    #[test]
    fn lists_of_projects_narrow_or_extend_each_other() {
        let list = |patterns: &[&str]| {
            ProjectPatterns(vec![patterns.iter().map(|&text| text.to_owned()).collect()])
        };
        let (teams, a) = (list(&["team-*"]), list(&["*-a", "other"]));
        for (name, both, either) in [
            ("team-a", true, true),
            ("team-b", false, true),
            ("other", false, true),
            ("none", false, false),
        ] {
            assert_eq!(teams.and(&a).admit(name), both, "{name}");
            assert_eq!(teams.or(&a).admit(name), either, "{name}");
            // Lists of two levels, in two groups.
            let levels = teams.and(&a);
            assert_eq!(levels.or(&a).admit(name), a.admit(name), "{name}");
        }
        assert!(!list(&[]).admit("team-a"));
        assert!(list(&["*"]).admit(ARN));
        assert!(!list(&["a"]).admit(ARN));
        assert!(list(&["arn:aws:bedrock:*:123456789012:project/a"]).admit(ARN));
    }
}
