//! An emulator and a gateway in front of it.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options, Pace};
use bedrock_grpc::{
    access::key::Secret,
    bedrock::Sdk,
    config::{
        self, Access, Alias, ApiKey, CallerOptions, Config, RecordFile, RouteOptions, Server,
        Targets,
    },
    pb::inference_service_client::InferenceServiceClient,
    server::{self, Listeners, Stop},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
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
    key: Secret,
    stop: Stop,
    running: JoinHandle<std::io::Result<()>>,
    folder: TempDir,
}

/// What a gateway calls: one target `t` in accounts and source Regions, all with equal order.
pub(crate) struct Scene<'a> {
    pub(crate) model_id: &'a str,
    pub(crate) regions: &'a [&'a str],
    /// The roles to assume, by the names of their accounts. If there are none, the gateway calls
    /// with its own identity.
    pub(crate) accounts: &'a [(&'a str, &'a str)],
    /// The lifetime of the roles' sessions. `None` for an hour.
    pub(crate) session: Option<Duration>,
}

impl Stage {
    /// Starts them with this model ID in these source Regions, in one account.
    pub(crate) async fn start(model_id: &str, regions: &[&str]) -> Result<Self, Error> {
        Self::of(Scene {
            model_id,
            regions,
            accounts: &[],
            session: None,
        })
        .await
    }

    /// Starts them for a scene.
    pub(crate) async fn of(scene: Scene<'_>) -> Result<Self, Error> {
        let emulator = Emulator::start(Options {
            pace: Pace {
                time_to_first_token: FIRST_TOKEN,
                inter_token_delay: TOKEN,
                tokens: TOKENS.try_into().ok(),
            },
            session_lifetime: scene.session,
            keep_calls: 100_000,
            ..Options::default()
        })?;
        let folder = TempDir::new()?;
        let key = Secret::generate()?;
        let caller = CallerOptions {
            keys: vec![ApiKey {
                sha256: key.sha256(),
                not_after: None,
            }],
            ..CallerOptions::default()
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let accounts: Vec<_> = scene.accounts.iter().map(|(name, _)| *name).collect();
        let route = RouteOptions {
            regions: names(scene.regions),
            accounts: names(&accounts),
            ..RouteOptions::to(scene.model_id)
        };
        let alias = Alias {
            routes: vec![route],
            ..Alias::default()
        };
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = Config {
            accounts: roles(scene.accounts)?,
            access: Access {
                required: true,
                callers: BTreeMap::from([("bench".to_owned(), caller)]),
                ..Access::default()
            },
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
        config.usage_records.file = Some(RecordFile::Path(records(&folder)));
        let sdk = Sdk::with_credentials(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, &config.bedrock)?;
        let listeners = Listeners::bind(&config)?;
        let address = listeners.grpc.local_addr()?;
        let stop = Stop::default();
        let running = tokio::spawn(server::run(config, sdk, listeners, stop.clone()));
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .initial_connection_window_size(64 << 20)
            .connect()
            .await?;
        Ok(Self {
            emulator,
            channel,
            key,
            stop,
            running,
            folder,
        })
    }

    /// Returns the key of the caller.
    pub(crate) fn key(&self) -> &str {
        self.key.reveal()
    }

    /// Returns a document of the emulator's control API.
    pub(crate) async fn control(&self, path: &str) -> Result<serde_json::Value, Error> {
        let mut tcp = TcpStream::connect(self.emulator.addr()).await?;
        let request = format!(
            "GET /_emulator/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
        Ok(serde_json::from_str(body)?)
    }

    /// Stops the gateway in order, and returns the usage records of all calls.
    pub(crate) async fn records(mut self) -> Result<Vec<serde_json::Value>, Error> {
        self.stop.drain.cancel();
        (&mut self.running).await??;
        let text = std::fs::read_to_string(records(&self.folder))?;
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.collect::<Result<_, _>>()?)
    }

    pub(crate) fn client(&self) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(self.channel.clone())
    }
}

fn records(folder: &TempDir) -> PathBuf {
    folder.path().join("usage.jsonl")
}

/// Returns the configuration of accounts, by their names.
fn roles(accounts: &[(&str, &str)]) -> Result<BTreeMap<String, config::AccountOptions>, Error> {
    let lines = accounts
        .iter()
        .map(|(name, role)| format!("  {name}: {{role_arn: '{role}'}}\n"));
    if accounts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let text = format!("accounts:\n{}", lines.collect::<String>());
    let config = Config::parse(&text, &|_| None).map_err(|problems| format!("{problems:?}"))?;
    Ok(config.accounts)
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.running.abort();
    }
}
