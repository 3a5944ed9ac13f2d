//! Runs commands.

use std::io;

/// Runs a command on the current thread: a single connection needs no other threads.
pub(super) fn block_on<T>(command: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(command);
    // A thread can be blocked by a file system that does not answer.
    runtime.shutdown_background();
    result
}
