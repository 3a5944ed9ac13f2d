//! Starts, queries and ends child processes.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{self, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{Error, roles::Role};

/// A child process that listens. Dropping it ends the process.
pub(crate) struct Child {
    process: process::Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    says: HashMap<String, String>,
}

impl Child {
    /// Starts a child process and waits until it listens.
    pub(crate) fn start(role: &Role) -> Result<Self, Error> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(role.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(match role {
                // The log is written as in production, but not read.
                Role::Gateway { .. } => Stdio::null(),
                Role::Emulator => Stdio::inherit(),
            })
            .spawn()?;
        let pipes = (process.stdin.take(), process.stdout.take());
        let (Some(ask), Some(answers)) = pipes else {
            return Err("a child process has no pipes".into());
        };
        let mut child = Self {
            process,
            ask,
            answers: BufReader::new(answers),
            says: HashMap::new(),
        };
        child.says = child.line()?;
        Ok(child)
    }

    /// Asks the child process for its figures.
    pub(crate) fn ask(&mut self) -> Result<HashMap<String, u64>, Error> {
        self.ask.write_all(b"numbers\n")?;
        let said = self.line()?.into_iter();
        said.map(|(name, value)| Ok((name, value.parse()?)))
            .collect()
    }

    /// Returns an address that the child printed when it started.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr, Error> {
        let said = self.says.get(name);
        Ok(said
            .ok_or_else(|| format!("a child process did not print its {name}"))?
            .parse()?)
    }

    /// Returns a file of `/proc/PID`.
    pub(crate) fn proc(&self, name: &str) -> std::path::PathBuf {
        format!("/proc/{}/{name}", self.process.id()).into()
    }

    /// Returns its memory (VmRSS), in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Error> {
        let status = fs::read_to_string(self.proc("status"))?;
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|line| line.trim().strip_suffix("kB"))
            .ok_or("the gateway has ended, or this kernel has no VmRSS")?;
        Ok(rss.trim().parse::<u64>()? * 1024)
    }

    fn line(&mut self) -> Result<HashMap<String, String>, Error> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let pairs: HashMap<_, _> = line
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if pairs.is_empty() {
            return Err("a child process has ended".into());
        }
        Ok(pairs)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
