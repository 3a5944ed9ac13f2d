//! The recorded figures, and the tolerance for new ones.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    process::Command,
};

use serde::{Deserialize, Serialize};

use crate::{Error, scenario::Figures};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/cost/record.json");
/// The share by which a count may differ from the recorded one.
const TOLERANCE: f64 = 0.03;
/// The tolerance for system calls. There are only a few per repetition, so that a single timer
/// makes a difference.
const SYSTEM_CALLS: f64 = 0.15;

/// The content of `record.json`.
#[derive(Serialize, Deserialize)]
struct Record {
    /// The compiler that built the gateway. Another compiler generates other instructions.
    rustc: String,
    figures: BTreeMap<String, Figures>,
}

/// Writes new figures.
pub(crate) fn write(figures: &BTreeMap<String, Figures>) -> Result<(), Error> {
    let figures = figures
        .iter()
        .map(|(name, figures)| {
            let rounded = Figures {
                instructions: figures.instructions.round(),
                system_calls: figures
                    .system_calls
                    .iter()
                    .map(|(name, calls)| (name.clone(), (calls * 100.0).round() / 100.0))
                    .collect(),
            };
            (name.clone(), rounded)
        })
        .collect();
    let record = Record {
        rustc: rustc()?,
        figures,
    };
    fs::write(
        FILE,
        format!("{}\n", serde_json::to_string_pretty(&record)?),
    )?;
    print(&record.figures, None)
}

/// Compares new figures with the recorded ones.
///
/// # Errors
/// A figure differs by more than the tolerance, in either direction: the record must stay true.
pub(crate) fn compare(figures: &BTreeMap<String, Figures>) -> Result<(), Error> {
    let record: Record = serde_json::from_str(&fs::read_to_string(FILE)?)?;
    print(figures, Some(&record.figures))?;
    let rustc = rustc()?;
    if record.rustc != rustc {
        writeln!(
            io::stdout(),
            "not compared: the record was made with {}, this build with {rustc}",
            record.rustc
        )?;
        return Ok(());
    }
    let mut differences = Vec::new();
    for (name, new) in figures {
        let Some(old) = record.figures.get(name) else {
            differences.push(format!("{name}: not recorded"));
            continue;
        };
        if (new.instructions - old.instructions).abs() > TOLERANCE * old.instructions {
            differences.push(format!(
                "{name}: {:.0} instructions, recorded: {:.0}",
                new.instructions, old.instructions
            ));
        }
        let (new, old) = (system_calls(new), system_calls(old));
        if (new - old).abs() > (TOLERANCE * old).max(SYSTEM_CALLS) {
            differences.push(format!("{name}: {new:.2} system calls, recorded: {old:.2}"));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "costs differ from the record:\n  {}\nif this is intended, record the new figures: \
         cargo bench --profile release --bench cost -- --record",
        differences.join("\n  ")
    )
    .into())
}

fn system_calls(figures: &Figures) -> f64 {
    figures.system_calls.values().sum()
}

fn print(
    figures: &BTreeMap<String, Figures>,
    record: Option<&BTreeMap<String, Figures>>,
) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<32} {:>12} {:>9}  system calls",
        "", "instructions", "recorded"
    )?;
    for (name, figures) in figures {
        let recorded = record.and_then(|record| record.get(name));
        let change = recorded.map_or_else(String::new, |old| {
            format!(
                "{:+.1} %",
                100.0 * (figures.instructions / old.instructions - 1.0)
            )
        });
        let calls: Vec<String> = figures
            .system_calls
            .iter()
            .map(|(name, calls)| format!("{name} {calls:.2}"))
            .collect();
        writeln!(
            out,
            "{name:<32} {:>12.0} {change:>9}  {}",
            figures.instructions,
            calls.join(", ")
        )?;
    }
    Ok(())
}

fn rustc() -> Result<String, Error> {
    let version = Command::new("rustc").arg("--version").output()?.stdout;
    Ok(String::from_utf8(version)?.trim().to_owned())
}
