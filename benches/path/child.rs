//! Children: started, asked what they use, and ended.

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

/// The variable that names a profiler and its options, such as `valgrind --tool=callgrind`, to run the gateways under.
const GATEWAY_UNDER: &str = "GATEWAY_UNDER";

/// A child that listens. Ends when dropped.
pub(crate) struct Child {
    process: process::Child,
    says: HashMap<String, String>,
    /// From its start until it listens.
    pub(crate) start: Duration,
}

impl Child {
    /// Starts a child and waits until it listens.
    pub(crate) fn start(role: &Role) -> Result<Self, Error> {
        let begun = Instant::now();
        let mut process = command(role)?
            .args(role.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(match role {
                // Its log: written as in production, and read by nobody.
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

    /// What it said when it started.
    pub(crate) fn said(&self, name: &str) -> Result<&str, Error> {
        let value = self.says.get(name);
        Ok(value.ok_or_else(|| format!("a child did not say its {name}"))?)
    }

    /// An address that it said.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr, Error> {
        Ok(SocketAddr::from_str(self.said(name)?)?)
    }

    /// The CPU time of all its threads so far.
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

    /// Its memory (VmRSS), in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Error> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|line| line.trim().strip_suffix("kB"))
            .ok_or("this kernel does not tell VmRSS")?;
        Ok(rss.trim().parse::<u64>()? * 1024)
    }
}

/// This program, under what [`GATEWAY_UNDER`] names.
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
        // The end of its standard input is its own: profilers want to write what they saw.
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
        if let Some(file) = self.says.get("ca_file") {
            let _removed = fs::remove_file(file);
        }
    }
}
