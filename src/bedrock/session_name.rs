//! Builds the names of callers' sessions.

use std::fmt::Write as _;

use aws_lc_rs::digest;

use crate::aws::role::{MOST_NAME_CHARS, is_allowed_in_names, is_session_name};

/// The number of hexadecimal digits that distinguish names which are equal after their conversion.
const HASH_DIGITS: usize = 12;

/// Returns the name of a caller's session. If AWS does not allow the caller's name, disallowed
/// characters are replaced and a hash of the whole name is added. So different callers have
/// different sessions.
pub(super) fn of(caller: &str) -> String {
    if is_session_name(caller) {
        return caller.to_owned();
    }
    let mut name: String = caller
        .chars()
        .map(|c| if is_allowed_in_names(c) { c } else { '-' })
        .take(MOST_NAME_CHARS - 1 - HASH_DIGITS)
        .collect();
    name.push('-');
    let hash = digest::digest(&digest::SHA256, caller.as_bytes());
    for byte in hash.as_ref().iter().take(HASH_DIGITS / 2) {
        // Writing to a string does not fail.
        let _infallible = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_aws_allows_stay_as_they_are() {
        for name in ["search", "alice@example.com", "a.b_c=d,e+f-g"] {
            assert_eq!(of(name), name);
        }
        let name = of("system:serviceaccount:team-a:web");
        assert!(
            name.starts_with("system-serviceaccount-team-a-web-"),
            "{name}"
        );
    }

    #[test]
    fn names_that_look_equal_have_separate_sessions() {
        let names = ["a:b", "a/b", "a-b", "a b", "spiffe://a", "spiffe:..a", "x"];
        let sessions: HashSet<_> = names.iter().map(|name| of(name)).collect();
        assert_eq!(sessions.len(), names.len());
    }

    proptest! {
        #[test]
        fn every_name_becomes_one_that_aws_allows(name in ".{0,200}") {
            let session = of(&name);
            prop_assert!(is_session_name(&session), "{}", session);
        }
    }
}
