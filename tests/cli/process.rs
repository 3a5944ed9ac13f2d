//! The real binary as a child process.

use std::{net::SocketAddr, process::Stdio};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A running command.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    read: String,
}

/// The exit code of a command, and its whole output.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a command against a gateway. Standard input is open and empty.
    pub(crate) fn start(gateway: SocketAddr, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
            .args(args)
            .env_clear()
            .env("BEDROCK_GRPC_ADDRESS", format!("http://{gateway}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            read: String::new(),
        }
    }

    /// Starts a command with this text as its whole standard input.
    pub(crate) async fn with_input(gateway: SocketAddr, args: &[&str], input: &str) -> Self {
        let mut process = Self::start(gateway, args);
        process.write(input).await;
        process.close_stdin();
        process
    }

    /// Writes to standard input.
    pub(crate) async fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// Ends standard input.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until standard output holds this.
    pub(crate) async fn wrote(&mut self, text: &str) {
        let stdout = self.stdout.as_mut().unwrap();
        let mut buffer = [0; 1024];
        while !self.read.contains(text) {
            let length = stdout.read(&mut buffer).await.unwrap();
            assert!(length > 0, "standard output ended with {:?}", self.read);
            self.read
                .push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    #[cfg(unix)]
    pub(crate) async fn interrupt(&self) {
        let id = self.child.id().unwrap();
        // Uses the shell's `kill`, because sending a signal with a system call would need unsafe
        // code.
        let status = Command::new("sh")
            .args(["-c", &format!("kill -INT {id}")])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Closes the pipe that receives standard output.
    pub(crate) fn stop_reading(&mut self) {
        self.stdout = None;
    }

    /// Waits until the command ends by itself, with standard input still open. Returns the exit
    /// code.
    pub(crate) async fn code(&mut self) -> Option<i32> {
        self.child.wait().await.unwrap().code()
    }

    /// Ends standard input and waits for the end.
    pub(crate) async fn end(mut self) -> Ended {
        self.close_stdin();
        let rest = async {
            let mut rest = String::new();
            if let Some(mut stdout) = self.stdout {
                stdout.read_to_string(&mut rest).await.unwrap();
            }
            rest
        };
        let (output, rest) = tokio::join!(self.child.wait_with_output(), rest);
        let output = output.unwrap();
        Ended {
            code: output.status.code(),
            stdout: self.read + &rest,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
