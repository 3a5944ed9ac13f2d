//! Creates the JSON of the configuration in use, which the admin port shows.

use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    config::{Config, ConfigFile, Found, effective, masked, protection},
    grpc::Generation,
    server::{access, file_contents::FileContents},
};

/// Returns a configuration as JSON, with secrets masked: the file as it is written, and the
/// configuration with its defaults. `contents` are the files that it names. `restart` lists the
/// keys that have changed since the start and need a restart.
pub(in crate::server) fn shown_config(
    file: Option<&ConfigFile>,
    config: &Config,
    contents: &FileContents,
    generation: &Generation,
    restart: &[&str],
) -> String {
    let loaded_at = OffsetDateTime::from(generation.loaded_at).format(&Rfc3339);
    let keys = access::keys_of_file(&config.access, contents);
    let found = Found {
        region: generation.router.default_region(),
        keys: keys.as_ref(),
    };
    let shown = json!({
        "generation": generation.number,
        "sha256": generation.hash,
        "loaded_at": loaded_at.unwrap_or_default(),
        "needs_restart": restart,
        "protection": protection(config),
        "config": file.map(masked),
        "effective": effective(file, config, found),
    });
    format!("{shown:#}\n")
}
