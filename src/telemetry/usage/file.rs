//! Writes usage records as JSON lines to a file or to standard output.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    record::UsageRecord,
    writer::{Sink, SinkFailure},
};

/// A sink that writes JSON lines.
pub(super) struct JsonLines<W> {
    output: W,
    /// The number of bytes of the first record that were already written before a failure.
    begun: usize,
}

/// A file that can be rotated: if it was renamed or deleted, it is opened again.
pub(super) struct RotatedFile {
    path: PathBuf,
    open: Option<File>,
}

/// An output to which lines are written.
pub(super) trait Output: Send + 'static {
    /// Returns the output to write to, and whether it was just opened.
    fn ready(&mut self) -> io::Result<(&mut dyn Write, bool)>;
}

/// Standard output without the lock and the buffer of [`io::stdout`]. Other threads would wait for
/// the lock while a write blocks, and lines in the buffer would count as written.
pub(super) struct StandardOutput(File);

impl StandardOutput {
    /// Opens standard output.
    ///
    /// # Errors
    /// Fails if the process has no file descriptors left.
    pub(super) fn open() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self(File::from(stdout)))
    }
}

impl Output for StandardOutput {
    fn ready(&mut self) -> io::Result<(&mut dyn Write, bool)> {
        Ok((&mut self.0, false))
    }
}

impl RotatedFile {
    pub(super) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            open: None,
        }
    }

    /// Returns whether the path still names the open file.
    fn is_current(&self) -> bool {
        let Some(open) = &self.open else {
            return false;
        };
        let (Ok(open), Ok(current)) = (open.metadata(), std::fs::metadata(&self.path)) else {
            return false;
        };
        (open.dev(), open.ino()) == (current.dev(), current.ino())
    }
}

impl Output for RotatedFile {
    fn ready(&mut self) -> io::Result<(&mut dyn Write, bool)> {
        let is_new = !self.is_current();
        if is_new {
            self.open = None;
        }
        let file = match &mut self.open {
            Some(file) => file,
            none => none.insert(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&self.path)?,
            ),
        };
        Ok((file, is_new))
    }
}

impl<W: Output> JsonLines<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, begun: 0 }
    }

    /// Writes lines. Also returns the number of bytes that were written, even if writing fails.
    fn lines(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let (output, is_new) = match self.output.ready() {
            Ok(ready) => ready,
            Err(error) => return (0, Err(error)),
        };
        // The remaining bytes of a line belong in the file that contains its beginning.
        let start = if is_new { 0 } else { self.begun };
        let mut at = start;
        while let Some(rest) = lines.get(at..).filter(|rest| !rest.is_empty()) {
            match output.write(rest) {
                Ok(0) => return (at, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (at, Err(error)),
            }
        }
        (at, output.flush())
    }
}

impl<W: Output> Sink for JsonLines<W> {
    fn name(&self) -> &'static str {
        "file"
    }

    fn write(&mut self, records: &[Arc<UsageRecord>]) -> Result<(), SinkFailure> {
        let mut lines = Vec::new();
        let mut ends = Vec::with_capacity(records.len());
        for record in records {
            record.write_line(&mut lines);
            ends.push(lines.len());
        }
        let (bytes, outcome) = self.lines(&lines);
        let written = ends.iter().take_while(|end| **end <= bytes).count();
        let whole = written.checked_sub(1).map_or(0, |last| ends[last]);
        self.begun = bytes - whole;
        outcome.map_err(|error| SinkFailure {
            written,
            error: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::usage::record::tests::record;

    /// A disk that accepts these numbers of bytes, one for each write, and then is full.
    struct Disk {
        room: Vec<usize>,
        text: Vec<u8>,
        is_new: bool,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.room.pop().ok_or(io::ErrorKind::StorageFull)?;
            let count = bytes.len().min(room);
            self.text.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Disk {
        fn ready(&mut self) -> io::Result<(&mut dyn Write, bool)> {
            let is_new = std::mem::take(&mut self.is_new);
            Ok((self, is_new))
        }
    }

    fn sink(room: Vec<usize>) -> JsonLines<Disk> {
        JsonLines::new(Disk {
            room,
            text: Vec::new(),
            is_new: false,
        })
    }

    #[test]
    fn a_line_that_did_not_fit_is_completed_later() {
        let line = record().line();
        let mut sink = sink(vec![line.len() + 10]);
        let records = [record(), record()];
        let failure = sink.write(&records).unwrap_err();
        assert_eq!(failure.written, 1);
        sink.output.room = vec![usize::MAX];
        sink.write(&records[1..]).unwrap();
        assert_eq!(sink.output.text, line.repeat(2));
    }

    #[test]
    fn a_new_file_begins_with_a_whole_line() {
        let line = record().line();
        let mut sink = sink(vec![10]);
        assert_eq!(sink.write(&[record()]).unwrap_err().written, 0);
        sink.output.room = vec![usize::MAX];
        sink.output.is_new = true;
        sink.output.text.clear();
        sink.write(&[record()]).unwrap();
        assert_eq!(sink.output.text, line);
    }
}
