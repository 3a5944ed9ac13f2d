//! Refuses a reload that would remove protection. A file that is half-written can be valid YAML,
//! and would be a valid configuration without callers.

use super::Config;

/// Returns the protection that a configuration has and the next one has not: a key, and what the
/// next one lacks. Empty if the next one allows that with `allow_weaker`.
pub fn weakened(old: &Config, new: &Config) -> Vec<(String, &'static str)> {
    let mut lost = Vec::new();
    if new.allow_weaker {
        return lost;
    }
    if !old.access.callers.is_empty() && new.access.callers.is_empty() {
        lost.push(("callers".to_owned(), "no caller is left"));
    }
    if old.access.required && !new.access.required {
        lost.push((
            "access.required".to_owned(),
            "calls without an identity would be allowed",
        ));
    }
    let clients = |config: &Config| {
        let tls = config.server.tls.as_ref();
        tls.and_then(|tls| tls.clients.as_ref().map(|clients| clients.required))
    };
    match (clients(old), clients(new)) {
        (Some(_), None) => lost.push((
            "tls.client_ca_file".to_owned(),
            "client certificates would no longer be checked",
        )),
        (Some(true), Some(false)) => lost.push((
            "tls.client_auth".to_owned(),
            "client certificates would no longer be required",
        )),
        _ => {}
    }
    if !old.targets.only.is_unrestricted() && new.targets.only.is_unrestricted() {
        lost.push(("only".to_owned(), "the region fence is missing"));
    }
    for (name, alias) in &old.targets.aliases {
        let next = new.targets.aliases.get(name);
        if !alias.only.is_unrestricted() && next.is_some_and(|next| next.only.is_unrestricted()) {
            lost.push((
                format!("targets.{name}.only"),
                "the target's region fence is missing",
            ));
        }
    }
    lost
}
