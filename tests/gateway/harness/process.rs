//! The real binary as a child process.

use std::{ffi::OsStr, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
};

use super::soon;

/// A running command.
pub(crate) struct Process {
    child: Child,
    /// `None`: it is discarded.
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Option<BufReader<ChildStderr>>,
    /// Everything that was read of standard error so far.
    log: String,
}

/// How a command ended, and what it wrote since the last read.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a command whose environment contains only these variables.
    pub(crate) fn start<'a>(
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let built = env!("CARGO_BIN_EXE_bedrock-grpc").to_owned();
        let binary = std::env::var("GATEWAY_BINARY").unwrap_or(built);
        let mut child = Command::new(binary)
            .args(args)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            stdout: child.stdout.take().map(BufReader::new),
            stderr: child.stderr.take().map(BufReader::new),
            log: String::new(),
            child,
        }
    }

    /// Reads standard output up to the first line that contains this text, and returns that line.
    pub(crate) async fn printed(&mut self, part: &str) -> String {
        line_with(self.stdout.as_mut().unwrap(), part).await.0
    }

    /// The same for standard error.
    pub(crate) async fn logged(&mut self, part: &str) -> String {
        let (line, read) = line_with(self.stderr.as_mut().unwrap(), part).await;
        self.log.push_str(&read);
        line
    }

    /// Everything that was read of standard error so far.
    pub(crate) fn log(&self) -> &str {
        &self.log
    }

    /// Reads and drops all further output. Without a reader, a process that writes much blocks once
    /// the pipe is full.
    pub(crate) fn discard_output(&mut self) {
        tokio::spawn(discard(self.stdout.take().unwrap()));
        tokio::spawn(discard(self.stderr.take().unwrap()));
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap();
        // Uses the shell's `kill`, because sending a signal with a system call would need unsafe
        // code.
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {id}")])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Waits for the end without reading, and then reads what the pipes hold.
    pub(crate) async fn end_unread(mut self) -> Ended {
        soon(self.child.wait()).await.unwrap();
        self.end().await
    }

    /// Waits for the end.
    pub(crate) async fn end(mut self) -> Ended {
        let (status, stdout, stderr) = soon(async {
            tokio::join!(
                self.child.wait(),
                rest(self.stdout.take()),
                rest(self.stderr.take()),
            )
        })
        .await;
        Ended {
            code: status.unwrap().code(),
            stdout,
            stderr,
        }
    }
}

/// Everything that is left.
async fn rest(output: Option<impl AsyncRead + Unpin>) -> String {
    let mut text = String::new();
    if let Some(mut output) = output {
        output.read_to_string(&mut text).await.unwrap();
    }
    text
}

async fn discard(mut output: impl AsyncRead + Unpin) {
    let _end = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
}

/// The first line that contains this, and everything up to it.
async fn line_with(lines: &mut BufReader<impl AsyncRead + Unpin>, part: &str) -> (String, String) {
    let mut read = String::new();
    loop {
        let start = read.len();
        let length = soon(lines.read_line(&mut read)).await.unwrap();
        assert!(length > 0, "no {part:?} in:\n{read}");
        if read[start..].contains(part) {
            return (read[start..].trim_end().to_owned(), read);
        }
    }
}
