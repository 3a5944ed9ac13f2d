//! Finds out whether credentials of a removed caller would still be accepted.

use crate::config::Access;

/// The prefix of the key for a service account of a caller. The service account follows.
pub(super) const SERVICE_ACCOUNTS: &str = "service_accounts[";
/// The prefix of the key for a name in a caller's certificates. The name follows.
pub(super) const CERTIFICATES: &str = "certificates[";

/// The prefix of the names of Kubernetes service accounts in tokens. The namespace and the name
/// follow.
const IN_TOKENS: &str = "system:serviceaccount:";

/// Returns whether a setting is one of a caller's credentials.
pub(super) fn is_credential(setting: &str) -> bool {
    setting.starts_with(SERVICE_ACCOUNTS) || setting.starts_with(CERTIFICATES)
}

/// Returns whether the credential of a caller would identify another caller, although no other
/// caller lists it. If another caller lists exactly this credential, it was moved on purpose.
pub(super) fn falls_to_others(access: &Access, caller: &str, setting: &str) -> bool {
    let of = |prefix| setting.strip_prefix(prefix)?.strip_suffix(']');
    if let Some(account) = of(SERVICE_ACCOUNTS) {
        account_falls_to_others(access, caller, account)
    } else if let Some(name) = of(CERTIFICATES) {
        certificate_falls_to_others(access, caller, name)
    } else {
        false
    }
}

/// Returns whether tokens with the name of a caller that is not configured are accepted. API keys
/// end with their caller, but tokens do not.
pub(super) fn accepts_tokens_of(access: &Access, caller: &str) -> bool {
    match caller.strip_prefix(IN_TOKENS) {
        // Only tokens of the cluster can contain such a name.
        Some(account) => account_falls_to_others(access, caller, &account.replacen(':', "/", 1)),
        None => access
            .jwt
            .iter()
            .any(|issuer| issuer.unlisted.is_some() && caller.starts_with(&issuer.caller_prefix)),
    }
}

/// The order is that in which the gateway looks up a service account.
fn account_falls_to_others(access: &Access, caller: &str, account: &str) -> bool {
    let Some(cluster) = &access.kubernetes else {
        return false;
    };
    let listing = |pattern: &str| {
        let mut callers = access.callers.iter();
        callers.find(|(_, options)| options.service_accounts.iter().any(|own| own == pattern))
    };
    if listing(account).is_some() {
        return false;
    }
    let Some((namespace, name)) = account.split_once('/') else {
        return false;
    };
    if let Some((other, _)) = access
        .callers
        .get_key_value(&format!("{IN_TOKENS}{namespace}:{name}"))
    {
        return other != caller;
    }
    match listing(&format!("{namespace}/*")) {
        Some((other, _)) => other != caller,
        None => cluster.unlisted.is_some(),
    }
}

fn certificate_falls_to_others(access: &Access, caller: &str, name: &str) -> bool {
    let patterns = || {
        let callers = access.callers.iter();
        callers
            .flat_map(|(caller, options)| options.certificates.iter().map(move |own| (caller, own)))
    };
    if !access.has_client_ca || patterns().any(|(_, own)| own == name) {
        return false;
    }
    // The longest prefix applies.
    let matching = patterns().filter_map(|(caller, own)| {
        let prefix = own.strip_suffix('*')?;
        name.starts_with(prefix).then_some((prefix.len(), caller))
    });
    let longest = matching.max_by_key(|(length, _)| *length);
    longest.is_some_and(|(_, other)| other != caller)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, weakened};

    const ALL: &str = "targets: {a: {model_id: amazon.nova-lite-v1:0}}\n";
    const X: &str = "methods: [Invoke]";

    fn config(callers: &str, more: &str) -> Config {
        let text = format!("{ALL}{more}\ncallers: {{{callers}}}\n");
        Config::parse(&text, &|_| None).unwrap()
    }

    /// Returns the keys that are lost if only the callers change.
    fn lost(old: &str, new: &str, more: &str) -> Vec<String> {
        let lost = weakened(&config(old, more), &config(new, more));
        lost.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_removed_caller_does_not_return_as_unlisted() {
        let issuer = |more: &str| {
            format!(
                "groups: {{g: {{}}}}\naccess: {{jwt: [{{issuer: 'https://a.example', audiences: [b]{more}}}]}}"
            )
        };
        let unlisted = issuer(", unlisted: {groups: [g]}");
        let x = format!("x: {{{X}}}, y: {{}}");
        assert_eq!(lost(&x, "y: {}", &unlisted), ["callers.x.methods"]);
        assert_eq!(lost("x: {}, y: {}", "y: {}", &unlisted), [""; 0]);
        // These tokens would be refused, or cannot have the caller's name.
        assert_eq!(lost(&x, "y: {}", &issuer("")), [""; 0]);
        let other = issuer(", caller_prefix: 'z/', unlisted: {groups: [g]}");
        assert_eq!(lost(&x, "y: {}", &other), [""; 0]);
        let account = format!("'system:serviceaccount:b:c': {{{X}}}, y: {{}}");
        assert_eq!(lost(&account, "y: {}", &unlisted), [""; 0]);
        let cluster =
            "groups: {g: {}}\naccess: {kubernetes: {audience: z, unlisted: {groups: [g]}}}";
        assert_eq!(
            lost(&account, "y: {}", cluster),
            ["callers.system:serviceaccount:b:c.methods"]
        );
        let x = format!("x: {{service_accounts: [b/c], {X}}}, y: {{}}");
        assert_eq!(
            lost(&x, "y: {}", cluster),
            ["callers.x.service_accounts[b/c]"]
        );
    }

    #[test]
    fn a_credential_does_not_fall_to_the_pattern_of_another_caller() {
        let cluster = "access: {kubernetes: {audience: z}}";
        let tls = "tls: {certificate_file: a, key_file: b, client_ca_file: c}";
        for (more, key, one, other, pattern) in [
            (cluster, "service_accounts", "b/c", "d/e", "b/*"),
            (
                tls,
                "certificates",
                "spiffe://b/n/c",
                "spiffe://d/e",
                "spiffe://b/*",
            ),
            (
                tls,
                "certificates",
                "spiffe://b/n/*",
                "spiffe://d/e",
                "spiffe://b/*",
            ),
        ] {
            let with = |x: &str, y: &str| {
                let list = |own: &str| match own {
                    "" => String::new(),
                    own => format!("{key}: ['{}'], ", own.replace(' ', "', '")),
                };
                let x = match x {
                    "" => String::new(),
                    x => format!("x.z: {{{}{X}}}, ", list(x)),
                };
                format!("{x}y: {{{}}}", list(y))
            };
            let both = format!("{one} {other}");
            let expected = [format!("callers.x.z.{key}[{one}]")];
            let old = with(&both, pattern);
            assert_eq!(lost(&old, &with("", pattern), more), expected);
            assert_eq!(lost(&old, &with(other, pattern), more), expected);
            // No other caller has it, it moves on purpose, or it remains with the caller.
            assert_eq!(lost(&old, &with(one, pattern), more), [""; 0]);
            assert_eq!(lost(&old, &with("", ""), more), [""; 0]);
            let moved = with(other, &format!("{pattern} {one}"));
            assert_eq!(lost(&old, &moved, more), [""; 0]);
            let own = with(&format!("{pattern} {other}"), "");
            assert_eq!(lost(&with(&both, ""), &own, more), [""; 0]);
            let free = old.replace(X, "");
            assert_eq!(lost(&free, &with("", pattern), more), [""; 0]);
        }
    }

    #[test]
    fn tokens_may_name_a_removed_group() {
        let issuer = |more: &str| {
            format!(
                "{ALL}callers: {{x: {{}}}}\naccess: {{jwt: [{{issuer: 'https://a.example', audiences: [b]{more}}}]}}\n"
            )
        };
        let parse = |text: &str| Config::parse(text, &|_| None).unwrap();
        for (claim, count) in [(", groups_claim: groups", 1), ("", 0)] {
            let new = issuer(claim);
            let old = parse(&format!("{new}groups: {{g: {{{X}}}}}\n"));
            assert_eq!(weakened(&old, &parse(&new)).len(), count);
        }
    }
}
