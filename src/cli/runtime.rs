//! Runs a command on the current thread.

use std::io;

/// Runs a command on the current thread. More threads are not needed, because a client command uses
/// a single connection.
pub(super) fn block_on<T>(command: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(command);
    // The shutdown does not wait for blocked threads, for example one that reads from a file system
    // that does not respond.
    runtime.shutdown_background();
    result
}
