//! The command line: one file per subcommand.

#[cfg(feature = "emulator")]
pub mod emulate;
