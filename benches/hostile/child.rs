//! Starts and ends child processes.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{self, ChildStdin, Command, Stdio},
};

use crate::{Error, roles::Role};

/// A running child process. Dropping it ends the process.
pub(crate) struct Child {
    process: process::Child,
    /// The standard input of the process, which ends when this is closed.
    _alive: ChildStdin,
    says: HashMap<String, String>,
}

impl Child {
    /// Starts a child process, and waits until it reports that it is ready.
    /// `cgroup` is the folder of a control group in which the gateway runs.
    pub(crate) fn start(role: &Role, cgroup: Option<&str>) -> Result<Self, Error> {
        let this = std::env::current_exe()?;
        let mut command = match (role, cgroup) {
            // The attacker's own cost, and that of its answers, must not affect the measurement.
            (Role::Attacker { .. } | Role::AttackedEmulator | Role::HostileBedrock, _) => {
                let mut command = Command::new("nice");
                command.args(["-n", "10"]).arg(this);
                command
            }
            (Role::Gateway { .. }, Some(cgroup)) => {
                let mut command = Command::new("sh");
                let script = "echo $$ >\"$0/cgroup.procs\" && exec \"$@\"";
                command.args(["-c", script, cgroup]).arg(this);
                command
            }
            _ => Command::new(this),
        };
        let mut process = command
            .args(role.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(match role {
                // The log is written as in production, but not read.
                Role::Gateway { .. } => Stdio::null(),
                _ => Stdio::inherit(),
            })
            .spawn()?;
        let pipes = (process.stdin.take(), process.stdout.take());
        let (Some(alive), Some(answers)) = pipes else {
            return Err("a child process has no pipes".into());
        };
        let mut line = String::new();
        BufReader::new(answers).read_line(&mut line)?;
        let says: HashMap<_, _> = line
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if says.is_empty() {
            return Err("a child process has ended".into());
        }
        Ok(Self {
            process,
            _alive: alive,
            says,
        })
    }

    /// Returns an address that the process printed when it started.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr, Error> {
        let said = self.says.get(name);
        Ok(said
            .ok_or_else(|| format!("a child process did not print its {name}"))?
            .parse()?)
    }

    /// Returns the maximum memory that the process ever had (VmHWM), in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64, Error> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|line| line.trim().strip_suffix("kB"))
            .ok_or("the gateway has ended, or this kernel has no VmHWM")?;
        Ok(peak.trim().parse::<u64>()? << 10)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
