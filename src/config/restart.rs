//! The keys that need a restart. All others take effect with a reload.

use super::Config;

/// A key, and whether two configurations differ in it.
type Row = (&'static str, fn(&Config, &Config) -> bool);

/// Creates a row: a key, and the fields to compare.
macro_rules! row {
    ($key:literal, $($field:ident).+) => {
        ($key, |old, new| old.$($field).+ != new.$($field).+)
    };
}

/// The only table of the keys that need a restart. docs/reload.md lists them.
const NEED_RESTART: &[Row] = &[
    row!("listen", server.listen),
    row!("admin.listen", server.admin),
    row!("workers", server.workers),
    row!("playground", server.playground),
    row!("bedrock.region", bedrock.region),
    row!("limits.store", access.store),
    row!("log.format", log.format),
    row!("usage_records", usage_records),
    row!("traces.otlp_endpoint", traces.otlp_endpoint),
    row!("traces.headers", traces.headers),
    row!("traces.extra_ca_file", traces.extra_ca_file),
    row!("traces.service_name", traces.service_name),
    row!("traces.attributes", traces.attributes),
];

/// Keys that are not compared separately, because they are part of another key's value.
const PARTS: &[(&str, &str)] = &[
    ("limits.on_store_failure", "limits.store"),
    ("limits.replicas", "limits.store"),
];

/// Returns the key in the table to which `path`, the path of a [`super::ChangedKey`], belongs.
pub fn restart_key(path: &str) -> Option<&'static str> {
    let keys = NEED_RESTART.iter().map(|(key, _)| (*key, *key));
    let mut keys = keys.chain(PARTS.iter().copied());
    let found = keys.find(|(key, _)| {
        let rest = path.strip_prefix(key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    });
    found.map(|(_, owner)| owner)
}

/// Returns the keys in which two configurations differ and which need a restart. If a whole section
/// needs a restart, its keys are not listed separately.
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let differ = NEED_RESTART.iter().filter(|(_, differ)| differ(old, new));
    differ.map(|(key, _)| *key).collect()
}
