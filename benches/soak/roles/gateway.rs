//! The gateway as `serve` runs it: SigV4, metrics, a log line for each call (which the parent
//! process discards).

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY};
use bedrock_grpc::{
    bedrock::Sdk,
    config::{self, Config, Limits, Server, Targets},
    server::{self, Listeners, Stop},
    telemetry,
};

use crate::Error;

/// The emulator does not see attempts that cannot connect; a busy machine may be slow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// Short, so that connections to Bedrock open and close all the time, and an idle gateway soon has
/// none.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Some loads need more slots than the default.
const MOST_STREAMS: usize = 10_000;

pub(super) fn run(endpoint: String) -> Result<(), Error> {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config {
        server: Server {
            listen: local,
            admin: local,
            ..Server::default()
        },
        targets: Targets {
            allowed_model_ids: vec!["*".to_owned()],
            ..Targets::default()
        },
        bedrock: config::bedrock::BedrockOptions {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint),
            idle_timeout: IDLE_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            ..config::bedrock::BedrockOptions::default()
        },
        limits: Limits {
            max_streams: MOST_STREAMS,
            ..Limits::default()
        },
        ..Config::default()
    };
    let _log = telemetry::log::start(&config.log)?;
    let sdk = Sdk::with_credentials(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, &config.bedrock)?;
    let listeners = Listeners::bind(&config)?;
    super::say(&[
        ("grpc", listeners.grpc.local_addr()?.to_string()),
        ("admin", listeners.admin.local_addr()?.to_string()),
    ])?;
    std::thread::spawn(|| {
        // The figures of this process are in /metrics, so the parent process does not request them
        // here.
        let _parent_gone = super::answer(Vec::new);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(server::run(config, sdk, listeners, Stop::default()))?)
}
