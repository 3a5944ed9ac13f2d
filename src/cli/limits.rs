//! `limits`: prints as which caller a gateway identifies the user, what this caller may call, and
//! what is left of its limits.

use std::{io, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::{connect::Connect, exit::Exit, output::Output};
use crate::pb::{CredentialKind, GetLimitsResponse, Limit, LimitScope};

/// The default deadline.
const DEADLINE: Duration = Duration::from_secs(10);
const NANO_PER_USD: i64 = 1_000_000_000;
const HEAD: [&str; 5] = ["LIMIT", "OF", "MAXIMUM", "REMAINING", "REFILLED IN"];

/// Show your caller name, what you may call, and what is left of your
/// limits
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bedrock-grpc limits --key-file key.txt
  BEDROCK_GRPC_KEY=... bedrock-grpc limits --json

The call does not count against any limit. Money is in US dollars; with --json, it is in 1e-9 US dollars.")]
pub struct Limits {
    /// Print an object with the field names of the API
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connect: Connect,
}

impl Limits {
    /// Makes the call and prints the answer. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let gateway = match output.checked(self.connect.gateway(Some(DEADLINE))) {
            Ok(gateway) => gateway,
            Err(exit) => return Ok(exit),
        };
        let answer = match gateway.get_limits().await {
            Ok(answer) => answer,
            Err(failure) => {
                failure.print(output);
                return Ok(failure.exit());
            }
        };
        if self.json {
            output.line(&as_json(&answer).to_string())?;
        } else {
            output.text(&as_text(&answer))?;
        }
        if answer.counts_unavailable {
            output.warning(
                "the gateway's store of limits does not answer, so the remaining amounts are not known",
            );
        }
        Ok(Exit::Success)
    }
}

fn as_json(answer: &GetLimitsResponse) -> Value {
    let limits: Vec<_> = answer.limits.iter().map(limit_as_json).collect();
    json!({
        "caller": answer.caller,
        "groups": answer.groups,
        "credential": answer.credential().as_str_name().trim_start_matches("CREDENTIAL_KIND_"),
        "methods": answer.methods,
        "targets": answer.targets,
        "allowed_model_ids": answer.allowed_model_ids,
        "limits": limits,
        "counts_unavailable": answer.counts_unavailable,
    })
}

fn limit_as_json(limit: &Limit) -> Value {
    json!({
        "kind": limit.kind,
        "scope": limit.scope().as_str_name().trim_start_matches("LIMIT_SCOPE_"),
        "name": limit.name,
        "limit": limit.limit,
        "remaining": limit.remaining,
        "refilled_in_ms": refilled_in(limit).map(|time| time.as_millis() as u64),
    })
}

fn as_text(answer: &GetLimitsResponse) -> String {
    let credential = match answer.credential() {
        CredentialKind::Unspecified => "no credential",
        CredentialKind::ApiKey => "API key",
        CredentialKind::Token => "token",
        CredentialKind::ServiceAccount => "Kubernetes service account",
        CredentialKind::Certificate => "client certificate",
    };
    let caller = match answer.caller.as_str() {
        "" => "not identified".to_owned(),
        name => format!("{name} ({credential})"),
    };
    let mut text = format!("caller     {caller}\n");
    for (title, names) in [
        ("groups   ", &answer.groups),
        ("methods  ", &answer.methods),
        ("targets  ", &answer.targets),
        ("model IDs", &answer.allowed_model_ids),
    ] {
        let names = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        text.push_str(&format!("{title}  {names}\n"));
    }
    if answer.limits.is_empty() {
        text.push_str("limits     none\n");
        return text;
    }
    let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned))
        .chain(answer.limits.iter().map(row))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..HEAD.len()).map(width).collect();
    text.push('\n');
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn row(limit: &Limit) -> [String; 5] {
    let scope = match limit.scope() {
        LimitScope::Caller => "caller ",
        LimitScope::Group => "group ",
        LimitScope::Target => "target ",
        LimitScope::Unspecified => "",
    };
    let is_money = limit.kind.starts_with("usd_");
    let amount = |amount: i64| {
        if is_money {
            dollars(amount)
        } else {
            amount.to_string()
        }
    };
    [
        limit.kind.clone(),
        format!("{scope}{}", limit.name),
        amount(limit.limit),
        limit.remaining.map_or_else(|| "?".to_owned(), amount),
        refilled_in(limit).map_or_else(|| "-".to_owned(), duration),
    ]
}

fn refilled_in(limit: &Limit) -> Option<Duration> {
    limit
        .refilled_in
        .and_then(|time| Duration::try_from(time).ok())
}

/// Formats an amount of 1e-9 US dollars, rounded down to 1e-4 dollars.
fn dollars(nano_usd: i64) -> String {
    let (whole, rest) = (nano_usd / NANO_PER_USD, nano_usd % NANO_PER_USD);
    format!("{whole}.{:04}", rest / 100_000)
}

/// Formats a duration in its two largest units, rounded up to seconds.
fn duration(time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1_000);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_and_times_are_readable() {
        assert_eq!(dollars(12_345_678_901), "12.3456");
        assert_eq!(dollars(50_000_000), "0.0500");
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3_700, "1 h 1 min"),
            (100_000, "1 d 3 h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration(Duration::from_millis(1)), "1 s");
    }
}
