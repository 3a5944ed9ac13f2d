//! Reads the files that an operator names, each up to a maximum size.
//!
//! While the gateway runs, it reads only regular files. Other files can block, be endless, or be
//! empty when they are read a second time.

use std::{fs::File, io::Read, path::Path};

/// The maximum size of a configuration file or a keys file, enough for about 100,000 callers.
pub const MAX_LIST: u64 = 32 << 20;
/// The maximum size of a PEM file, such as a file of certificates.
pub const MAX_PEM: u64 = 4 << 20;
/// The maximum size of a file with one value, ample for a password, a token or a URL.
pub const MAX_SECRET: u64 = 64 << 10;

/// Reads a regular file. A symbolic link is followed.
///
/// # Errors
/// Fails if it cannot be read, is not a regular file, or is larger than `most` bytes. The message
/// does not name the file.
pub fn read_regular(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    // The type is checked before the file is opened, because opening a device can have side
    // effects.
    regular(&std::fs::metadata(path).map_err(unreadable)?)?;
    // The type is checked again, because another file can have replaced this one in the meantime.
    let file = open(path).map_err(unreadable)?;
    regular(&file.metadata().map_err(unreadable)?)?;
    read_all(file, most)
}

/// Reads a file, which can be a pipe. Reads a pipe until its writer closes it.
///
/// # Errors
/// Fails if it cannot be read, or is larger than `most` bytes.
pub(super) fn read_any(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    read_all(File::open(path).map_err(unreadable)?, most)
}

/// Opens a file without waiting for a writer, if the file is a FIFO.
#[cfg(unix)]
fn open(path: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(unix))]
fn open(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

fn regular(metadata: &std::fs::Metadata) -> Result<(), String> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err("is not a regular file".to_owned()),
    }
}

fn read_all(file: File, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 <= most {
        return Ok(bytes);
    }
    let (size, unit) = match most >> 20 {
        0 => (most >> 10, "KiB"),
        size => (size, "MiB"),
    };
    Err(format!("is larger than {size} {unit}"))
}

fn unreadable(error: std::io::Error) -> String {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => "; check the path",
        std::io::ErrorKind::PermissionDenied => "; let the user of this process read it",
        _ => "",
    };
    format!("cannot be read: {error}{hint}")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_maximum_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        std::fs::write(&path, [b'a'; 1024]).unwrap();
        assert_eq!(read_regular(&link, 1024).unwrap().len(), 1024);
        std::fs::write(&path, [b'a'; 1025]).unwrap();
        let larger = Err("is larger than 1 KiB".to_owned());
        assert_eq!(read_regular(&path, 1024), larger);
        assert_eq!(read_any(Path::new("/dev/zero"), 1024), larger);
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        for path in ["/dev/zero", "/dev/stdin", "/"] {
            let path = Path::new(path);
            if !path.is_file() {
                let refused = Err("is not a regular file".to_owned());
                assert_eq!(read_regular(path, 1024), refused);
            }
        }
    }
}
