//! What the admin port shows of the configuration in use.

use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    config::{Config, ConfigFile, masked, protection},
    grpc::Generation,
};

/// Returns a configuration as JSON, with secrets masked. `restart` are the keys that have changed
/// since the start and need a restart.
pub(in crate::server) fn shown(
    file: Option<&ConfigFile>,
    config: &Config,
    generation: &Generation,
    restart: &[&str],
) -> String {
    let loaded_at = OffsetDateTime::from(generation.loaded_at).format(&Rfc3339);
    let shown = json!({
        "generation": generation.number,
        "sha256": generation.hash,
        "loaded_at": loaded_at.unwrap_or_default(),
        "needs_restart": restart,
        "protection": protection(config),
        "config": file.map(masked),
    });
    format!("{shown:#}\n")
}
