//! The roles of the child processes. A child process is this program again, with its role as the
//! first argument. It prints one line when it is ready, and lives until its standard input ends.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bedrock_emulator::{
    DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options as EmulatorOptions, Pace,
};
use bedrock_grpc::{
    bedrock::Sdk,
    config::{self, Config, Limits, Server, Targets},
    server::{self, Listeners, Stop},
    telemetry,
};

use crate::{
    Error, attacks, hostile_bedrock,
    streams::{self, TOKENS_PER_SECOND},
};

/// The memory that the gateway may use for requests, in bytes: half of a container of 512 MiB.
pub(crate) const MEMORY: usize = 256 << 20;
/// The number of tokens of an answer. Answers take ten minutes, which is longer than the benchmark.
const TOKENS: usize = 6_000;

/// The role of a child process, with its parameters.
pub(crate) enum Role {
    /// The emulator of the well-behaved streams.
    Emulator,
    /// The emulator of the attacker's calls.
    AttackedEmulator,
    /// The gateway. The calls of attackers go to another endpoint than the well-behaved streams: an
    /// emulator that reads an attacker's 30 MiB sends tokens late, which is not caused by the
    /// gateway.
    Gateway {
        endpoint: String,
        attacked: String,
        hostile: String,
    },
    /// A Bedrock that attacks the gateway.
    HostileBedrock,
    /// A client that attacks the gateway.
    Attacker {
        name: String,
        grpc: SocketAddr,
        admin: SocketAddr,
    },
}

impl Role {
    /// Returns the arguments that start a child with this role.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            Self::Emulator => vec!["role-emulator".to_owned()],
            Self::AttackedEmulator => vec!["role-attacked-emulator".to_owned()],
            Self::Gateway {
                endpoint,
                attacked,
                hostile,
            } => vec![
                "role-gateway".to_owned(),
                endpoint.clone(),
                attacked.clone(),
                hostile.clone(),
            ],
            Self::HostileBedrock => vec!["role-hostile-bedrock".to_owned()],
            Self::Attacker { name, grpc, admin } => vec![
                "role-attacker".to_owned(),
                name.clone(),
                grpc.to_string(),
                admin.to_string(),
            ],
        }
    }

    /// Returns the role that arguments name, if any.
    pub(crate) fn of(arguments: &[String]) -> Option<Self> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            ["role-emulator"] => Some(Self::Emulator),
            ["role-attacked-emulator"] => Some(Self::AttackedEmulator),
            ["role-gateway", endpoint, attacked, hostile] => Some(Self::Gateway {
                endpoint: endpoint.to_owned(),
                attacked: attacked.to_owned(),
                hostile: hostile.to_owned(),
            }),
            ["role-hostile-bedrock"] => Some(Self::HostileBedrock),
            ["role-attacker", name, grpc, admin] => Some(Self::Attacker {
                name: name.to_owned(),
                grpc: grpc.parse().ok()?,
                admin: admin.parse().ok()?,
            }),
            _ => None,
        }
    }

    /// Runs the role until standard input ends.
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Self::Emulator | Self::AttackedEmulator => emulate(),
            Self::Gateway {
                endpoint,
                attacked,
                hostile,
            } => serve(endpoint, attacked, hostile),
            Self::HostileBedrock => runtime()?.block_on(async {
                let (listener, address) = hostile_bedrock::listen().await?;
                say(&[("http", address.to_string())])?;
                std::thread::spawn(until_the_parent_goes);
                hostile_bedrock::serve(listener).await
            }),
            Self::Attacker { name, grpc, admin } => {
                say(&[("attacker", name.clone())])?;
                std::thread::spawn(until_the_parent_goes);
                runtime()?.block_on(attacks::run(&name, grpc, admin))
            }
        }
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn emulate() -> Result<(), Error> {
    let mut pace = Pace::tokens_per_second(Duration::from_millis(100), TOKENS_PER_SECOND);
    pace.tokens = TOKENS.try_into().ok();
    let emulator = Emulator::start(EmulatorOptions {
        pace,
        ..EmulatorOptions::default()
    })?;
    say(&[("http", emulator.addr().to_string())])?;
    until_the_parent_goes();
    Ok(())
}

fn serve(endpoint: String, attacked: String, hostile: String) -> Result<(), Error> {
    let at = |url| config::bedrock::Endpoints {
        endpoint_url: Some(url),
        ..config::bedrock::Endpoints::default()
    };
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
            endpoint_url: Some(attacked),
            endpoints: BTreeMap::from([
                (streams::REGION.to_owned(), at(endpoint)),
                (hostile_bedrock::REGION.to_owned(), at(hostile)),
            ]),
            ..config::bedrock::BedrockOptions::default()
        },
        limits: Limits {
            memory: Some(MEMORY),
            default_deadline: Duration::from_secs(3_600),
            ..Limits::default()
        },
        ..Config::default()
    };
    let _log = telemetry::log::start(&config.log)?;
    let sdk = Sdk::with_credentials(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, &config.bedrock)?;
    let listeners = Listeners::bind(&config)?;
    say(&[
        ("grpc", listeners.grpc.local_addr()?.to_string()),
        ("admin", listeners.admin.local_addr()?.to_string()),
    ])?;
    std::thread::spawn(until_the_parent_goes);
    Ok(runtime()?.block_on(server::run(config, sdk, listeners, Stop::default()))?)
}

/// Sends a line to the parent process.
fn say(pairs: &[(&str, String)]) -> io::Result<()> {
    let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", pairs.join(" "))?;
    out.flush()
}

fn until_the_parent_goes() {
    let _end = io::copy(&mut io::stdin().lock(), &mut io::sink());
    std::process::exit(0);
}
