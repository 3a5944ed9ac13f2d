//! Measures the cost of the gateway on the whole path: a client, the gateway, a Bedrock. `cargo
//! bench --bench path -- --help`.
//!
//! Everything runs on this machine and in one run, because only ratios within one run are
//! meaningful:
//!
//! ```text
//! load ──gRPC──────────────────> gateway ──HTTP/1.1 or TLS with HTTP/2──> emulator
//! load ──HTTP/1.1──────────────> byte proxy ────────────────────────────> emulator      the floor
//! load ──HTTP/1.1 or HTTP/2────────────────────────────────────────────> emulator      direct
//! ```
//!
//! This process is the load. Gateway, byte proxy and emulator are child processes, so that each
//! one's CPU and memory can be measured.
//!
//! | module | job |
//! |---|---|
//! | `roles` | the roles of the child processes |
//! | `child` | starting child processes, and measuring them |
//! | `load` | makes concurrent calls, counts tokens and measures times |
//! | `question` | the request that all calls send |
//! | `stage` | the child processes of a scenario, and the paths of calls through them |
//! | `scenarios` | the measurements |
//! | `report` | prints the table |

mod child;
mod load;
mod question;
mod report;
mod roles;
mod scenarios;
mod stage;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Instant,
};

/// An error that stops the bench.
type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
Measures the whole path and prints a table.

cargo bench --bench path -- [--short] [--only NAME]...

  --short      use few streams and short times; shows only that the benchmark runs
  --only NAME  run only this scenario; an unknown name lists all. The full form of \"scale\" runs
               only by its name: it opens 20,000 streams, and needs `ulimit -n 41000`
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<(), Error> {
    if let Some(role) = roles::Role::of(&arguments)? {
        return role.run();
    }
    let mut short = false;
    let mut only = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // An argument that Cargo adds.
            "--bench" => {}
            "--short" => short = true,
            "--only" => only.push(
                arguments
                    .next()
                    .ok_or("--only: the name of a scenario is missing")?,
            ),
            "--help" => return Ok(io::stdout().write_all(HELP.as_bytes())?),
            other => return Err(format!("{other}: unknown option\n\n{HELP}").into()),
        }
    }
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rows = runtime.block_on(scenarios::run(short, &only))?;
    report::print(&rows, short, begun.elapsed())?;
    Ok(())
}
