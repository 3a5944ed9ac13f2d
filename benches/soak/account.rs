//! Checks that clients, gateway and emulator agree on the outcome of all calls.

use std::{collections::BTreeMap, fmt, time::Duration};

use bedrock_grpc::config::Limits;
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    Error,
    child::Child,
    load::Counted,
    metrics::{self, number, total},
};

/// The time limit for all sides to notice the last end, even on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// The counts of the gateway and the emulator.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    /// The gateway's ended calls, by code.
    gateway: BTreeMap<String, u64>,
    gateway_open: u64,
    /// Calls to Bedrock that the gateway reports as open.
    upstream_open: u64,
    emulator: BTreeMap<String, u64>,
}

impl Books {
    /// Waits until neither process has open calls, and reads their counts. After a time limit,
    /// reads them anyway.
    pub(crate) async fn of(gateway: &Child, emulator: &mut Child) -> Result<Self, Error> {
        let begun = Instant::now();
        loop {
            let metrics = metrics::read(gateway).await?;
            let books = Self {
                gateway: calls_by_code(&metrics)?,
                gateway_open: number(&metrics, "bedrock_grpc_open_calls ")?,
                upstream_open: total(&metrics, "bedrock_grpc_open_upstream_calls{")?,
                emulator: emulator.ask()?.into_iter().collect(),
            };
            let open = books.gateway_open + books.upstream_open + books.emulator("open");
            if open == 0 || begun.elapsed() > SETTLED_WITHIN {
                return Ok(books);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns the counts since an earlier reading.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        let less = |now: &mut BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            for (name, count) in now {
                *count -= before.get(name).copied().unwrap_or_default();
            }
        };
        less(&mut self.gateway, &before.gateway);
        less(&mut self.emulator, &before.emulator);
        self
    }

    fn emulator(&self, name: &str) -> u64 {
        self.emulator.get(name).copied().unwrap_or_default()
    }

    fn gateway(&self, code: Code) -> u64 {
        let name = match code {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::Unavailable => "UNAVAILABLE",
            Code::Internal => "INTERNAL",
            Code::DataLoss => "DATA_LOSS",
            // The plan has no other outcomes.
            _ => "",
        };
        self.gateway.get(name).copied().unwrap_or_default()
    }

    /// Returns the counts that differ from the clients' observations.
    pub(crate) fn wrong(&self, clients: &Counted) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |what: &str, found: u64, least: u64, most: u64| {
            if !(least..=most).contains(&found) {
                let right = if least == most {
                    format!("{least}")
                } else {
                    format!("{least} to {most}")
                };
                wrong.push(format!("{what}: expected {right}, got {found}"));
            }
        };
        check("calls open at the gateway", self.gateway_open, 0, 0);
        check(
            "calls to Bedrock open at the gateway",
            self.upstream_open,
            0,
            0,
        );
        check("calls open at the emulator", self.emulator("open"), 0, 0);
        // If a client disconnected before the first message, the gateway and the emulator may or
        // may not have noticed the call.
        let (calls, early) = (clients.calls, clients.early);
        let left = clients.cancelled + early;
        check(
            "calls that ended at the gateway",
            self.gateway.values().sum(),
            calls - early,
            calls,
        );
        for (code, count) in &clients.ended {
            let code = Code::from(*code);
            // The last message, or an error before the first one, can be in transit when the client
            // disconnects.
            let unseen = if code == Code::Ok { left } else { early };
            let what = format!("calls that ended with {code:?} at the gateway");
            check(&what, self.gateway(code), *count, count + unseen);
        }
        check(
            "cancelled calls at the gateway",
            self.gateway(Code::Cancelled),
            0,
            left,
        );
        let attempts = clients.attempts;
        check(
            "calls at the emulator",
            self.emulator("calls"),
            attempts,
            // The number of attempts is unknown for calls that ended early.
            attempts + early * u64::from(Limits::default().max_attempts),
        );
        let ok = self.gateway(Code::Ok);
        check(
            "complete calls at the emulator",
            self.emulator("completed"),
            ok,
            u64::MAX,
        );
        check(
            "calls whose client left, at the emulator",
            self.emulator("client_gone"),
            0,
            left,
        );
        wrong
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, counts, open) in [
            ("gateway", &self.gateway, Some(self.gateway_open)),
            ("emulator", &self.emulator, None),
        ] {
            let counts: Vec<String> = counts.iter().map(|(k, v)| format!("{k} {v}")).collect();
            write!(f, "{name}: {}", counts.join(", "))?;
            match open {
                Some(open) => writeln!(f, ", open {open}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

fn calls_by_code(metrics: &str) -> Result<BTreeMap<String, u64>, Error> {
    let mut counts = BTreeMap::new();
    for line in metrics.lines() {
        let Some(labels) = line.strip_prefix("bedrock_grpc_calls_total{") else {
            continue;
        };
        let (labels, count) = labels.split_once("} ").ok_or("a metric without a number")?;
        let code = labels
            .split(',')
            .find_map(|label| label.strip_prefix("code=\"")?.strip_suffix('"'))
            .ok_or("a call without a code")?;
        *counts.entry(code.to_owned()).or_default() += count.parse::<u64>()?;
    }
    Ok(counts)
}
