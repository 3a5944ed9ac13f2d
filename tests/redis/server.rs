//! A real `redis-server` on a free port, with a folder that is deleted afterwards. Unit tests and
//! tests of the gateway share this file.

use std::{
    net::TcpListener,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::FromRedisValue;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

/// Longer than a start can take, on a slow machine under load.
const SOON: Duration = Duration::from_secs(60);

/// Lines of a log.
type Log = Arc<Mutex<Vec<String>>>;

/// A running server.
pub(crate) struct RedisServer {
    child: Child,
    /// The lines of its log since it started.
    log: Log,
    /// Reads the log, and ends with it.
    reader: JoinHandle<()>,
    port: u16,
    args: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// A server that keeps acknowledged writes and evicts nothing.
    pub(crate) async fn start() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// A server with these settings.
    pub(crate) async fn with(args: &[&str]) -> Self {
        Self::of(tempfile::tempdir().unwrap(), args).await
    }

    /// Another server, which begins with the data that this one has written.
    pub(crate) async fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_files(self.folder.path(), folder.path());
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        Self::of(folder, &args).await
    }

    async fn of(folder: TempDir, args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        // Another process may take the port first.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            if let Some((child, log, reader)) = spawn(port, &args, &folder).await {
                return Self {
                    child,
                    log,
                    reader,
                    port,
                    args,
                    folder,
                };
            }
        }
        panic!("redis-server did not start with {args:?}");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it with SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Ends it with SIGKILL, and returns the lines of its log that contain this word.
    pub(crate) async fn kill_and_read_log(&mut self, word: &str) -> Vec<String> {
        self.kill().await;
        (&mut self.reader).await.unwrap();
        let log = self.log.lock().unwrap().clone();
        log.into_iter().filter(|line| line.contains(word)).collect()
    }

    /// Starts it again, after [`Self::kill`], with the data that it has written.
    pub(crate) async fn restart(&mut self) {
        let started = spawn(self.port, &self.args, &self.folder).await;
        (self.child, self.log, self.reader) = started.expect("it started before");
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap();
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {id}")])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// The lines of its log that contain this word, up to now.
    pub(crate) async fn log_of(&self, word: &str) -> Vec<String> {
        let mark = "the log is read up to here";
        let mut eval = redis::cmd("EVAL");
        eval.arg(format!("redis.log(redis.LOG_WARNING, '{mark}')"))
            .arg(0);
        let client = redis::Client::open(("127.0.0.1".to_owned(), self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        eval.exec_async(&mut connection).await.unwrap();
        loop {
            let log = self.log.lock().unwrap().clone();
            if log.iter().any(|line| line.contains(mark)) {
                return log.into_iter().filter(|line| line.contains(word)).collect();
            }
            tokio::task::yield_now().await;
        }
    }

    /// Sends a command, written as for `redis-cli`.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        let address = ("127.0.0.1".to_owned(), self.port);
        let client = redis::Client::open(address).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        command.query_async(&mut connection).await.unwrap()
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_files(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Collects the log. Without a reader, the pipe would fill up and the server would block.
async fn follow(output: BufReader<ChildStdout>, log: Log) {
    let mut lines = output.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.lock().unwrap().push(line);
    }
}

/// Starts the program, and waits until it accepts connections. `None` if it ended.
async fn spawn(
    port: u16,
    args: &[String],
    folder: &TempDir,
) -> Option<(Child, Log, JoinHandle<()>)> {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--dir"])
        .arg(folder.path())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("redis-server is needed");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        let read = timeout(SOON, output.read_line(&mut line)).await;
        if read.expect("redis-server hangs").unwrap() == 0 {
            return None;
        }
        if line.contains("eady to accept connections") {
            let log = Log::default();
            let reader = tokio::spawn(follow(output, Arc::clone(&log)));
            return Some((child, log, reader));
        }
    }
}
