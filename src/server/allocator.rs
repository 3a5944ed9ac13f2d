//! A setting of glibc's allocator: freed buffers of large messages go back to the system.

/// The size from which the allocator asks the system for each buffer, and gives it back when it is
/// freed, in bytes. It is glibc's first value.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 128 << 10;

/// Keeps the allocator from raising its threshold for large buffers.
///
/// By default, glibc raises it to the size of the largest buffer that was freed, up to 32 MiB.
/// Later buffers of large messages are then parts of the heaps of their threads, which keep free
/// memory. The gateway took 50 to 150 MiB more than its budget in this way.
pub(super) fn return_large_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "no library has a safe function for it, and a variable of the environment takes effect only before the start"
    )]
    // SAFETY: mallopt takes two integers, locks the allocator, and may be called at any time.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) } == 1;
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if !set {
        tracing::warn!("cannot set the allocator's threshold for large buffers");
    }
}
