//! The kinds of calls that are counted, over both protocols between the gateway and Bedrock.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::{
    Error,
    bedrock::Bedrock,
    callers::Callers,
    client::Client,
    gateway::{Counter, Gateway, Totals},
};

/// The protocol between the gateway and Bedrock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1 without TLS.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
}

/// The action that is repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `Invoke` with an answer of one token.
    Unary,
    /// `StreamInvoke` with fifty tokens, which Bedrock sends at once.
    Fifty,
    /// One token of a stream whose tokens arrive one by one.
    Paced,
}

/// The cost of one repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Instructions in user space, counted by callgrind.
    pub(crate) instructions: f64,
    /// System calls by name, counted by strace. Those below 0.02 are left out.
    pub(crate) system_calls: BTreeMap<String, f64>,
}

/// The number of repetitions in the shorter run. After these, connections are open and caches are
/// filled.
const FEW: usize = 40;
/// The number of additional repetitions in the longer run.
const MORE: usize = 100;
/// The number of system calls per repetition below which they are noise, such as those of timers
/// and of the allocator.
const RARE: f64 = 0.02;

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "http/2",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unary => "unary call",
            Self::Fifty => "stream of 50 tokens",
            Self::Paced => "paced token",
        })
    }
}

/// One figure that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    protocol: Protocol,
    kind: Kind,
    callers: Callers,
}

impl Scenario {
    /// Every kind of call over both protocols, and unary calls of identified callers.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for protocol in [Protocol::Http1, Protocol::Http2] {
            for kind in [Kind::Unary, Kind::Fifty, Kind::Paced] {
                all.push(Self {
                    protocol,
                    kind,
                    callers: Callers::Open,
                });
            }
        }
        all.extend(Callers::IDENTIFIED.map(Self::unary));
        all
    }

    /// A unary call with these callers.
    pub(crate) fn unary(callers: Callers) -> Self {
        Self {
            protocol: Protocol::Http1,
            kind: Kind::Unary,
            callers,
        }
    }

    /// Counts the calls. Keeps callgrind's profiles in the folder, if there is one: one of the
    /// shorter run, and one of the longer run.
    ///
    /// # Errors
    /// Fails if a process could not be started, if a call failed, or if a counter's output was
    /// unexpected.
    pub(crate) fn count(self, profiles: Option<&Path>) -> Result<Figures, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        count(&runtime, self, profiles)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.kind, self.protocol)?;
        match self.callers {
            Callers::Open => Ok(()),
            callers => write!(f, ", {callers}"),
        }
    }
}

fn count(runtime: &Runtime, scenario: Scenario, profiles: Option<&Path>) -> Result<Figures, Error> {
    let difference = |counter| -> Result<BTreeMap<String, f64>, Error> {
        let few = totals(runtime, counter, scenario, FEW, profiles)?;
        let many = totals(runtime, counter, scenario, FEW + MORE, profiles)?;
        Ok(many
            .into_iter()
            .map(|(name, count)| {
                let before = few.get(&name).copied().unwrap_or_default();
                (name, (count - before) / MORE as f64)
            })
            .collect())
    };
    let instructions = difference(Counter::Callgrind)?;
    let mut system_calls = difference(Counter::Strace)?;
    system_calls.retain(|_, count| *count >= RARE);
    Ok(Figures {
        instructions: instructions
            .get(Counter::INSTRUCTIONS)
            .copied()
            .ok_or("callgrind counted no instructions")?,
        system_calls,
    })
}

/// Returns the counts of a gateway from its start to its end, with this many repetitions.
fn totals(
    runtime: &Runtime,
    counter: Counter,
    scenario: Scenario,
    repetitions: usize,
    profiles: Option<&Path>,
) -> Result<Totals, Error> {
    let profile = profiles
        .filter(|_| matches!(counter, Counter::Callgrind))
        .map(|folder| {
            let name = scenario.to_string().replace([' ', '/', ','], "-");
            folder.join(format!("{name}.{repetitions}"))
        });
    let Scenario {
        protocol,
        kind,
        callers,
    } = scenario;
    runtime.block_on(async {
        let bedrock = Bedrock::start(protocol).await?;
        let gateway = Gateway::start(counter, &bedrock, callers)?;
        let mut client = Client::connect(gateway.address(), gateway.setup()).await?;
        match kind {
            Kind::Unary => {
                for _ in 0..repetitions {
                    bedrock.answer_at_once(1);
                    client.invoke().await?;
                }
            }
            Kind::Fifty => {
                for _ in 0..repetitions {
                    bedrock.answer_at_once(50);
                    client.stream_invoke(|| {}).await?;
                }
            }
            Kind::Paced => {
                let next = bedrock.answer_one_by_one(repetitions);
                client.stream_invoke(|| next.add_permits(1)).await?;
            }
        }
        drop(client);
        // On another thread, because this one must close the client's connection meanwhile.
        tokio::task::spawn_blocking(move || gateway.stop(profile.as_deref())).await?
    })
}
