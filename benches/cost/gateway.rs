//! Runs `bedrock-grpc serve` under a counter.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use crate::{
    Error,
    bedrock::Bedrock,
    callers::{Callers, Setup},
};

/// Counts by name.
pub(crate) type Totals = BTreeMap<String, f64>;

/// The program that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    /// Instructions in user space.
    Callgrind,
    /// System calls of all threads.
    Strace,
}

/// A running gateway.
pub(crate) struct Gateway {
    counter: Counter,
    process: Child,
    address: SocketAddr,
    setup: Setup,
    folder: tempfile::TempDir,
}

impl Counter {
    /// The name of callgrind's total.
    pub(crate) const INSTRUCTIONS: &str = "instructions";

    fn command(self, out: &str) -> Command {
        let mut command = match self {
            Self::Callgrind => Command::new("valgrind"),
            Self::Strace => Command::new("strace"),
        };
        match self {
            Self::Callgrind => command
                .arg("--tool=callgrind")
                .arg(format!("--callgrind-out-file={out}")),
            Self::Strace => command.args(["-f", "-c", "-U", "calls,name", "-o", out]),
        };
        command
    }

    fn read(self, out: &str) -> Result<Totals, Error> {
        match self {
            // The line is "summary: 123456".
            Self::Callgrind => {
                let total = out
                    .lines()
                    .find_map(|line| {
                        line.strip_prefix("summary: ")
                            .or(line.strip_prefix("totals: "))
                    })
                    .ok_or("callgrind wrote no total")?;
                Ok([(Self::INSTRUCTIONS.to_owned(), total.trim().parse()?)].into())
            }
            // A line is " 1234 epoll_wait". The lines follow a header, and "total" follows them.
            // "1234 ???( <detached ...>" is a thread that was in a call when strace ended.
            Self::Strace => Ok(out
                .lines()
                .filter_map(|line| {
                    let (calls, name) = line.trim().split_once(char::is_whitespace)?;
                    let (calls, name) = (calls.parse().ok()?, name.trim());
                    let is_call = name != "total" && !name.contains('?');
                    is_call.then(|| (name.to_owned(), calls))
                })
                .collect()),
        }
    }
}

impl Gateway {
    /// Starts the gateway, and waits until it listens.
    pub(crate) fn start(
        counter: Counter,
        bedrock: &Bedrock,
        callers: Callers,
    ) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("config.yaml");
        let setup = callers.set_up(folder.path())?;
        fs::write(&config, configuration(bedrock, &setup))?;
        let out = folder.path().join("counted");
        let out = out
            .to_str()
            .ok_or("the temporary folder's name is not UTF-8")?;
        let mut process = counter
            .command(out)
            .arg(env!("CARGO_BIN_EXE_bedrock-grpc"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env(
                "AWS_SECRET_ACCESS_KEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            )
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {counter:?}: {error}; install it"))?;
        let log = process.stderr.take().ok_or("no standard error")?;
        let mut log = BufReader::new(log);
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            if log.read_line(&mut line)? == 0 {
                process.wait()?;
                return Err(format!("the gateway ended before it listened:\n{seen}").into());
            }
            if let Some(address) = listens_at(&line) {
                break address;
            }
            seen.push_str(&line);
        };
        // The log is written as in production, with one line for each call. Writing must not block.
        thread::spawn(move || {
            let _read = log.read_to_end(&mut Vec::new());
        });
        Ok(Self {
            counter,
            process,
            address,
            setup,
            folder,
        })
    }

    /// Returns the address of the gRPC port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the credential with which the gateway accepts a client.
    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Stops the gateway, and returns the counts from its start to its end. Copies the counter's
    /// output to the file, if there is one.
    pub(crate) fn stop(mut self, profile: Option<&Path>) -> Result<Totals, Error> {
        let id = self.process.id();
        let gateway = match self.counter {
            // callgrind runs the gateway in its own process.
            Counter::Callgrind => id,
            Counter::Strace => child_of(id)?,
        };
        let ended = Command::new("kill").arg(gateway.to_string()).status()?;
        if !ended.success() || !self.process.wait()?.success() {
            return Err("the gateway did not exit with success".into());
        }
        let counted = fs::read_to_string(self.folder.path().join("counted"))?;
        if let Some(profile) = profile {
            fs::write(profile, &counted)
                .map_err(|error| format!("cannot write {}: {error}", profile.display()))?;
        }
        self.counter.read(&counted)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The process is still running only if a call failed.
        if let Ok(None) = self.process.try_wait() {
            if let Ok(child) = child_of(self.process.id()) {
                let _killed = Command::new("kill")
                    .arg("-9")
                    .arg(child.to_string())
                    .status();
            }
            let _killed = self.process.kill();
            let _ended = self.process.wait();
        }
    }
}

fn configuration(bedrock: &Bedrock, setup: &Setup) -> String {
    format!(
        r#"
listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0 }}
workers: 1
allowed_model_ids: ["*"]
bedrock:
  region: us-east-1
  endpoint_url: {}
  extra_ca_file: {}
discovery: {{ enabled: false }}
drain: {{ lame_duck: 0s, limit: 5s }}
{}
"#,
        bedrock.url(),
        bedrock.ca_file().display(),
        setup.configuration,
    )
}

/// Returns the address in the log line that reports that the gateway serves.
fn listens_at(line: &str) -> Option<SocketAddr> {
    if !line.contains("serving") {
        return None;
    }
    line.split(|each: char| !(each.is_ascii_digit() || each == '.' || each == ':'))
        .find_map(|word| word.trim_matches(':').parse().ok())
}

/// Returns the process that another process has started.
fn child_of(id: u32) -> Result<u32, Error> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    let child = children.split_whitespace().next();
    Ok(child.ok_or("strace has no child")?.parse()?)
}
