//! Reads records while the gateway writes them.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe,
};

use crate::harness::soon;

/// A named pipe in place of a file, so that tests can wait for each record.
pub(crate) struct Records {
    folder: TempDir,
    lines: BufReader<pipe::Receiver>,
}

impl Records {
    pub(crate) fn create() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("usage.jsonl");
        let status = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        // Also open for writing, so that the pipe does not end when the gateway closes it.
        let receiver = pipe::OpenOptions::new()
            .read_write(true)
            .open_receiver(&path)
            .unwrap();
        Self {
            folder,
            lines: BufReader::new(receiver),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("usage.jsonl")
    }

    /// Waits for the next record.
    pub(crate) async fn next(&mut self) -> Value {
        let mut line = String::new();
        soon(self.lines.read_line(&mut line)).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The records that were not read yet, when the gateway has stopped.
    pub(crate) fn rest(&mut self) -> Vec<Value> {
        let mut bytes = self.lines.buffer().to_vec();
        let mut more = [0; 65_536];
        while let Ok(count) = self.lines.get_ref().try_read(&mut more) {
            bytes.extend_from_slice(&more[..count]);
        }
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}
