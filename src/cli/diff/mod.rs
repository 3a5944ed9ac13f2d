//! `diff`: prints what a reload would change.

mod running;

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use self::running::Running;
use super::{check, exit::Exit, output::Output};
use crate::{
    access::key,
    config::{ChangedKey, ConfigFile, Shown, needs_restart, protection, restart_key, weakened},
};

/// Show what a reload of the configuration would change, and what needs a restart
#[derive(Debug, Args)]
#[command(
    override_usage = "bedrock-grpc diff [OPTIONS] OLD NEW\n       bedrock-grpc diff [OPTIONS] --admin URL NEW",
    after_help = "\
Each changed key has a line with its old and new value. Secrets are shown as ***. A value that needs a restart, and a change that
a reload refuses, are marked. Values files of the Helm chart are accepted as well: the configuration is the map under `config`.

With --admin, NEW is compared with the configuration that a gateway uses now. The admin port shows it to its own machine only, so
run the command there, or through `kubectl port-forward`. Secrets of the running gateway are masked and cannot be compared.

Examples:
  bedrock-grpc diff config.yaml config.new.yaml
  bedrock-grpc diff --admin http://127.0.0.1:9090 config.yaml

Exit codes of this command:
    0  no difference
    1  a difference that a reload accepts, or secrets that cannot be compared
    2  the command line is wrong
   64  a file is wrong, or a reload refuses the change
   69  the gateway cannot be reached, or does not show its configuration"
)]
pub struct Diff {
    /// Configuration files, YAML: the old and the new one, or only the new one with --admin
    #[arg(value_name = "FILE", required = true, num_args = 1..=2)]
    files: Vec<PathBuf>,

    /// Compare with a running gateway: the address of its admin port
    #[arg(long, value_name = "URL")]
    admin: Option<String>,

    /// Print an object instead of lines
    #[arg(long)]
    json: bool,
}

/// What the new configuration is compared with.
struct Old {
    shown: Shown,
    /// The keys that protect the gateway.
    protection: Vec<String>,
    /// The SHA-256 of the text, if it is the one of a running gateway.
    sha256: Option<String>,
}

/// The result of the comparison.
struct Difference {
    /// The keys that differ, and whether each needs a restart.
    changes: Vec<(ChangedKey, bool)>,
    /// What a reload would refuse: a key and the reason.
    refused: Vec<(String, &'static str)>,
    /// The keys whose masked values may differ.
    unknown: Vec<String>,
}

impl Diff {
    /// Compares and prints. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let (old, new) = match (self.files.as_slice(), &self.admin) {
            ([old, new], None) => (Ok(old), new),
            ([new], Some(url)) => (Err(url), new),
            _ => {
                output.error("name two files, or one file and --admin URL");
                return Ok(Exit::Usage);
            }
        };
        let difference = match old {
            Ok(old) => of_files(old, new),
            Err(url) => match running::fetch(url).await {
                Ok(running) => of_running(running, new),
                Err(message) => {
                    output.error(&message);
                    return Ok(Exit::Unavailable);
                }
            },
        };
        let difference = match difference {
            Ok(difference) => difference,
            Err(problems) => {
                output.error(&problems);
                return Ok(Exit::BadInput);
            }
        };
        if self.json {
            output.line(&difference.as_json().to_string())?;
        } else {
            output.text(&difference.as_text())?;
        }
        Ok(difference.exit())
    }
}

/// Compares two files.
fn of_files(old: &Path, new: &Path) -> Result<Difference, String> {
    let old_config = check::load(old)?;
    let new_config = check::load(new)?;
    let restart = needs_restart(&old_config, &new_config);
    let old = Old {
        shown: Shown::of_file(&read(old)?),
        protection: protection(&old_config),
        sha256: None,
    };
    let is_restart = |key: &str| restart_key(key).is_some_and(|key| restart.contains(&key));
    Ok(Difference {
        refused: weakened(&old.protection, &new_config),
        ..compare(&old, &read(new)?, is_restart)
    })
}

/// Compares a running gateway with a file.
fn of_running(running: Running, new: &Path) -> Result<Difference, String> {
    let new_config = check::load(new)?;
    let old = Old {
        shown: Shown::of_masked(&running.config),
        protection: running.protection,
        sha256: Some(running.sha256),
    };
    Ok(Difference {
        refused: weakened(&old.protection, &new_config),
        ..compare(&old, &read(new)?, |key| restart_key(key).is_some())
    })
}

fn read(file: &Path) -> Result<ConfigFile, String> {
    ConfigFile::read(file).map_err(|problems| problems.to_string())
}

fn compare(old: &Old, new: &ConfigFile, is_restart: impl Fn(&str) -> bool) -> Difference {
    let shown = Shown::of_file(new);
    let changes = old.shown.changes_to(&shown);
    let is_same_text = old.sha256.as_ref() == Some(&key::hex_sha256(&new.text));
    let unknown = match is_same_text {
        true => Vec::new(),
        false => old.shown.incomparable_with(&shown),
    };
    Difference {
        changes: changes
            .into_iter()
            .map(|change| {
                let restarts = is_restart(&change.key);
                (change, restarts)
            })
            .collect(),
        refused: Vec::new(),
        unknown: unknown.into_iter().map(str::to_owned).collect(),
    }
}

impl Difference {
    fn exit(&self) -> Exit {
        if !self.refused.is_empty() {
            Exit::BadInput
        } else if self.changes.is_empty() && self.unknown.is_empty() {
            Exit::Success
        } else {
            Exit::Failed
        }
    }

    fn as_text(&self) -> String {
        let mut text = String::new();
        let value =
            |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
        for (change, restarts) in &self.changes {
            let note = if *restarts { "  (needs a restart)" } else { "" };
            let (old, new) = (value(&change.old), value(&change.new));
            text.push_str(&format!("{}: {old} -> {new}{note}\n", change.key));
        }
        for key in &self.unknown {
            text.push_str(&format!("{key}: may differ; the gateway masks the value\n"));
        }
        for (key, lost) in &self.refused {
            text.push_str(&format!(
                "refused: {key}: {lost}; to allow that, set `allow_weaker: true` in the new file\n"
            ));
        }
        text
    }

    fn as_json(&self) -> serde_json::Value {
        let changes = self.changes.iter().map(|(change, restarts)| {
            json!({
                "key": change.key,
                "old": change.old,
                "new": change.new,
                "needs_restart": restarts,
            })
        });
        let refused = self.refused.iter();
        let refused = refused.map(|(key, lost)| json!({"key": key, "message": lost}));
        json!({
            "changes": changes.collect::<Vec<_>>(),
            "refused": refused.collect::<Vec<_>>(),
            "may_differ": self.unknown,
        })
    }
}
