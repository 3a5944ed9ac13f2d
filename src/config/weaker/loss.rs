//! Describes what a configuration without a protected setting lacks.

use super::{
    credential::is_credential,
    key::{Place, ProtectedKey},
    protection::{
        ACCOUNT, CALLER_PREFIX, CALLERS, CLIENT_AUTH, CLIENT_CA, FROM_HEADERS, GUARDRAIL, METADATA,
        ON_REVOKE, ONLY, PROJECT, REQUIRED, TAGS, TARGETS, TLS, UNLISTED, expiring_key, groups_of,
    },
};
use crate::config::Config;

/// How a setting loses its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// No other setting replaces it.
    Missing,
    /// It was moved, but calls follow another value from then on.
    Overridden,
}

/// Returns a message that says what the new configuration lacks without this setting of the old
/// one.
pub(super) fn describe(key: &ProtectedKey, loss: Loss, new: &Config) -> String {
    let (place, setting) = (&key.place, key.setting.as_str());
    if loss == Loss::Overridden {
        return format!(
            "another value would apply to calls of {place}: the value at the new place is weaker, or another one takes precedence over it; keep the setting here"
        );
    }
    let of_all = match setting {
        CALLERS => "no caller is left",
        TARGETS => "no target is left",
        REQUIRED => "calls without an identity would be allowed",
        ON_REVOKE => "open calls of revoked credentials would continue",
        TLS => "new connections would be plain text",
        CLIENT_CA => "client certificates would no longer be checked",
        CLIENT_AUTH => "client certificates would no longer be required",
        ONLY => "the region fence is missing",
        _ => "",
    };
    if *place == Place::All && !of_all.is_empty() {
        return of_all.to_owned();
    }
    let is_entry = |key: &str| setting.starts_with(key);
    let access = &new.access;
    match place {
        Place::Caller(name) if is_credential(setting) => {
            return format!(
                "this credential would still be accepted, without the restrictions of {name}"
            );
        }
        Place::Caller(_) if expiring_key(setting).is_some() => {
            return "this API key would never expire".to_owned();
        }
        Place::Caller(name) if !access.callers.contains_key(name) => {
            return "tokens of the removed caller would still be accepted, without this setting"
                .to_owned();
        }
        Place::Group(name) if !access.groups.contains_key(name) => {
            return "tokens may still name the removed group, and would lose its restrictions"
                .to_owned();
        }
        Place::Target(_) if setting == ACCOUNT => {
            return "the gateway's own identity would sign calls of the target".to_owned();
        }
        _ => {}
    }
    match setting {
        GUARDRAIL => format!("no guardrail would be enforced for {place}"),
        PROJECT => format!("this project would no longer apply to calls of {place}"),
        ONLY => "the target's region fence is missing".to_owned(),
        CALLER_PREFIX => {
            "callers with tokens of the issuer could have the names of other callers".to_owned()
        }
        _ if is_entry(FROM_HEADERS) => {
            "this pair is no longer added; callers could choose its value".to_owned()
        }
        _ if is_entry(METADATA) => {
            format!("this value is no longer set for {place}; callers could choose it")
        }
        _ if is_entry(TAGS) => format!("the sessions of {place} would lack this tag"),
        _ if is_entry(UNLISTED) => {
            "callers that are not configured would lose the restrictions of the group".to_owned()
        }
        _ => match groups_of(setting) {
            Some(groups) => {
                let groups: Vec<_> = groups.collect();
                let of = match groups.as_slice() {
                    [_] => "group",
                    _ => "groups",
                };
                let names = groups.join(" and ");
                format!("the caller would lose the restrictions of the {of} {names}")
            }
            None => format!("the restriction of {place} is missing"),
        },
    }
}
