//! What well-behaved streams notice of a client that attacks the gateway. `cargo bench --bench
//! hostile -- --help`.
//!
//! ```text
//! streams (this process) ──gRPC──> gateway (child) ──HTTP/1.1, SigV4──> emulator (child)
//! attacker (child, low priority, another address) ──┘
//! ```
//!
//! Each attack is paired with a calm time of the same length just before it. A token is late by the
//! time from when the emulator was due to send it to its arrival.
//!
//! | module | job |
//! |---|---|
//! | `roles` | what the child processes do |
//! | `child` | starting them |
//! | `streams` | the well-behaved streams, and when their tokens arrive |
//! | `attacks` | the inputs, by name |
//! | `wire` | connections of the attacker |
//! | `verdict` | lateness with and without an attacker, and what it may be |

mod attacks;
mod child;
mod roles;
mod streams;
mod verdict;
mod wire;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use child::Child;
use roles::Role;

/// What stops the benchmark.
type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
Attacks a gateway that serves 200 streams of 10 tokens a second, and measures how late their tokens are.

cargo bench --bench hostile -- [--short] [--seconds N] [--streams N] [--only NAME]

  --short      1 second of calm and of each attack in place of 5, and 50 streams
  --seconds N  so long
  --streams N  so many streams
  --only NAME  this attack
";

struct Options {
    length: Duration,
    streams: usize,
    only: Option<String>,
    /// Whether lateness is judged: a short run on a busy machine shows only that all survives.
    judges: bool,
}

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Error> {
    if let Some(role) = Role::of(arguments) {
        return role.run();
    }
    let Some(options) = Options::of(arguments)? else {
        return Ok(io::stdout().write_all(HELP.as_bytes())?);
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(&options))
}

impl Options {
    /// `None`: print the help.
    fn of(arguments: &[String]) -> Result<Option<Self>, Error> {
        let mut options = Self {
            length: Duration::from_secs(5),
            streams: 200,
            only: None,
            judges: true,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument}: give a value"))
            };
            match argument.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--short" => {
                    options.length = Duration::from_secs(1);
                    options.streams = 50;
                    options.judges = false;
                }
                "--seconds" => options.length = Duration::from_secs(value()?.parse()?),
                "--streams" => options.streams = value()?.parse()?,
                "--only" => options.only = Some(value()?.clone()),
                "--help" => return Ok(None),
                other => return Err(format!("{other}: no such option\n\n{HELP}").into()),
            }
        }
        Ok(Some(options))
    }
}

async fn measure(options: &Options) -> Result<(), Error> {
    let mut out = io::stdout();
    let emulator = Child::start(&Role::Emulator)?;
    let endpoint = format!("http://{}", emulator.address("http")?);
    let gateway = Child::start(&Role::Gateway { endpoint })?;
    let (grpc, admin) = (gateway.address("grpc")?, gateway.address("admin")?);
    let streams = streams::Streams::open(grpc, options.streams).await?;
    writeln!(
        out,
        "hostile: {} streams, {} s of each attack\n",
        options.streams,
        options.length.as_secs()
    )?;
    writeln!(
        out,
        "| attack | p99 calm | p99 attacked | worst calm | worst attacked | memory |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    let mut wrong = Vec::new();
    for name in attacks::NAMES {
        if options.only.as_deref().is_some_and(|only| only != *name) {
            continue;
        }
        let from = streams.now();
        tokio::time::sleep(options.length).await;
        let attacked_from = streams.now();
        let attacker = Child::start(&Role::Attacker {
            name: (*name).to_owned(),
            grpc,
            admin,
        })?;
        tokio::time::sleep(options.length).await;
        drop(attacker);
        let pair = verdict::Pair::of(&streams, from, attacked_from, streams.now());
        let peak = gateway.peak_memory()?;
        writeln!(out, "| {name} | {pair} | {} MiB |", peak >> 20)?;
        wrong.extend(
            pair.wrong(options.judges)
                .map(|what| format!("{name}: {what}")),
        );
        // Without optimisation, and on a busy machine, more is in flight at a time.
        let extra = verdict::MEMORY_BESIDES * if options.judges { 1 } else { 2 };
        if peak > (roles::MEMORY + extra) as u64 {
            wrong.push(format!("{name}: {} MiB of memory", peak >> 20));
        }
        if let Some(failure) = streams.failure() {
            wrong.push(format!("{name}: a stream failed: {failure}"));
            break;
        }
    }
    if wrong.is_empty() {
        writeln!(
            out,
            "\nhostile: no stream failed, and all is within its bounds"
        )?;
        return Ok(());
    }
    Err(wrong.join("\n       ").into())
}
