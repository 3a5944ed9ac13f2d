//! Target names -> where to call, and how often to try.

pub mod attempts;
pub mod budget;
pub mod model_id;

use std::{borrow::Cow, sync::Arc};

use crate::{
    config::{Alias, Targets, nearest},
    error::{Failure, Reason},
};
use model_id::Kind;

/// Knows every target. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Router {
    targets: Arc<Targets>,
    default_region: Option<Arc<str>>,
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The target as the caller named it.
    pub name: String,
    /// The alias, if the caller named one.
    pub alias: Option<String>,
    /// What is sent to Bedrock as `modelId`.
    pub model_id: String,
    /// What that is.
    pub kind: Kind,
    /// The Region to call.
    pub source_region: String,
    /// `max_tokens` for requests that set none.
    pub default_max_tokens: Option<i32>,
}

impl Router {
    /// A router over these targets. `default_region` is the one that AWS's own settings name.
    pub fn new(targets: Targets, default_region: Option<&str>) -> Self {
        Self {
            targets: Arc::new(targets),
            default_region: default_region.map(Arc::from),
        }
    }

    /// Where a call of this target goes.
    ///
    /// # Errors
    /// The target is unknown, or may not be named by callers, or no Region is known for it.
    pub fn resolve(&self, target: &str) -> Result<Route, Failure> {
        if let Some((name, alias)) = self.targets.aliases.get_key_value(target) {
            return self.route(target, Some(name.clone()), alias);
        }
        let allowed = self.may_be_named(target);
        // No model ID looks like an alias today, so this is a slip of the pen; but an operator who allows it may know better.
        if !model_id::is_raw(target) && (!allowed || self.near(target).is_some()) {
            return Err(self.unknown(target));
        }
        if !allowed {
            return Err(Failure::new(
                Reason::TargetNotAllowed,
                format!(
                    "target `{target}`: callers of this gateway may not name this model ID or ARN; use one of its aliases, \
                     or ask its operator to add the ID to allowed_model_ids"
                ),
            ));
        }
        let raw = Alias {
            model_id: target.to_owned(),
            ..Alias::default()
        };
        self.route(target, None, &raw)
    }

    /// The aliases and what they lead to, by name.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &Alias)> {
        self.targets
            .aliases
            .iter()
            .map(|(name, alias)| (name.as_str(), alias))
    }

    /// Patterns of the model IDs and ARNs that callers may name.
    pub fn allowed_model_ids(&self) -> &[String] {
        &self.targets.allowed_model_ids
    }

    fn route(&self, name: &str, alias: Option<String>, to: &Alias) -> Result<Route, Failure> {
        // An ARN can be called in its own Region only.
        let region = model_id::region_of_arn(&to.model_id)
            .map(Cow::Borrowed)
            .or_else(|| to.region.as_deref().map(Cow::Borrowed))
            .or_else(|| self.default_region.as_deref().map(Cow::Borrowed))
            .ok_or_else(|| {
                Failure::new(
                    Reason::UpstreamCredentials,
                    format!("target `{name}`: no AWS Region is known; set AWS_REGION or bedrock.region at the gateway"),
                )
            })?;
        Ok(Route {
            name: name.to_owned(),
            alias,
            kind: Kind::of(&to.model_id),
            source_region: region.into_owned(),
            model_id: to.model_id.clone(),
            default_max_tokens: to.default_max_tokens,
        })
    }

    fn may_be_named(&self, model_id: &str) -> bool {
        self.targets
            .allowed_model_ids
            .iter()
            .any(|pattern| matches(pattern, model_id))
    }

    fn near(&self, target: &str) -> Option<&str> {
        nearest(target, self.targets.aliases.keys().map(String::as_str))
    }

    fn unknown(&self, target: &str) -> Failure {
        let hint = match self.near(target) {
            Some(name) => format!("did you mean `{name}`?"),
            None if self.targets.aliases.is_empty() => {
                "this gateway has no aliases; name a model ID, an inference profile or an ARN"
                    .to_owned()
            }
            None => {
                let some: Vec<_> = self.targets.aliases.keys().take(10).cloned().collect();
                format!("known targets: {}", some.join(", "))
            }
        };
        Failure::new(
            Reason::TargetUnknown,
            format!("target `{target}` is unknown; {hint}"),
        )
    }
}

/// Whether a text matches a pattern in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "us.anthropic.claude", true),
            ("us.*", "us.anthropic.claude", true),
            ("us.*", "eu.anthropic.claude", false),
            ("us.anthropic.claude", "us.anthropic.claude", true),
            ("us.anthropic.claude", "us.anthropic.claude-2", false),
            ("*claude*", "us.anthropic.claude-2", true),
            (
                "*:inference-profile/*",
                "arn:aws:bedrock:us-east-1:1:inference-profile/x",
                true,
            ),
            ("a*b*b", "abb", true),
            ("a*b*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
