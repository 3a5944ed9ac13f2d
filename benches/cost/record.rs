//! The recorded figures, and the tolerance for new ones.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    process::Command,
};

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    callers::Callers,
    scenario::{Figures, Scenario},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/cost/record.json");
/// The share by which a count may differ from the recorded one.
const TOLERANCE: f64 = 0.03;
/// The number of additional system calls that is allowed per repetition. It depends on timing how
/// many messages share one write.
const MORE_SYSTEM_CALLS: f64 = 2.0;
/// System calls that wait. Their number depends on what else the machine does.
const WAITS: [&str; 2] = ["epoll_wait", "futex"];
/// The share that authentication and limits may add to the instructions of a unary call.
const CALLERS: f64 = 0.05;

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
    print(&record.figures, None)?;
    print_callers(&record.figures)?;
    Ok(())
}

/// Compares new figures with the recorded ones.
///
/// `count_again` counts a figure a second time: a process that delays a wake-up changes a count.
/// The figure that is closer to the record is used.
///
/// # Errors
/// Fails if a figure differs by more than the tolerance. Fewer instructions are an error, too,
/// because the record must stay up to date.
pub(crate) fn compare(
    mut figures: BTreeMap<String, Figures>,
    count_again: impl Fn(&str) -> Result<Figures, Error>,
) -> Result<(), Error> {
    let record: Record = serde_json::from_str(&fs::read_to_string(FILE)?)?;
    for (name, old) in &record.figures {
        let Some(new) = figures.get_mut(name) else {
            continue;
        };
        if is_same(new, old) {
            continue;
        }
        let second = count_again(name)?;
        let distance = |figures: &Figures| (figures.instructions - old.instructions).abs();
        if distance(&second) < distance(new) {
            *new = second;
        }
    }
    let figures = &figures;
    print(figures, Some(&record.figures))?;
    let mut differences = print_callers(figures)?;
    let rustc = rustc()?;
    if record.rustc != rustc {
        writeln!(
            io::stdout(),
            "not compared: the record was made with {}, this build with {rustc}",
            record.rustc
        )?;
        return Ok(());
    }
    for (name, new) in figures {
        let Some(old) = record.figures.get(name) else {
            differences.push(format!("{name}: not recorded"));
            continue;
        };
        if !is_same(new, old) {
            differences.push(format!(
                "{name}: {:.0} instructions, recorded: {:.0}",
                new.instructions, old.instructions
            ));
        }
        let (new, old) = (system_calls(new), system_calls(old));
        if new - old > MORE_SYSTEM_CALLS {
            differences.push(format!("{name}: {new:.2} system calls, recorded: {old:.2}"));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "costs differ from the record:\n  {}\nif this is intended, record the new figures: \
         cargo bench --bench cost -- --record",
        differences.join("\n  ")
    )
    .into())
}

/// Returns whether the instructions are those of the record.
fn is_same(new: &Figures, old: &Figures) -> bool {
    (new.instructions - old.instructions).abs() <= TOLERANCE * old.instructions
}

fn system_calls(figures: &Figures) -> f64 {
    let calls = figures.system_calls.iter();
    calls
        .filter(|(name, _)| !WAITS.contains(&name.as_str()))
        .map(|(_, calls)| calls)
        .sum()
}

fn print(
    figures: &BTreeMap<String, Figures>,
    record: Option<&BTreeMap<String, Figures>>,
) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<42} {:>12} {:>9}  system calls",
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
            "{name:<42} {:>12.0} {change:>9}  {}",
            figures.instructions,
            calls.join(", ")
        )?;
    }
    Ok(())
}

/// Prints the cost that authentication and limits add to a unary call. Returns the costs that
/// exceed the limit.
fn print_callers(figures: &BTreeMap<String, Figures>) -> Result<Vec<String>, Error> {
    let mut out = io::stdout().lock();
    let mut excess = Vec::new();
    for callers in Callers::IDENTIFIED {
        let figure = |callers| figures.get(&Scenario::unary(callers).to_string());
        let (Some(with), Some(without)) = (figure(callers), figure(callers.without())) else {
            continue;
        };
        let share = with.instructions / without.instructions - 1.0;
        let line = format!(
            "{callers} adds {:+.1} % to {}",
            100.0 * share,
            callers.without()
        );
        writeln!(out, "{line}")?;
        if callers.is_bounded() && share > CALLERS {
            excess.push(format!(
                "{line}, at most {:.0} % is allowed",
                100.0 * CALLERS
            ));
        }
    }
    Ok(excess)
}

fn rustc() -> Result<String, Error> {
    let version = Command::new("rustc").arg("--version").output()?.stdout;
    Ok(String::from_utf8(version)?.trim().to_owned())
}
