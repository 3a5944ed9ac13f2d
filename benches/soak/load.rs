//! Makes a number of concurrent calls. Each one is followed by the next one.

use std::{cell::RefCell, collections::BTreeMap, fmt, net::SocketAddr, rc::Rc, time::Duration};

use bedrock_grpc::pb::inference_service_client::InferenceServiceClient;
use tokio::{task::LocalSet, time::Instant};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

use crate::{
    Error,
    call::{self, Outcome},
    plan::Plan,
};

/// Connections as from the replicas of some services.
const CONNECTIONS: usize = 8;
/// The budget for unread small frames, which h2 counts, depends on this window.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// Longer than any call takes, even on a busy machine.
const LONGEST_CALL: Duration = Duration::from_secs(120);
/// The maximum number of mistakes that are printed.
const TELL: usize = 5;

/// The outcome of all calls, as their clients saw it.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) calls: u64,
    /// Calls that ended, by code.
    pub(crate) ended: BTreeMap<i32, u64>,
    /// The number of calls whose clients disconnected after some messages.
    pub(crate) cancelled: u64,
    /// The number of calls whose clients disconnected before the first message.
    pub(crate) early: u64,
    /// Attempts that the gateway reports.
    pub(crate) attempts: u64,
    deltas: u64,
    mistakes: Vec<String>,
}

impl Counted {
    fn count(&mut self, result: Result<Outcome, String>) {
        self.calls += 1;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(mistake) => return self.mistakes.push(mistake),
        };
        self.deltas += outcome.deltas as u64;
        self.attempts += outcome.attempts as u64;
        match outcome.code {
            Some(code) => *self.ended.entry(code.into()).or_default() += 1,
            None if outcome.early => self.early += 1,
            None => self.cancelled += 1,
        }
    }

    /// The calls with a wrong outcome, as texts.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.mistakes.iter().take(TELL).cloned().collect();
        if self.mistakes.len() > TELL {
            wrong.push(format!("and {} more calls", self.mistakes.len() - TELL));
        }
        wrong
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clients: {} calls, {} tokens;", self.calls, self.deltas)?;
        for (code, count) in &self.ended {
            write!(f, " {:?} {count},", Code::from(*code))?;
        }
        writeln!(
            f,
            " cancelled {}, cancelled before the first message {}, wrong {}",
            self.cancelled,
            self.early,
            self.mistakes.len()
        )
    }
}

/// Makes calls for this time, at least one in each of `streams` slots, and then waits for the open
/// ones.
pub(crate) async fn run(
    address: SocketAddr,
    streams: usize,
    length: Duration,
    seed: u64,
) -> Result<Counted, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(1 << 20);
    let mut channels: Vec<Channel> = Vec::new();
    for _ in 0..CONNECTIONS.min(streams) {
        channels.push(endpoint.connect().await?);
    }
    let counted = Rc::new(RefCell::new(Counted::default()));
    let random = Rc::new(RefCell::new(fastrand::Rng::with_seed(seed)));
    let begun = Instant::now();
    let slots = LocalSet::new();
    for slot in 0..streams {
        let client = InferenceServiceClient::new(channels[slot % channels.len()].clone());
        let (counted, random) = (Rc::clone(&counted), Rc::clone(&random));
        let mut number = slot as u64;
        slots.spawn_local(async move {
            loop {
                let plan = Plan::next(number, &mut random.borrow_mut());
                number += streams as u64;
                let made = call::make(&plan, client.clone());
                let result = tokio::time::timeout(LONGEST_CALL, made)
                    .await
                    .unwrap_or_else(|_| Err(format!("a call hangs: {:?}", plan.fate)));
                counted.borrow_mut().count(result);
                if begun.elapsed() >= length {
                    return;
                }
            }
        });
    }
    slots.await;
    Ok(counted.take())
}
