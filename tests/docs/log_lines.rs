//! Every log line that the documentation quotes exists in the code.

use std::{fs, path::Path};

use super::{links::pages, page};

/// The words that introduce a quoted log line.
const LEADS: [&str; 4] = [
    "log line `",
    "log lines `",
    "Search the log for `",
    "the log says why in `",
];

/// The log lines that a page quotes, except for searches by a JSON field.
fn quoted(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for lead in LEADS {
        for (start, _) in text.match_indices(lead) {
            let mut rest = &text[start + lead.len()..];
            while let Some((line, after)) = rest.split_once('`') {
                found.push(line);
                match after.strip_prefix(" and `") {
                    Some(next) => rest = next,
                    None => break,
                }
            }
        }
    }
    found.retain(|line| !line.starts_with('"'));
    found
}

/// The source of the gateway, in one text.
fn source(folder: &Path, out: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source(&path, out);
        } else if path.extension().is_some_and(|it| it == "rs") {
            out.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn quoted_log_lines_exist() {
    let mut code = String::new();
    source(&page::path("src"), &mut code);
    let mut count = 0;
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for line in quoted(&text) {
            count += 1;
            let name = path.display();
            assert!(
                code.contains(line),
                "{name}: no log line has the text `{line}`"
            );
        }
    }
    assert!(
        count >= 8,
        "only {count} log lines are quoted; do the leads still match?"
    );
}
