//! `docs/limits.md` lists every limit of the configuration, with its default. It may list other
//! keys, too.

use std::collections::BTreeMap;

use super::{page, schema::keys};

#[test]
fn limits_are_those_of_the_configuration() {
    let text = page::read("docs/limits.md");
    let mut documented = BTreeMap::new();
    for row in page::rows(&text) {
        if let [key, default, ..] = row.as_slice()
            && let Some(key) = key.strip_prefix('`').and_then(|key| key.strip_suffix('`'))
        {
            let known = documented.insert(key.to_owned(), default.clone());
            assert_eq!(known, None, "docs/limits.md has two rows for {key}");
        }
    }
    for key in keys() {
        let is_limit = ["limits.", "drain."]
            .iter()
            .any(|section| key.path.starts_with(section));
        let Some(default) = documented.remove(&key.path) else {
            assert!(
                !is_limit || key.value == "section",
                "docs/limits.md has no row for {}",
                key.path
            );
            continue;
        };
        let expected = match key.default.as_str() {
            // A default that depends on the machine is described in words.
            "" if default.contains(' ') => continue,
            "" => "none",
            default => default,
        };
        assert_eq!(
            default, expected,
            "docs/limits.md has another default for {}",
            key.path
        );
    }
    assert!(
        documented.is_empty(),
        "docs/limits.md has keys that the configuration does not have: {documented:?}"
    );
}
