//! Counts what a call costs the gateway: instructions and system calls.
//! `cargo bench --bench cost -- --help`.
//!
//! Times differ from run to run and from machine to machine, but counts do not: the gateway runs
//! with one worker, only one call is in progress, and Bedrock sends the next token only when the
//! client has received the previous one. The counts of one build repeat to within about one
//! percent, even on a busy machine.
//!
//! ```text
//! client ──gRPC──> bedrock-grpc serve ──HTTP/1.1 or TLS with HTTP/2──> lockstep Bedrock
//!                  (under valgrind or strace)
//! ```
//!
//! Each figure is the difference between two runs that differ only in their number of calls (or
//! tokens), divided by that number. Start-up, first connections and shutdown thus cancel out.
//!
//! | module | job |
//! |---|---|
//! | `bedrock` | a Bedrock that sends each token on request |
//! | `callers` | how clients authenticate, and what is counted for them |
//! | `client` | makes one gRPC call after the other |
//! | `gateway` | starts `bedrock-grpc serve` under a counter, and reads the counts |
//! | `scenario` | the kinds of calls that are counted |
//! | `record` | the figures in `record.json`, and the tolerance for new ones |

mod bedrock;
mod callers;
mod client;
mod gateway;
mod record;
mod scenario;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use scenario::Scenario;

/// An error that stops the bench.
type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
Counts instructions and system calls of calls, and compares them with benches/cost/record.json.

cargo bench --bench cost -- [--record] [--only NAME]... [--profiles FOLDER]

  --record           write the figures to benches/cost/record.json instead of comparing them
  --only NAME        count only this figure, such as \"unary call, http/1.1, key\"; not with --record
  --profiles FOLDER  keep callgrind's profiles in this folder, for callgrind_annotate
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _printed = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Error> {
    let (mut recording, mut only, mut profiles) = (false, Vec::new(), None);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument}: a value must follow\n\n{HELP}"))
        };
        match argument.as_str() {
            // Cargo passes this argument.
            "--bench" => {}
            "--record" => recording = true,
            "--only" => only.push(value()?),
            "--profiles" => profiles = Some(PathBuf::from(value()?)),
            "--help" => return Ok(io::stdout().write_all(HELP.as_bytes())?),
            other => return Err(format!("{other}: unknown option\n\n{HELP}").into()),
        }
    }
    let mut scenarios: BTreeMap<_, _> = Scenario::all()
        .into_iter()
        .map(|scenario| (scenario.to_string(), scenario))
        .collect();
    if let Some(unknown) = only.iter().find(|name| !scenarios.contains_key(*name)) {
        let names: Vec<_> = scenarios.into_keys().collect();
        let names = names.join("\n  ");
        return Err(format!("{unknown}: no such figure; the figures are\n  {names}").into());
    }
    if !only.is_empty() {
        if recording {
            return Err("--record needs all figures: leave out --only".into());
        }
        scenarios.retain(|name, _| only.contains(name));
    }
    let profiles = profiles.as_deref();
    let mut figures = BTreeMap::new();
    for (name, scenario) in &scenarios {
        figures.insert(name.clone(), scenario.count(profiles)?);
    }
    if recording {
        return record::write(&figures);
    }
    record::compare(figures, |name| match scenarios.get(name) {
        Some(scenario) => scenario.count(profiles),
        None => Err(format!("{name}: no such scenario").into()),
    })
}
