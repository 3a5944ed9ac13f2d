//! Children: started, and ended.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{self, ChildStdin, Command, Stdio},
};

use crate::{Error, roles::Role};

/// A child that runs. Ends when dropped.
pub(crate) struct Child {
    process: process::Child,
    /// Its standard input, at whose end it ends, too.
    _alive: ChildStdin,
    says: HashMap<String, String>,
}

impl Child {
    /// Starts a child and waits until it says that it is ready.
    pub(crate) fn start(role: &Role) -> Result<Self, Error> {
        let this = std::env::current_exe()?;
        let mut command = match role {
            // What the attack costs its own side should not be what is measured.
            Role::Attacker { .. } => {
                let mut command = Command::new("nice");
                command.args(["-n", "10"]).arg(this);
                command
            }
            _ => Command::new(this),
        };
        let mut process = command
            .args(role.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(match role {
                // Its log: written as in production, and not read.
                Role::Gateway { .. } => Stdio::null(),
                _ => Stdio::inherit(),
            })
            .spawn()?;
        let pipes = (process.stdin.take(), process.stdout.take());
        let (Some(alive), Some(answers)) = pipes else {
            return Err("a child has no pipes".into());
        };
        let mut line = String::new();
        BufReader::new(answers).read_line(&mut line)?;
        let says: HashMap<_, _> = line
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if says.is_empty() {
            return Err("a child has ended".into());
        }
        Ok(Self {
            process,
            _alive: alive,
            says,
        })
    }

    /// An address that it said when it started.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr, Error> {
        let said = self.says.get(name);
        Ok(said
            .ok_or_else(|| format!("a child did not say its {name}"))?
            .parse()?)
    }

    /// The most memory that it ever had (VmHWM), in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64, Error> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|line| line.trim().strip_suffix("kB"))
            .ok_or("the gateway has ended, or this kernel does not tell VmHWM")?;
        Ok(peak.trim().parse::<u64>()? << 10)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
