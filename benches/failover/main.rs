//! Measures quotas and outages of source Regions, with failover. `cargo bench --bench failover --
//! --help`.
//!
//! ```text
//! load ──gRPC──> gateway ──HTTP/1.1, SigV4──> emulator with Regions, quotas and outages
//! ```
//!
//! Everything runs in one process, over sockets. Calls begin at a steady pace, whether or not
//! earlier ones have ended, as those of many users do.
//!
//! | module | job |
//! |---|---|
//! | `stage` | starts an emulator and a gateway in front of it |
//! | `load` | sends calls at a pace and records their outcomes |
//! | `quotas` | offers more calls than one Region's quota allows |
//! | `outages` | makes a Region fail and recover |
//! | `accounts` | uses the quotas of two accounts in two Regions each, and revokes a role |
//! | `sessions` | lets the sessions of roles expire under load |

mod accounts;
mod load;
mod outages;
mod quotas;
mod sessions;
mod stage;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

/// An error that stops the run.
type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
Offers more calls than one source Region's quota allows, and makes a Region fail under load. Then
does the same with two accounts, and compares the usage records of each with what it was billed.
Prints which share of the quotas was used, with how many attempts, and whether calls were lost.

cargo bench --bench failover -- [--short | --accounts | --sessions]

  --short     shorten minutes to 20 seconds, and measure only failover: one minute instead of five
              for each of four scenarios
  --accounts  only the scenarios with two accounts
  --sessions  ten minutes of load with roles whose sessions are valid for one minute, instead of
              everything else
";

/// The times of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Whether to measure only failover, without the baselines.
    short: bool,
    /// The length of a minute of the quotas.
    minute: Duration,
    /// The time before anything is counted.
    warm_up: Duration,
    /// The time that is counted.
    counted: Duration,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        let _told = io::stdout().write_all(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let short = has("--short");
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
    let part = match (has("--accounts"), has("--sessions")) {
        (_, true) => Part::Sessions,
        (true, false) => Part::Accounts,
        (false, false) => Part::All,
    };
    match run(times, part) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a run measures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Accounts,
    Sessions,
}

fn run(times: Times, part: Part) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut wrong = Vec::new();
    runtime.block_on(async {
        if part == Part::Sessions {
            wrong.extend(sessions::run().await?);
            return Ok::<_, Error>(());
        }
        if part == Part::All {
            wrong.extend(quotas::run(times).await?);
            wrong.extend(outages::run().await?);
        }
        wrong.extend(accounts::run(times).await?);
        Ok::<_, Error>(())
    })?;
    if wrong.is_empty() {
        say("All goals that can be checked here are met.")?;
        return Ok(());
    }
    Err(wrong.join("; ").into())
}

/// Prints one line for the person who runs this.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
