//! The emulator, over HTTP and TLS. It replays one answer with pre-encoded frames, so that it needs
//! little of the CPU that it shares with what is measured.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bedrock_emulator::{Credentials, Emulator, Options, Pace};

use crate::Error;

pub(super) async fn run(tokens: usize, tokens_per_second: f64) -> Result<(), Error> {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let emulator = Emulator::start(Options {
        listen: local,
        tls_listen: Some(local),
        pace: Pace::tokens_per_second(Duration::ZERO, tokens_per_second),
        replay: Some(super::recording::of(tokens)?),
        // Bedrock's limit, as clients see it.
        max_concurrent_streams: 100,
        // The time for checking signatures is not part of the gateway's cost.
        credentials: Credentials {
            checked: false,
            ..Credentials::default()
        },
        // The log is not used.
        keep_calls: 1,
        ..Options::default()
    })?;
    let ca_file =
        std::env::temp_dir().join(format!("bedrock-grpc-bench-{}.pem", std::process::id()));
    std::fs::write(&ca_file, emulator.ca_pem().unwrap_or_default())?;
    super::ready(&[
        ("http", emulator.addr().to_string()),
        ("tls", emulator.tls_addr().unwrap_or(local).to_string()),
        ("ca_file", ca_file.display().to_string()),
    ])?;
    std::future::pending().await
}
