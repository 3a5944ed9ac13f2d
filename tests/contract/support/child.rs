//! `serve` as a separate process, with its own memory and signals.

use std::{fs, net::SocketAddr, process::Stdio, time::Duration};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child as Process, Command},
    sync::mpsc,
};

use crate::harness::soon;

/// A running gateway. Dropping it kills it.
pub(crate) struct Child {
    process: Process,
    log: mpsc::UnboundedReceiver<String>,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    endpoint_url: String,
    config: tempfile::NamedTempFile,
}

impl Child {
    /// Serves with this Bedrock, and with additional configuration as YAML.
    pub(crate) async fn serve(endpoint_url: &str, more: &str) -> Self {
        Self::start(
            Command::new(env!("CARGO_BIN_EXE_bedrock-grpc")),
            endpoint_url,
            more,
        )
        .await
    }

    /// The same with this many file descriptors.
    pub(crate) async fn with_descriptors(count: usize, endpoint_url: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {count}; exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_bedrock-grpc"));
        Self::start(command, endpoint_url, "").await
    }

    async fn start(mut command: Command, endpoint_url: &str, more: &str) -> Self {
        let config = tempfile::NamedTempFile::new().unwrap();
        fs::write(config.path(), configuration(endpoint_url, more)).unwrap();
        let mut process = command
            .arg("serve")
            .arg("--config")
            .arg(config.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("AWS_ACCESS_KEY_ID", DEV_ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", DEV_SECRET_ACCESS_KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (logged, mut log) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // The test may have ended.
                let _read = logged.send(line);
            }
        });
        let serving = line_with(&mut log, "\"serving\"").await;
        let serving: serde_json::Value = serde_json::from_str(&serving).unwrap();
        let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        Self {
            process,
            log,
            address: address("address"),
            admin: address("admin"),
            endpoint_url: endpoint_url.to_owned(),
            config,
        }
    }

    /// Replaces the additional configuration, and waits until it applies to new calls.
    pub(crate) async fn reload(&mut self, more: &str) {
        fs::write(self.config.path(), configuration(&self.endpoint_url, more)).unwrap();
        self.logged("the configuration was reloaded").await;
    }

    /// Waits for a log line that contains this.
    pub(crate) async fn logged(&mut self, part: &str) -> String {
        line_with(&mut self.log, part).await
    }

    /// Waits for the end of a process after SIGTERM. Returns the lines of the log that were not
    /// read yet.
    pub(crate) async fn rest_of_log(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = soon(self.log.recv()).await {
            lines.push(line);
        }
        lines
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        let id = self.process.id().unwrap();
        // Uses the shell's `kill`, because sending a signal with a system call would need unsafe
        // code.
        let status = Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Waits for the end, and returns the exit code.
    pub(crate) async fn code(&mut self) -> Option<i32> {
        soon(self.process.wait()).await.unwrap().code()
    }

    /// Returns whether the process still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Returns its resident memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// Returns its maximum resident memory so far, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        self.status("VmHWM:")
    }

    /// Returns the CPU time that it has used so far, in all of its threads.
    pub(crate) fn cpu(&self) -> Duration {
        /// The kernel counts in hundredths of a second on every common platform.
        const TICK: Duration = Duration::from_millis(10);
        let id = self.process.id().unwrap();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        // The name, in parentheses, may hold spaces. `utime` and `stime` are fields 14 and 15.
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks = [11, 12].map(|index: usize| fields[index].parse::<u32>().unwrap());
        TICK * (ticks[0] + ticks[1])
    }

    fn status(&self, key: &str) -> usize {
        let id = self.process.id().unwrap();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib: usize = line
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        kib << 10
    }
}

fn configuration(endpoint_url: &str, more: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin:\n  listen: 127.0.0.1:0\nworkers: 2\nallowed_model_ids: ['*']\ndiscovery:\n  enabled: false\n\
         bedrock:\n  region: us-east-1\n  endpoint_url: {endpoint_url}\n{more}\n"
    )
}

async fn line_with(log: &mut mpsc::UnboundedReceiver<String>, part: &str) -> String {
    let mut before = Vec::new();
    loop {
        match soon(log.recv()).await {
            Some(line) if line.contains(part) => return line,
            Some(line) => before.push(line),
            None => panic!("it ended without {part:?}: {before:#?}"),
        }
    }
}
