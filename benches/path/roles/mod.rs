//! The roles of the child processes. A child process is this program again, with its role as the
//! first argument.
//!
//! A child process prints its addresses as one line of `name=value` pairs on standard output. It
//! lives until its standard input ends, so no child outlives the bench.

mod emulator;
mod gateway;
mod proxy;
mod recording;

use std::{
    io::{self, Read as _, Write as _},
    net::SocketAddr,
};

use crate::Error;

/// The role of a child process, with its parameters.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// The emulator, which answers with this many tokens at this pace.
    Emulator {
        tokens: usize,
        tokens_per_second: f64,
    },
    /// The gateway in front of this endpoint, with an optional CA to trust, and slots for this many
    /// calls.
    Gateway {
        endpoint: String,
        places: usize,
        ca_file: Option<String>,
    },
    /// The byte proxy in front of this address.
    Proxy { upstream: SocketAddr },
}

impl Role {
    /// Returns the arguments that start a child with this role.
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

    /// Returns the role that arguments name, if any.
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

    /// Runs the role until standard input ends.
    pub(crate) fn run(self) -> Result<(), Error> {
        std::thread::spawn(|| {
            let _ended = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
        // One thread each, in addition to the gateway's workers, so that all sides can use the same
        // number of cores.
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

/// Reports to the parent process the addresses on which this child listens.
fn ready(pairs: &[(&str, String)]) -> io::Result<()> {
    let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", pairs.join(" "))?;
    out.flush()
}
