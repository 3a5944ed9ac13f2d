//! Counts what a call costs the gateway: instructions and system calls.
//! `cargo bench --profile release --bench cost -- --help`.
//!
//! Times differ from run to run, and from machine to machine. Counts do not: the gateway runs with
//! one worker, one call is in progress at a time, and Bedrock sends the next token only when the
//! client has the previous one. So the counts of one build repeat to within about one percent, on a
//! busy machine too.
//!
//! ```text
//! client ──gRPC──> bedrock-grpc serve ──HTTP/1.1 or TLS with HTTP/2──> lockstep Bedrock
//!                  (under valgrind or strace)
//! ```
//!
//! Each figure is the difference of two runs that differ only in their number of calls (or tokens),
//! divided by that number: start-up, first connections and shutdown cancel out.
//!
//! | module | job |
//! |---|---|
//! | `bedrock` | a Bedrock that sends each token when it is told to |
//! | `client` | one gRPC call after the other |
//! | `gateway` | starts `bedrock-grpc serve` under a counter, and reads what it counted |
//! | `scenario` | what is counted |
//! | `record` | the figures in `record.json`, and how far new ones may differ |

mod bedrock;
mod client;
mod gateway;
mod record;
mod scenario;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// An error that stops the bench.
type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
Counts instructions and system calls of calls, and compares them with benches/cost/record.json.

cargo bench --profile release --bench cost -- [--record]

  --record  write the figures to benches/cost/record.json instead of comparing them
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

fn run(arguments: impl Iterator<Item = String>) -> Result<(), Error> {
    let mut recording = false;
    for argument in arguments {
        match argument.as_str() {
            // Cargo passes this one.
            "--bench" => {}
            "--record" => recording = true,
            "--help" => return Ok(io::stdout().write_all(HELP.as_bytes())?),
            other => return Err(format!("{other}: no such option\n\n{HELP}").into()),
        }
    }
    let figures = scenario::count_all()?;
    if recording {
        return record::write(&figures);
    }
    record::compare(&figures)
}
