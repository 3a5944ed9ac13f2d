//! An emulator and a gateway in front of it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options, Pace};
use bedrock_grpc::{
    bedrock::Sdk,
    config::{self, Alias, Config, RouteOptions, Server, Targets},
    pb::inference_service_client::InferenceServiceClient,
    server::{self, Listeners, Stop},
};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::Error;

/// The source Regions.
pub(crate) const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];
/// A model that is available on demand in all these Regions, and through a profile.
pub(crate) const MODEL: &str = "amazon.nova-lite-v1:0";
pub(crate) const PROFILE: &str = "us.amazon.nova-lite-v1:0";

/// The time that an unloaded call takes.
const FIRST_TOKEN: Duration = Duration::from_millis(50);
const TOKEN: Duration = Duration::from_millis(10);
const TOKENS: usize = 10;

/// An emulator and a gateway in front of it, both in this process.
pub(crate) struct Stage {
    pub(crate) emulator: Emulator,
    channel: Channel,
    running: JoinHandle<std::io::Result<()>>,
}

impl Stage {
    /// Starts them with one target `t`: this model ID in these source Regions, all with equal
    /// order.
    pub(crate) async fn start(model_id: &str, regions: &[&str]) -> Result<Self, Error> {
        let emulator = Emulator::start(Options {
            pace: Pace {
                time_to_first_token: FIRST_TOKEN,
                inter_token_delay: TOKEN,
                tokens: TOKENS.try_into().ok(),
            },
            ..Options::default()
        })?;
        let route = RouteOptions {
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            ..RouteOptions::to(model_id)
        };
        let alias = Alias {
            routes: vec![route],
            ..Alias::default()
        };
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = Config {
            server: Server {
                listen: local,
                admin: local,
                workers: 1,
                ..Server::default()
            },
            targets: Targets {
                aliases: [("t".to_owned(), alias)].into(),
                ..Targets::default()
            },
            bedrock: config::bedrock::BedrockOptions {
                region: Some(REGIONS[0].to_owned()),
                endpoint_url: Some(emulator.endpoint_url()),
                ..config::bedrock::BedrockOptions::default()
            },
            ..Config::default()
        };
        let sdk = Sdk::with_credentials(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, &config.bedrock)?;
        let listeners = Listeners::bind(&config)?;
        let address = listeners.grpc.local_addr()?;
        let running = tokio::spawn(server::run(config, sdk, listeners, Stop::default()));
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .initial_connection_window_size(64 << 20)
            .connect()
            .await?;
        Ok(Self {
            emulator,
            channel,
            running,
        })
    }

    pub(crate) fn client(&self) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(self.channel.clone())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.running.abort();
    }
}
