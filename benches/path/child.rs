//! Starts, measures and ends child processes.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{self, Command, Stdio},
    str::FromStr,
    time::{Duration, Instant},
};

use crate::{Error, roles::Role};

/// The variable that names a profiler and its options, such as `valgrind --tool=callgrind`. The
/// gateways run under it.
const GATEWAY_UNDER: &str = "GATEWAY_UNDER";

/// A child process that listens. Dropping it ends the process.
pub(crate) struct Child {
    process: process::Child,
    says: HashMap<String, String>,
    /// The time from its start until it listens.
    pub(crate) start: Duration,
}

impl Child {
    /// Starts a child process and waits until it listens.
    pub(crate) fn start(role: &Role) -> Result<Self, Error> {
        let begun = Instant::now();
        let mut process = command(role)?
            .args(role.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(match role {
                // The log is written as in production, but not read.
                Role::Gateway { .. } => Stdio::null(),
                _ => Stdio::inherit(),
            })
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let says: HashMap<String, String> = line
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let child = Self {
            process,
            says,
            start: begun.elapsed(),
        };
        if child.says.is_empty() {
            return Err(format!("{role:?} did not start").into());
        }
        Ok(child)
    }

    /// The line that it printed when it started.
    pub(crate) fn said(&self, name: &str) -> Result<&str, Error> {
        let value = self.says.get(name);
        Ok(value.ok_or_else(|| format!("a child process did not print its {name}"))?)
    }

    /// Returns an address that the child printed.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr, Error> {
        Ok(SocketAddr::from_str(self.said(name)?)?)
    }

    /// Returns the CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Error> {
        let mut total = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            // Nanoseconds on a CPU, nanoseconds in the queue, time slices.
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu = schedstat.split_whitespace().next().unwrap_or_default();
            total += Duration::from_nanos(on_cpu.parse()?);
        }
        Ok(total)
    }

    /// Returns its memory (VmRSS), in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Error> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|line| line.trim().strip_suffix("kB"))
            .ok_or("this kernel has no VmRSS")?;
        Ok(rss.trim().parse::<u64>()? * 1024)
    }
}

/// Returns the command for this program. The command that [`GATEWAY_UNDER`] names runs it.
fn command(role: &Role) -> Result<Command, Error> {
    let program = std::env::current_exe()?;
    let under = std::env::var(GATEWAY_UNDER).unwrap_or_default();
    let mut under = under.split_whitespace();
    Ok(match (role, under.next()) {
        (Role::Gateway { .. }, Some(profiler)) => {
            let mut command = Command::new(profiler);
            command.args(under).arg(program);
            command
        }
        _ => Command::new(program),
    })
}

impl Drop for Child {
    fn drop(&mut self) {
        // The child ends when its standard input ends, so that profilers can write their results.
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
        if let Some(file) = self.says.get("ca_file") {
            let _removed = fs::remove_file(file);
        }
    }
}
