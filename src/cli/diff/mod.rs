//! `diff`: prints what a reload would change.

mod running;

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use self::running::{AdminPort, Running};
use super::{check, exit::Exit, output::Output};
use crate::{
    access::key,
    config::{
        ChangedKey, Config, ConfigFile, MaskedConfig, needs_restart, restart_key, weakened,
        weakened_keys, without_keys,
    },
};

/// Show what a reload of the configuration would change, and what needs a restart
#[derive(Debug, Args)]
#[command(
    override_usage = "bedrock-grpc diff [OPTIONS] OLD NEW\n       bedrock-grpc diff [OPTIONS] --admin URL NEW",
    after_help = "\
Each changed key has a line with its old and new value. Secrets are shown as ***. A value that needs a restart, and a change that \
a reload refuses, are marked. Values files of the Helm chart are accepted as well: the configuration is the map under `config`.

With --admin, NEW is compared with the configuration that a gateway uses now. The admin port shows it only to requests from the same machine, so \
run the command there, or through `kubectl port-forward`. Secrets of the running gateway are masked and cannot be compared.

Examples:
  bedrock-grpc diff config.yaml config.new.yaml
  bedrock-grpc diff --admin http://127.0.0.1:9090 config.yaml

Exit codes of this command:
    0  no difference
    1  a difference that a reload accepts, or secrets that cannot be compared
    2  the command line is wrong
   64  a file is wrong, or a reload refuses the change
   69  the gateway cannot be reached, or does not show its configuration
   74  standard output cannot be written"
)]
pub struct Diff {
    /// YAML configuration files: the old and the new one, or only the new one with --admin
    #[arg(value_name = "FILE", required = true, num_args = 1..=2)]
    files: Vec<PathBuf>,

    /// Compare with a running gateway, given the address of its admin port
    #[arg(long, value_name = "URL", value_parser = running::parse)]
    admin: Option<AdminPort>,

    /// Print an object instead of lines
    #[arg(long)]
    json: bool,
}

/// The old configuration, with which the new one is compared.
struct Old {
    shown: MaskedConfig,
    /// The SHA-256 of the configuration's text.
    sha256: String,
}

/// The result of the comparison.
struct Difference {
    /// The keys that differ, and whether each needs a restart.
    changes: Vec<(ChangedKey, bool)>,
    /// The reasons why a reload would be refused: a key, and what would be missing.
    refused: Vec<(String, String)>,
    /// The keys whose values cannot be compared, because they are masked.
    unknown: Vec<String>,
}

impl Diff {
    /// Compares the configurations and prints the result.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let (old, new) = match (self.files.as_slice(), &self.admin) {
            ([old, new], None) => (Ok(old), new),
            ([new], Some(admin)) => (Err(admin), new),
            _ => {
                output.error("name two files, or one file and --admin URL");
                return Ok(Exit::Usage);
            }
        };
        let difference = match old {
            Ok(old) => of_files(old, new),
            Err(admin) => match running::fetch(admin).await {
                Ok(running) => of_running(running, new),
                Err(message) => {
                    output.error(&message);
                    return Ok(Exit::Unavailable);
                }
            },
        };
        let difference = match output.checked(difference) {
            Ok(difference) => difference,
            Err(exit) => return Ok(exit),
        };
        let written = match self.json {
            true => output.line(&difference.as_json().to_string()),
            false => output.text(&difference.as_text()),
        };
        Ok(match written {
            Ok(()) => difference.exit(),
            // This is not an error: the program that reads the output has closed the pipe, as
            // `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => difference.exit(),
            // The usual exit code of this error is 1, which here would mean that a reload accepts
            // the change.
            Err(error) => {
                output.error(&format!("cannot write the answer: {error}"));
                Exit::Output
            }
        })
    }
}

/// Compares two configuration files.
fn of_files(old: &Path, new: &Path) -> Result<Difference, String> {
    let (old, new) = (check::read(old)?, check::read(new)?);
    let old_config = check::load(&old)?;
    let new_config = check::load(&new)?;
    let restart = needs_restart(&old_config, &new_config);
    let old = Old {
        shown: MaskedConfig::of_file(&old),
        sha256: key::hex_sha256(&old.text),
    };
    let is_restart = |key: &str| restart_key(key).is_some_and(|key| restart.contains(&key));
    let mut refused = weakened(&old_config, &new_config);
    let old_keys = check::keys_in_file(&old_config)?.unwrap_or_default();
    if old_keys.values().any(|keys| !keys.is_empty()) {
        refused.extend(lost_keys(&new_config)?);
    }
    Ok(Difference {
        refused,
        ..compare(&old, &new, is_restart)?
    })
}

/// Compares the configuration of a running gateway with a file.
fn of_running(running: Running, new: &Path) -> Result<Difference, String> {
    let new = check::read(new)?;
    let new_config = check::load(&new)?;
    let mut refused = weakened_keys(&running.protection, &new_config);
    if running.has_keys_in_file() {
        refused.extend(lost_keys(&new_config)?);
    }
    let old = Old {
        shown: MaskedConfig::of_masked(&running.config),
        sha256: running.sha256,
    };
    Ok(Difference {
        refused,
        ..compare(&old, &new, |key| restart_key(key).is_some())?
    })
}

/// Returns the key and a message if the new configuration has no keys file, or one without keys.
fn lost_keys(new: &Config) -> Result<Option<(String, String)>, String> {
    Ok(match (check::keys_in_file(new)?, &new.access.keys_file) {
        // The file is in the pod.
        (None, Some(_)) => None,
        (keys, _) => without_keys(new, &keys.unwrap_or_default()),
    })
}

/// Compares two configurations. Fails if a reload would refuse the new file because it is empty.
fn compare(
    old: &Old,
    new: &ConfigFile,
    is_restart: impl Fn(&str) -> bool,
) -> Result<Difference, String> {
    let is_same_text = old.sha256 == key::hex_sha256(&new.text);
    if new.is_empty() && !is_same_text {
        return Err(format!(
            "{}: the file is empty, and a reload refuses that; write the configuration",
            new.path.display()
        ));
    }
    let shown = MaskedConfig::of_file(new);
    let changes = old.shown.changes_to(&shown);
    let unknown = match is_same_text {
        true => Vec::new(),
        false => old.shown.incomparable_with(&shown),
    };
    Ok(Difference {
        changes: changes
            .into_iter()
            .map(|change| {
                let restarts = is_restart(&change.key);
                (change, restarts)
            })
            .collect(),
        refused: Vec::new(),
        unknown: unknown.into_iter().map(str::to_owned).collect(),
    })
}

/// Returns a text as one line. If it contains line breaks, control characters or characters that
/// change the direction of text, it is quoted and escaped.
fn one_line(text: &str) -> Cow<'_, str> {
    let disturbs = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    match text.contains(disturbs) {
        true => Cow::Owned(format!("{text:?}")),
        false => Cow::Borrowed(text),
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
        fn value(value: &Option<String>) -> Cow<'_, str> {
            value.as_deref().map_or("(not set)".into(), one_line)
        }
        let mut text = String::new();
        for (change, restarts) in &self.changes {
            let note = if *restarts { "  (needs a restart)" } else { "" };
            let (old, new) = (value(&change.old), value(&change.new));
            text.push_str(&format!(
                "{}: {old} -> {new}{note}\n",
                one_line(&change.key)
            ));
        }
        for key in &self.unknown {
            let key = one_line(key);
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
