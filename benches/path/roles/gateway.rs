//! The gateway as `serve` runs it: SigV4, metrics, a log line for each call (which the parent
//! process discards).

use std::net::{Ipv4Addr, SocketAddr};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY};
use bedrock_grpc::{
    bedrock::Sdk,
    config::{self, Config, Limits, Server, Targets},
    server::{self, Listeners, Stop},
    telemetry,
};

use crate::Error;

pub(super) async fn run(
    endpoint: String,
    places: usize,
    ca_file: Option<String>,
) -> Result<(), Error> {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config {
        server: Server {
            listen: local,
            admin: local,
            // The same number as the byte proxy has.
            workers: 1,
            ..Server::default()
        },
        targets: Targets {
            allowed_model_ids: vec!["*".to_owned()],
            ..Targets::default()
        },
        bedrock: config::bedrock::BedrockOptions {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint),
            extra_ca_file: ca_file.map(Into::into),
            // Enough for 20,000 streams, of which the emulator allows 100 per connection.
            max_connections: 400,
            ..config::bedrock::BedrockOptions::default()
        },
        limits: Limits {
            max_streams: places,
            max_streams_per_connection: u32::try_from(places)?,
            ..Limits::default()
        },
        ..Config::default()
    };
    let _log = telemetry::log::start(&config.log)?;
    let sdk = Sdk::with_credentials(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, &config.bedrock)?;
    let listeners = Listeners::bind(&config)?;
    super::ready(&[("grpc", listeners.grpc.local_addr()?.to_string())])?;
    Ok(server::run(config, sdk, listeners, Stop::default()).await?)
}
