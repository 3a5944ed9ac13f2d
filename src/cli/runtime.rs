//! Runs client commands.

use std::io;

/// Runs a client command on the current thread: a single connection needs no other threads.
pub(super) fn block_on<T>(command: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(command)
}
