//! Runs many streams for minutes, some of them cancelled, some of them failing. `cargo bench
//! --bench soak -- --help`.
//!
//! ```text
//! load (this process) ──gRPC──> gateway (child) ──HTTP/1.1, SigV4──> emulator (child)
//! ```
//!
//! In the end, all counts must agree. Each answer must equal what the model sent, up to the point
//! where the answer ended early. Each call must have one end, on which the client, the gateway's
//! metrics and the emulator's log agree. The gateway must use no more resources than when it was
//! warm, and none once it is idle.
//!
//! | module | job |
//! |---|---|
//! | `roles` | what the child processes do |
//! | `child` | starting and querying child processes |
//! | `plan` | what a call requests, and its expected outcome |
//! | `call` | one call, and the check of its outcome |
//! | `load` | a number of calls at a time |
//! | `watch` | the gateway's resources over time |
//! | `metrics` | the gateway's metrics |
//! | `account` | whether the three sides agree |

mod account;
mod call;
mod child;
mod load;
mod metrics;
mod plan;
mod roles;
mod watch;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use child::Child;
use roles::Role;

/// An error that stops the soak.
type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
Runs many streams through the gateway, cancels some, makes some fail, and checks that everything
adds up.

cargo bench --bench soak -- [--short] [--seconds N] [--streams N] [--seed N]

  --short      run for 15 seconds
  --seconds N  run for N seconds [default: 180]
  --streams N  make N calls at a time [default: 500]
  --seed N     repeat the calls, cancels and faults of the run that printed this seed
";

/// How long the soak runs, and with how many streams.
struct Options {
    length: Duration,
    streams: usize,
    seed: u64,
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
        .block_on(soak(&options))
}

impl Options {
    /// `None`: print the help.
    fn of(arguments: &[String]) -> Result<Option<Self>, Error> {
        let mut options = Self {
            length: Duration::from_secs(180),
            streams: 500,
            seed: fastrand::u64(..),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument}: expected a number"))
            };
            match argument.as_str() {
                // An argument that Cargo adds.
                "--bench" => {}
                "--short" => options.length = Duration::from_secs(15),
                "--seconds" => options.length = Duration::from_secs(value()?.parse()?),
                "--streams" => options.streams = value()?.parse()?,
                "--seed" => options.seed = value()?.parse()?,
                "--help" => return Ok(None),
                other => return Err(format!("{other}: unknown option\n\n{HELP}").into()),
            }
        }
        Ok(Some(options))
    }
}

async fn soak(options: &Options) -> Result<(), Error> {
    let mut out = io::stdout();
    writeln!(
        out,
        "soak: {} streams for {} s, seed {}",
        options.streams,
        options.length.as_secs(),
        options.seed
    )?;
    let mut emulator = Child::start(&Role::Emulator)?;
    let endpoint = format!("http://{}", emulator.address("http")?);
    let gateway = Child::start(&Role::Gateway { endpoint })?;
    let address = gateway.address("grpc")?;
    // The first call is made alone, because memory that it allocates is not a leak.
    load::run(address, 1, Duration::ZERO, options.seed).await?;
    let quiet_before = watch::quiet(&gateway, None).await?;
    let before = account::Books::of(&gateway, &mut emulator).await?;

    let (counted, held) = tokio::try_join!(
        load::run(address, options.streams, options.length, options.seed),
        watch::over(&gateway, options.length),
    )?;

    let quiet = watch::quiet(&gateway, Some(&quiet_before)).await?;
    let books = account::Books::of(&gateway, &mut emulator)
        .await?
        .since(&before);
    write!(
        out,
        "{counted}{held}quiet: {quiet_before} before, {quiet} after\n{books}"
    )?;
    let mut wrong = counted.wrong();
    wrong.extend(held.wrong());
    wrong.extend(quiet.left_over(&quiet_before));
    // No count includes calls with a wrong outcome.
    if wrong.is_empty() {
        wrong.extend(books.wrong(&counted));
    }
    if wrong.is_empty() {
        writeln!(out, "soak: everything adds up")?;
        return Ok(());
    }
    Err(format!("{} (--seed {})", wrong.join("\n       "), options.seed).into())
}
