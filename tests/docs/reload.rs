//! `docs/reload.md` lists the keys that need a restart. They are those for which the chart replaces
//! pods; `tests/config_schema.rs` compares the chart's keys with the code.

use super::{page, schema::keys};

#[test]
fn the_keys_that_need_a_restart_are_those_of_the_chart() {
    let chart: Vec<String> =
        serde_json::from_str(&page::read("helm/bedrock-grpc/files/restart-keys.json")).unwrap();
    let text = page::read("docs/reload.md");
    let (_, section) = text.split_once("## What needs a restart").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let (mut listed, mut excepted) = (Vec::new(), Vec::new());
    for row in page::rows(section) {
        let (keys, others) = row[0].split_once("except").unwrap_or((&row[0], ""));
        listed.extend(page::quoted(keys).into_iter().map(str::to_owned));
        excepted.extend(page::quoted(others).into_iter().map(str::to_owned));
    }
    assert!(listed.len() > 10, "{listed:?}");
    let all: Vec<_> = keys().into_iter().map(|key| key.path).collect();
    for key in listed.iter().chain(&excepted) {
        assert!(all.contains(key), "there is no key {key}");
    }
    for key in &all {
        // A section has keys of both kinds.
        if all
            .iter()
            .any(|other| other.starts_with(&format!("{key}.")))
        {
            continue;
        }
        assert_eq!(
            is_within(key, &listed) && !is_within(key, &excepted),
            is_within(key, &chart),
            "{key}"
        );
    }
}

/// Returns whether a key is one of these, or below one.
fn is_within(key: &str, sections: &[String]) -> bool {
    sections
        .iter()
        .any(|section| key == section || key.starts_with(&format!("{section}.")))
}
