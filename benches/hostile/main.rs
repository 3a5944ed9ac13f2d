//! Measures the effect of an attacking client on well-behaved streams. `cargo bench --bench hostile
//! -- --help`.
//!
//! ```text
//! streams (this process) ──gRPC──> gateway (child) ──HTTP/1.1, SigV4──> emulator (child)
//! attacker (child, another address) ──gRPC──┘  ├──> another emulator (child)
//!                                              └──> hostile Bedrock (child)
//! ```
//!
//! Each attack is preceded by a calm period of the same length. The lateness of a token is the time
//! from when the emulator was due to send it to its arrival. The attacker and the emulator that
//! answers it have a low priority.
//!
//! | module | job |
//! |---|---|
//! | `roles` | the roles of the child processes |
//! | `child` | starts and ends child processes |
//! | `streams` | the well-behaved streams, and the arrival times of their tokens |
//! | `attacks` | the attacks, by name |
//! | `hostile_bedrock` | a Bedrock that attacks |
//! | `wire` | the attacker's connections |
//! | `verdict` | lateness with and without an attack, and its limits |

mod attacks;
mod child;
mod hostile_bedrock;
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

/// An error that stops the benchmark.
type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
Attacks a gateway that serves 200 streams of 10 tokens a second, and measures how late their tokens are.

cargo bench --bench hostile -- [--short] [--seconds N] [--streams N] [--only NAME] [--cgroup FOLDER]

  --short      use 1 second of calm and of each attack instead of 5, and 50 streams
  --seconds N  run each attack for N seconds
  --streams N  use N well-behaved streams
  --only NAME  run only this attack
  --cgroup FOLDER  run the gateway in this control group, and judge its memory, not lateness
";

struct Options {
    length: Duration,
    streams: usize,
    only: Option<String>,
    /// The folder of the control group in which the gateway runs.
    cgroup: Option<String>,
    /// Whether lateness is compared with its limits. A short run on a busy machine can only show
    /// that no stream fails.
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
    /// Parses the arguments. `None` means that the help should be printed.
    fn of(arguments: &[String]) -> Result<Option<Self>, Error> {
        let mut options = Self {
            length: Duration::from_secs(5),
            streams: 200,
            only: None,
            cgroup: None,
            judges: true,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument}: a value is missing"))
            };
            match argument.as_str() {
                // Cargo passes this argument.
                "--bench" => {}
                "--short" => {
                    options.length = Duration::from_secs(1);
                    options.streams = 50;
                    options.judges = false;
                }
                "--seconds" => options.length = Duration::from_secs(value()?.parse()?),
                "--streams" => options.streams = value()?.parse()?,
                "--only" => options.only = Some(value()?.clone()),
                "--cgroup" => options.cgroup = Some(value()?.clone()),
                "--help" => return Ok(None),
                other => return Err(format!("{other}: unknown option\n\n{HELP}").into()),
            }
        }
        Ok(Some(options))
    }
}

async fn measure(options: &Options) -> Result<(), Error> {
    let mut out = io::stdout();
    let emulator = Child::start(&Role::Emulator, None)?;
    let attacked = Child::start(&Role::AttackedEmulator, None)?;
    let hostile = Child::start(&Role::HostileBedrock, None)?;
    let gateway = Role::Gateway {
        endpoint: format!("http://{}", emulator.address("http")?),
        attacked: format!("http://{}", attacked.address("http")?),
        hostile: format!("http://{}", hostile.address("http")?),
    };
    let gateway = Child::start(&gateway, options.cgroup.as_deref())?;
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
        let attacker = Role::Attacker {
            name: (*name).to_owned(),
            grpc,
            admin,
        };
        let attacker = Child::start(&attacker, None)?;
        tokio::time::sleep(options.length).await;
        drop(attacker);
        let pair = verdict::Pair::of(&streams, from, attacked_from, streams.now());
        let peak = gateway.peak_memory()?;
        writeln!(out, "| {name} | {pair} | {} MiB |", peak >> 20)?;
        wrong.extend(
            pair.wrong(options.judges && options.cgroup.is_none())
                .map(|what| format!("{name}: {what}")),
        );
        // In a build without optimization, or on a busy machine, more requests are in flight at a
        // time.
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
            "\nhostile: no stream failed, and all figures are within their limits"
        )?;
        return Ok(());
    }
    Err(wrong.join("\n       ").into())
}
