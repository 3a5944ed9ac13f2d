//! What the children do. A child is this program again, with the role as its first argument.
//!
//! A child says where it listens, as one line of `name=value` pairs on standard output, and lives until its standard input ends: so
//! none outlives the bench.

mod emulator;
mod gateway;
mod proxy;
mod recording;

use std::{
    io::{self, Read as _, Write as _},
    net::SocketAddr,
};

use crate::Error;

/// What a child is, and all that it has to know.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// The emulator, which answers with so many tokens at this pace.
    Emulator {
        tokens: usize,
        tokens_per_second: f64,
    },
    /// The gateway in front of this endpoint, which may need a CA to be trusted, with places for so many calls.
    Gateway {
        endpoint: String,
        places: usize,
        ca_file: Option<String>,
    },
    /// The byte proxy in front of this address.
    Proxy { upstream: SocketAddr },
}

impl Role {
    /// The arguments that make a child of this role.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            Self::Emulator {
                tokens,
                tokens_per_second,
            } => vec![
                "role-emulator".to_owned(),
                tokens.to_string(),
                tokens_per_second.to_string(),
            ],
            Self::Gateway {
                endpoint,
                places,
                ca_file,
            } => [
                "role-gateway".to_owned(),
                endpoint.clone(),
                places.to_string(),
            ]
            .into_iter()
            .chain(ca_file.clone())
            .collect(),
            Self::Proxy { upstream } => vec!["role-proxy".to_owned(), upstream.to_string()],
        }
    }

    /// The role that arguments say, if they say any.
    pub(crate) fn of(arguments: &[String]) -> Result<Option<Self>, Error> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Ok(Some(match arguments[..] {
            ["role-emulator", tokens, rate] => Self::Emulator {
                tokens: tokens.parse()?,
                tokens_per_second: rate.parse()?,
            },
            ["role-gateway", endpoint, places, ref ca_file @ ..] => Self::Gateway {
                endpoint: endpoint.to_owned(),
                places: places.parse()?,
                ca_file: ca_file.first().map(|file| (*file).to_owned()),
            },
            ["role-proxy", upstream] => Self::Proxy {
                upstream: upstream.parse()?,
            },
            _ => return Ok(None),
        }))
    }

    /// Plays the role until standard input ends.
    pub(crate) fn run(self) -> Result<(), Error> {
        std::thread::spawn(|| {
            let _ended = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
        // One thread each, the gateway's workers aside: what is compared has the same number of cores.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            match self {
                Self::Emulator {
                    tokens,
                    tokens_per_second,
                } => emulator::run(tokens, tokens_per_second).await,
                Self::Gateway {
                    endpoint,
                    places,
                    ca_file,
                } => gateway::run(endpoint, places, ca_file).await,
                Self::Proxy { upstream } => proxy::run(upstream).await,
            }
        })
    }
}

/// Tells the parent where this child listens.
fn ready(pairs: &[(&str, String)]) -> io::Result<()> {
    let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", pairs.join(" "))?;
    out.flush()
}
