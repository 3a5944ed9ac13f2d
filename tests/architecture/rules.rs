//! The rules: which module may use which, what stays in which module, and the length of a file.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// The maximum number of lines of a file, without its tests.
const MAX_LINES: usize = 500;

/// What each top-level module may use of the crate.
pub(crate) const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "server",
            "grpc",
            "stream",
            "validate",
            "translate",
            "routing",
            "bedrock",
            "access",
            "admin",
            "playground",
            "pb",
            "bounds",
            "telemetry",
            "config",
            "aws",
            "error",
        ],
    ),
    (
        "server",
        &[
            "grpc",
            "stream",
            "validate",
            "translate",
            "routing",
            "bedrock",
            "access",
            "admin",
            "playground",
            "bounds",
            "telemetry",
            "config",
            "aws",
            "error",
        ],
    ),
    (
        "grpc",
        &[
            "stream",
            "validate",
            "translate",
            "routing",
            "bedrock",
            "access",
            "pb",
            "bounds",
            "telemetry",
            "config",
            "aws",
            "error",
        ],
    ),
    (
        "stream",
        &[
            "translate",
            "routing",
            "bedrock",
            "access",
            "bounds",
            "pb",
            "telemetry",
            "config",
            "aws",
            "error",
        ],
    ),
    (
        "validate",
        &["translate", "bounds", "pb", "config", "aws", "error"],
    ),
    (
        "translate",
        &["pb", "bounds", "telemetry", "config", "aws", "error"],
    ),
    (
        "routing",
        &["bedrock", "telemetry", "config", "aws", "error"],
    ),
    ("bedrock", &["telemetry", "config", "aws", "error"]),
    ("access", &["telemetry", "config", "aws", "error"]),
    ("admin", &["bounds", "telemetry", "config", "aws", "error"]),
    ("playground", &["telemetry", "config", "aws", "error"]),
    ("bounds", &["telemetry", "config", "error"]),
    ("telemetry", &["config", "error"]),
    ("config", &["aws", "error"]),
    ("aws", &[]),
    ("error", &[]),
    ("pb", &[]),
];

/// Paths that are allowed only in some modules, with the reason.
const STAYS_IN: &[(&str, &[&str], &str)] = &[
    (
        "tonic::Status",
        &["grpc", "cli"],
        "use `error::Failure`: only grpc converts failures to statuses",
    ),
    (
        "tonic::Code",
        &["grpc", "cli"],
        "use `error::Reason`: only grpc converts reasons to codes",
    ),
    ("clap", &["cli"], "only cli parses the command line"),
    ("std::env", &["config"], "only config reads the environment"),
    (
        "opentelemetry",
        &["telemetry"],
        "only telemetry::trace creates spans",
    ),
    (
        "opentelemetry_sdk",
        &["telemetry"],
        "only telemetry::trace creates spans",
    ),
    ("aws_sigv4", &["bedrock"], "AWS types stay in bedrock"),
    (
        "aws_lc_rs",
        &["access", "bedrock"],
        "the crypto library is not part of the AWS SDK; use the hashes and random bytes of access",
    ),
    (
        "aws_credential_types",
        &["bedrock"],
        "AWS types stay in bedrock",
    ),
];

/// Returns all violations, one line for each.
pub(crate) fn faults(sources: &[Source]) -> Vec<String> {
    let mut faults: Vec<_> = sources.iter().flat_map(faults_of_file).collect();
    faults.extend(cycles(sources));
    faults
}

fn faults_of_file(source: &Source) -> Vec<String> {
    let mut faults = faults_of_text(source);
    for path in source.paths() {
        faults.extend(fault_of_path(source.module(), &path));
    }
    faults
        .into_iter()
        .map(|fault| format!("src/{}: {fault}", source.path))
        .collect()
}

/// Rules for every crate of the workspace.
pub(crate) fn faults_of_text(source: &Source) -> BTreeSet<String> {
    let mut faults = BTreeSet::new();
    if !source.text.starts_with("//!") {
        faults.insert("does not begin with a `//!` line that says what the file is for".to_owned());
    }
    if source.length() > MAX_LINES {
        faults.insert(format!(
            "has {} lines: split it, at most {MAX_LINES} are allowed",
            source.length()
        ));
    }
    let squeezed: String = source.code.split_whitespace().collect();
    let allows = ["#[allow(", "#![allow("]
        .iter()
        .any(|start| squeezed.contains(start))
        || squeezed.split("[cfg_attr(").skip(1).any(|rest| {
            rest.split(")]")
                .next()
                .is_some_and(|list| list.contains(",allow("))
        });
    if allows {
        faults.insert("uses `allow`: use `expect` with a reason".to_owned());
    }
    faults
}

fn fault_of_path(module: &str, path: &str) -> Option<String> {
    let names = |what: &str| {
        path == what
            || path.starts_with(&format!("{what}::"))
            || what
                .rsplit_once("::")
                .is_some_and(|(parent, _)| path == format!("{parent}::*"))
    };
    for (what, modules, reason) in STAYS_IN {
        if names(what) {
            return (!modules.contains(&module)).then(|| format!("uses `{path}`: {reason}"));
        }
    }
    if path.starts_with("aws_") && path.contains("::") && module != "bedrock" {
        return Some(format!("uses `{path}`: AWS types stay in bedrock"));
    }
    let used = used_module(path)?;
    if module == "lib" || used == module {
        return None;
    }
    match MAY_USE.iter().find(|(name, _)| *name == module) {
        None => Some(format!(
            "`{module}` is a new module: list in MAY_USE what it may use"
        )),
        Some((_, allowed)) if allowed.contains(&used) => None,
        Some(_) => Some(format!("uses `{path}`: {module} may not use {used}")),
    }
}

/// Returns the top-level module of a path into this crate. `None` for other paths.
fn used_module(path: &str) -> Option<&str> {
    let name = path.strip_prefix("crate::")?;
    name.split("::").next()
}

/// Returns a message about modules that depend on each other in a cycle, if there are any.
pub(crate) fn cycles(sources: &[Source]) -> Option<String> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.module() != "lib") {
        for path in source.paths() {
            if let Some(used) = used_module(&path).filter(|used| *used != source.module()) {
                let module = source.module().to_owned();
                uses.entry(module).or_default().insert(used.to_owned());
            }
        }
    }
    // A module that uses no remaining module cannot be in a cycle.
    loop {
        let before = uses.len();
        let left: BTreeSet<_> = uses.keys().cloned().collect();
        uses.retain(|_, used| {
            used.retain(|name| left.contains(name));
            !used.is_empty()
        });
        if uses.len() == before {
            break;
        }
    }
    (!uses.is_empty()).then(|| format!("modules use each other in a cycle: {uses:?}"))
}
