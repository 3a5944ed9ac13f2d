//! Checks the tables in the heads of modules: they list the files of the module, and no others.

use std::collections::BTreeSet;

use super::source::Source;

/// Returns a line for each file that the table of its module lacks, and for each name in a table
/// that is not a file. `sources` are the files to list, `all` are those that may be listed.
pub(crate) fn wrong_tables(sources: &[Source], all: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let rows = rows(&source.text);
        let first: BTreeSet<_> = rows
            .iter()
            .flat_map(|row| names(row.split('|').nth(1).unwrap_or_default()))
            .collect();
        if first.is_empty() {
            continue;
        }
        let listed: BTreeSet<_> = rows.iter().flat_map(|row| names(row)).collect();
        let exists = files_of(source, all);
        let path = &source.path;
        for name in first.difference(&exists) {
            wrong.push(format!(
                "{path}: the table lists `{name}`, which is not a file of it"
            ));
        }
        for name in files_of(source, sources).difference(&listed) {
            wrong.push(format!("{path}: the table does not list `{name}`"));
        }
    }
    wrong
}

/// Returns the rows of the tables in the head of a file.
fn rows(text: &str) -> Vec<&str> {
    text.lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .filter(|line| line.starts_with('|') && !line.starts_with("|-"))
        .collect()
}

/// Returns the names in backquotes that can be those of files.
fn names(row: &str) -> impl Iterator<Item = &str> {
    let quoted = row.split('`').skip(1).step_by(2);
    quoted.filter(|name| {
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    })
}

/// Returns the names of the files and folders directly in a module. A file that is not the root of
/// its folder has none.
fn files_of<'a>(module: &Source, sources: &'a [Source]) -> BTreeSet<&'a str> {
    let is_crate = module.path == "lib.rs";
    if !is_crate && !module.path.ends_with("/mod.rs") {
        return BTreeSet::new();
    }
    let parent = if is_crate {
        Vec::new()
    } else {
        module.module_path()
    };
    sources
        .iter()
        .map(Source::module_path)
        .filter(|path| path.len() == parent.len() + 1 && path.starts_with(&parent))
        .filter_map(|path| path.last().copied())
        .filter(|name| !["lib", "main"].contains(name))
        .collect()
}
