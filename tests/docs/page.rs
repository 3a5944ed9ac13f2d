//! A page of the documentation, and the cells of its tables.

use std::{collections::BTreeSet, fs, path::PathBuf};

/// The path of a file, from the root of the repository.
pub(crate) fn path(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    // The tests may belong to a package below the root of the workspace.
    let at_root = root.join("docs").is_dir();
    if at_root {
        root.join(name)
    } else {
        root.join("..").join(name)
    }
}

/// The text of a file, by its path from the root of the repository.
pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of all tables of a page, as trimmed cells. Heads and separators are rows, too.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'))
        .map(cells)
        .collect()
}

/// The cells of a row; an escaped `\|` does not separate cells.
fn cells(row: &str) -> Vec<String> {
    row.replace("\\|", "\u{0}")
        .split('|')
        .map(|cell| cell.trim().replace('\u{0}', "|"))
        .collect()
}

/// The parts of a text in backquotes.
pub(crate) fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Compares a page with its generated text. With `UPDATE_DOCS=1`, writes it instead.
pub(crate) fn assert_generated(name: &str, text: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(name), text).unwrap();
        return;
    }
    let page = fs::read_to_string(path(name)).unwrap_or_default();
    for (number, (found, expected)) in page.lines().zip(text.lines()).enumerate() {
        assert_eq!(
            found,
            expected,
            "{name}:{}: run `UPDATE_DOCS=1 cargo test --test docs`",
            number + 1
        );
    }
    assert!(
        page == text,
        "{name} has another length: run `UPDATE_DOCS=1 cargo test --test docs`"
    );
}
