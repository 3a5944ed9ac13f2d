//! Quotas and outages of source Regions, and what failover makes of them. `cargo bench --bench failover -- --help`.
//!
//! ```text
//! load ──gRPC──> gateway ──HTTP/1.1, SigV4──> emulator with Regions, quotas and outages
//! ```
//!
//! All in one process, over sockets. Calls come at a steady pace, whatever becomes of those before: as those of many users do.
//!
//! | module | job |
//! |---|---|
//! | `stage` | an emulator and a gateway on it |
//! | `load` | calls at a pace, and what came of them |
//! | `quotas` | more calls than one Region's quota takes |
//! | `outages` | a Region that goes and comes back |

mod load;
mod outages;
mod quotas;
mod stage;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

/// What stops the run.
type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
Offers more calls than one source Region's quota takes, and takes a Region away in mid-load; says what share of the quotas was used, how many
attempts that took, and whether any call was lost.

cargo bench --bench failover -- [--short]

  --short  minutes of 20 seconds in place of 60, and failover alone: a minute in place of 5 for each of three scenarios
";

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Failover alone, without what it is compared to.
    short: bool,
    /// A minute of the quotas.
    minute: Duration,
    /// Before anything is counted.
    warm_up: Duration,
    /// What is counted.
    counted: Duration,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        let _told = io::stdout().write_all(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    let short = arguments.iter().any(|argument| argument == "--short");
    let seconds = Duration::from_secs;
    let times = if short {
        Times {
            short,
            minute: seconds(20),
            warm_up: seconds(20),
            counted: seconds(40),
        }
    } else {
        Times {
            short,
            minute: seconds(60),
            warm_up: seconds(120),
            counted: seconds(180),
        }
    };
    match run(times) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(times: Times) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut wrong = Vec::new();
    runtime.block_on(async {
        wrong.extend(quotas::run(times).await?);
        wrong.extend(outages::run().await?);
        Ok::<_, Error>(())
    })?;
    if wrong.is_empty() {
        say("All goals that can be checked here are met.")?;
        return Ok(());
    }
    Err(wrong.join("; ").into())
}

/// One line for whoever runs this.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
