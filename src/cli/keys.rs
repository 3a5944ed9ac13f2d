//! `keys`: creates API keys for callers.

use std::{io, time::SystemTime};

use clap::{Args, Subcommand};

use super::{exit::Exit, output::Output};
use crate::{
    access::key::Secret,
    config::{ApiKey, is_caller_name},
};

/// Create API keys for callers
#[derive(Debug, Args)]
pub struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(New),
}

/// Create an API key and print it once, with the entry for the configuration or the keys file
#[derive(Debug, Args)]
#[command(after_help = "\
The key is printed on the first line. Only its SHA-256 is stored, so it cannot be shown again.

Examples:
  bedrock-grpc keys new --caller team-a
  bedrock-grpc keys new --caller team-a --not-after 2027-01-31

Rotation: add the new entry next to the old one, give the caller the new key, then remove the old entry.")]
struct New {
    /// Name of the caller, as in `callers` of the configuration
    #[arg(long, value_name = "NAME", value_parser = name)]
    caller: String,

    /// Expiry of the key: a date, which means the beginning of that day in UTC, or a time such as
    /// 2027-01-31T12:00:00Z [default: never]
    #[arg(long, value_name = "TIME", value_parser = not_after)]
    not_after: Option<String>,
}

impl Keys {
    /// Creates a key. Fails if standard output cannot be written.
    pub fn run(self, output: &mut Output) -> io::Result<Exit> {
        let Command::New(New { caller, not_after }) = self.command;
        let Ok(key) = Secret::generate() else {
            output.error("the operating system provided no random bytes");
            return Ok(Exit::Failed);
        };
        output.line(key.reveal())?;
        output.line("")?;
        output.line(&format!(
            "# for the keys file; in the config, the list belongs to callers.{caller}.keys"
        ))?;
        output.text(&entry(&caller, &key, not_after.as_deref()))?;
        Ok(Exit::Success)
    }
}

/// Returns the entry for the keys file, which contains the hash of the key.
fn entry(caller: &str, key: &Secret, not_after: Option<&str>) -> String {
    let hash: String = key
        .sha256()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let not_after = not_after.map_or_else(String::new, |time| format!("    not_after: {time}\n"));
    format!("{caller:?}:\n  - sha256: \"{hash}\"\n{not_after}")
}

fn name(text: &str) -> Result<String, String> {
    if is_caller_name(text) {
        return Ok(text.to_owned());
    }
    Err("use 1 to 128 letters, digits and . _ - / : @".to_owned())
}

fn not_after(text: &str) -> Result<String, String> {
    if ApiKey::read_time(text)? <= SystemTime::now() {
        return Err(
            "is in the past, so the key would never be valid; write a later time".to_owned(),
        );
    }
    Ok(text.to_owned())
}
