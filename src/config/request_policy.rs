//! `guardrail`, `limits.max_tokens`, `service_tiers`, `s3_locations`, `project` and `projects`: the
//! settings that the operator enforces on requests.
//!
//! The same keys can be set for all calls, for a target, for groups and for callers.
//! [`RequestPolicy::and`] combines two policies so that neither lifts a restriction of the other.

use super::{
    project::{self, Project, ProjectPatterns},
    s3::{S3Locations, S3Pattern},
    section::Section,
    targets::{Guardrail, guardrail},
    units,
};

/// The settings that the operator enforces on requests. Callers cannot override them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestPolicy {
    /// The guardrail of requests that name none. If it is [enforced](Guardrail::enforced), it also
    /// replaces the guardrail of other requests. `guardrail`, default: none.
    pub guardrail: Option<Guardrail>,
    /// The maximum number of output tokens that a request may ask for, which is also the default of
    /// requests that ask for none. `limits.max_tokens`, default: the model's maximum.
    pub max_tokens: Option<i32>,
    /// The service tiers that requests may ask for. The first one is preferred. `service_tiers`,
    /// default: all.
    pub service_tiers: Option<Vec<ServiceTier>>,
    /// The objects in Amazon S3 that requests may name. `s3_locations`, default: only those that
    /// another level allows.
    pub s3_locations: Option<S3Locations>,
    /// The project of calls. Requests can name another project only if `projects` allows it.
    /// `project`, default: the default project.
    pub project: Option<Project>,
    /// The projects that requests may name. `projects`, default: only those that another level
    /// allows.
    pub projects: Option<ProjectPatterns>,
}

/// A service tier of Bedrock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceTier {
    /// `default`: the tier of requests that name no tier.
    Default,
    /// `flex`: cheaper and slower.
    Flex,
    /// `priority`: faster and more expensive.
    Priority,
    /// `reserved`: reserved capacity.
    Reserved,
}

impl ServiceTier {
    const ALL: [(&'static str, Self); 4] = [
        ("default", Self::Default),
        ("flex", Self::Flex),
        ("priority", Self::Priority),
        ("reserved", Self::Reserved),
    ];

    /// Returns Bedrock's name of the tier.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Reserved => "reserved",
        }
    }
}

impl RequestPolicy {
    /// Returns the policy of a call to which both policies apply. `inner` is the more specific
    /// policy, such as that of a target.
    ///
    /// The lower of two maximums applies. Of two lists, the items that are in both apply. Of two
    /// guardrails, the inner one applies, unless only the outer one is enforced. Of two projects,
    /// the inner one applies.
    #[must_use]
    pub fn and(&self, inner: &Self) -> Self {
        let guardrail = match (&self.guardrail, &inner.guardrail) {
            (Some(outer), Some(inner)) if outer.enforced && !inner.enforced => Some(outer),
            (outer, inner) => inner.as_ref().or(outer.as_ref()),
        };
        let max_tokens = self.max_tokens.into_iter().chain(inner.max_tokens).min();
        let both = |outer: &Vec<ServiceTier>, inner: &Vec<ServiceTier>| {
            let both = inner.iter().filter(|tier| outer.contains(tier));
            both.copied().collect()
        };
        Self {
            guardrail: guardrail.cloned(),
            max_tokens,
            service_tiers: merge(&self.service_tiers, &inner.service_tiers, both),
            s3_locations: merge(&self.s3_locations, &inner.s3_locations, S3Locations::and),
            project: inner.project.as_ref().or(self.project.as_ref()).cloned(),
            projects: merge(&self.projects, &inner.projects, ProjectPatterns::and),
        }
    }

    /// Returns the policy of a caller that is in two groups. The groups are at the same level, so
    /// each adds to the lists of the other.
    ///
    /// The lower of two maximums applies. Of two lists, all items apply. Of two guardrails, the
    /// first one applies, unless only the other one is enforced.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let all = |one: &Vec<ServiceTier>, other: &Vec<ServiceTier>| {
            let further = other.iter().filter(|tier| !one.contains(tier));
            one.iter().chain(further).copied().collect()
        };
        Self {
            service_tiers: merge(&self.service_tiers, &other.service_tiers, all),
            s3_locations: merge(&self.s3_locations, &other.s3_locations, S3Locations::or),
            projects: merge(&self.projects, &other.projects, ProjectPatterns::or),
            ..other.and(self)
        }
    }

    /// Returns the guardrail that no caller can replace.
    pub fn enforced_guardrail(&self) -> Option<&Guardrail> {
        self.guardrail.as_ref().filter(|known| known.enforced)
    }
}

fn merge<T: Clone>(
    outer: &Option<T>,
    inner: &Option<T>,
    both: impl FnOnce(&T, &T) -> T,
) -> Option<T> {
    match (outer, inner) {
        (Some(outer), Some(inner)) => Some(both(outer, inner)),
        (only, None) | (None, only) => only.clone(),
    }
}

/// Reads the keys of a policy in this section, except for `limits.max_tokens`, which is in another
/// section: [`max_tokens`] reads it.
pub(super) fn read(section: &mut Section<'_>) -> RequestPolicy {
    let service_tiers = section.list("service_tiers", |text| {
        units::one_of(text, &ServiceTier::ALL)
    });
    if service_tiers.as_ref().is_some_and(Vec::is_empty) {
        section.report(
            "service_tiers",
            "with an empty list, no request could be sent; list at least one tier, or remove the key to allow all",
        );
    }
    RequestPolicy {
        guardrail: section.optional_section("guardrail").and_then(guardrail),
        max_tokens: None,
        service_tiers,
        s3_locations: section
            .list("s3_locations", S3Pattern::parse)
            .map(|patterns| patterns.into_iter().collect()),
        project: project::read(section),
        projects: project::read_patterns(section),
    }
}

/// Reads the maximum number of output tokens in a section `limits`.
pub(super) fn max_tokens(limits: &mut Section<'_>) -> Option<i32> {
    limits.value("max_tokens", |text| units::number(text, 1, i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guardrail(identifier: &str, enforced: bool) -> Option<Guardrail> {
        Some(Guardrail {
            identifier: identifier.to_owned(),
            version: "1".to_owned(),
            trace: None,
            stream_processing_mode: None,
            enforced,
        })
    }

    fn policy(guardrail: Option<Guardrail>) -> RequestPolicy {
        RequestPolicy {
            guardrail,
            ..RequestPolicy::default()
        }
    }

    #[test]
    fn an_enforced_guardrail_is_replaced_by_an_enforced_one_only() {
        for (outer, inner, expected) in [
            (guardrail("a", false), None, "a"),
            (None, guardrail("b", false), "b"),
            (guardrail("a", false), guardrail("b", false), "b"),
            (guardrail("a", true), guardrail("b", false), "a"),
            (guardrail("a", true), None, "a"),
            (guardrail("a", true), guardrail("b", true), "b"),
        ] {
            let both = policy(outer).and(&policy(inner));
            assert_eq!(both.guardrail.unwrap().identifier, expected);
        }
    }

    #[test]
    fn of_two_ceilings_the_lower_one_holds_and_of_two_lists_what_is_in_both() {
        let outer = RequestPolicy {
            max_tokens: Some(100),
            service_tiers: Some(vec![ServiceTier::Default, ServiceTier::Flex]),
            ..RequestPolicy::default()
        };
        let inner = RequestPolicy {
            max_tokens: Some(200),
            service_tiers: Some(vec![ServiceTier::Priority, ServiceTier::Flex]),
            ..RequestPolicy::default()
        };
        let both = outer.and(&inner);
        assert_eq!(both.max_tokens, Some(100));
        assert_eq!(both.service_tiers, Some(vec![ServiceTier::Flex]));
        assert_eq!(RequestPolicy::default().and(&inner), inner);
        assert_eq!(inner.and(&RequestPolicy::default()), inner);
    }
}
