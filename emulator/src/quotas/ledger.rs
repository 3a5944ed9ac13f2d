//! Counts usage and throttles calls: admits calls, assigns them to a destination Region, and
//! corrects their reservations when they end.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::time::Instant;

use super::{Quotas, Rate, window::Window};

/// The kinds of calls, which are counted separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Scope {
    OnDemand,
    CrossRegion,
    Global,
}

/// A call that requests admission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission<'a> {
    /// The foundation model's ID.
    pub(crate) model: &'static str,
    /// The AWS account that is called.
    pub(crate) account: &'a str,
    /// The source Region.
    pub(crate) source: &'a str,
    pub(crate) scope: Scope,
    /// The destination Regions.
    pub(crate) destinations: &'a [String],
    /// The number of tokens to reserve, which is the maximum that the call may use.
    pub(crate) reserve: u64,
    /// The number of tokens that the call will have used when it ends.
    pub(crate) charge: u64,
    /// The input and output tokens that the call reports as its usage.
    pub(crate) usage: Tokens,
}

/// Token counts, as `metadata.usage` reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// Why a call is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too many requests within a minute.
    Requests,
    /// Too many tokens within a minute.
    Tokens,
    /// No destination Region has free capacity.
    Capacity,
}

/// All counters of an emulator.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    quotas: Quotas,
    /// The number of the current quotas. When a call ends that was admitted under earlier quotas,
    /// it does not change the counters.
    edition: u64,
    windows: BTreeMap<Key, Window>,
    /// The number of running calls of each model in each Region.
    running: BTreeMap<(&'static str, String), u32>,
    /// The total usage of the ended calls, by account and model.
    ended: BTreeMap<(String, &'static str), Ended>,
}

/// The account, the model, the source Region and the scope.
type Key = (String, &'static str, String, Scope);

/// The current usage.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Used {
    pub(crate) minutes: Vec<Minute>,
    pub(crate) running: Vec<Running>,
    pub(crate) ended: Vec<Ended>,
}

/// The usage within the last minute. There is an entry only if a rate is limited.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Minute {
    pub(crate) account: String,
    pub(crate) model: &'static str,
    pub(crate) region: String,
    pub(crate) scope: Scope,
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
}

/// The number of running calls in a destination Region.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Running {
    pub(crate) model: &'static str,
    pub(crate) region: String,
    pub(crate) calls: u32,
}

/// The total usage of an account's calls to a model that have ended since the current quotas were
/// set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ended {
    pub(crate) account: String,
    pub(crate) model: &'static str,
    pub(crate) calls: u64,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl Ledger {
    pub(crate) fn new(quotas: Quotas) -> Self {
        Self(Arc::new(Mutex::new(Books {
            quotas,
            ..Books::default()
        })))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets new quotas and resets their usage. Running calls continue in their Regions.
    pub(crate) fn set(&self, quotas: Quotas) {
        let mut books = self.books();
        books.quotas = quotas;
        books.edition += 1;
        books.windows.clear();
        books.ended.clear();
    }

    pub(crate) fn quotas(&self) -> Quotas {
        self.books().quotas.clone()
    }

    pub(crate) fn used(&self) -> Used {
        let now = Instant::now();
        let mut books = self.books();
        let minute = books.quotas.minute();
        let minutes = books
            .windows
            .iter_mut()
            .map(|((account, model, region, scope), window)| {
                window.slide(now, minute);
                Minute {
                    account: account.clone(),
                    model,
                    region: region.clone(),
                    scope: *scope,
                    requests: window.requests(),
                    tokens: window.tokens(),
                }
            });
        let minutes = minutes.collect();
        let running = books
            .running
            .iter()
            .map(|((model, region), calls)| Running {
                model,
                region: region.clone(),
                calls: *calls,
            });
        let running = running.collect();
        Used {
            minutes,
            running,
            ended: books.ended.values().cloned().collect(),
        }
    }

    /// Admits a call if the quota and a destination Region have room for it. A call that is refused
    /// uses nothing.
    pub(crate) fn admit(&self, call: Admission<'_>) -> Result<Lease, Refused> {
        let now = Instant::now();
        let mut books = self.books();
        let rate = books.rate(&call);
        let minute = books.quotas.minute();
        let key = (
            call.account.to_owned(),
            call.model,
            call.source.to_owned(),
            call.scope,
        );
        if rate.is_limited() {
            let window = books.windows.entry(key.clone()).or_default();
            window.slide(now, minute);
            let over = |limit: Option<u64>, used: u64, more: u64| {
                limit.is_some_and(|limit| used.saturating_add(more) > limit)
            };
            if over(rate.requests_per_minute, window.requests(), 1) {
                return Err(Refused::Requests);
            }
            if over(rate.tokens_per_minute, window.tokens(), call.reserve) {
                return Err(Refused::Tokens);
            }
        }
        let region = books.place(&call).ok_or(Refused::Capacity)?;
        let place = (call.model, region.clone());
        *books.running.entry(place).or_default() += 1;
        let entry = rate.is_limited().then(|| {
            let window = books.windows.entry(key.clone()).or_default();
            (key, window.enter(now, call.reserve))
        });
        Ok(Lease {
            ledger: self.clone(),
            account: call.account.to_owned(),
            model: call.model,
            region,
            edition: books.edition,
            entry,
            charge: call.charge,
            usage: call.usage,
        })
    }
}

impl Books {
    fn rate(&self, call: &Admission<'_>) -> Rate {
        let quota = self
            .quotas
            .of_account(call.account, call.model, call.source);
        match call.scope {
            Scope::OnDemand => quota.on_demand,
            Scope::CrossRegion => quota.cross_region,
            Scope::Global => quota.global,
        }
    }

    /// Returns the Region that serves a call. It is the source Region if that is a destination with
    /// free capacity, or else the destination with the lowest relative load.
    fn place(&self, call: &Admission<'_>) -> Option<String> {
        // Returns the number of running calls, and the maximum number of calls.
        let used = |region: &String| {
            let running = self.running.get(&(call.model, region.clone()));
            let running = u64::from(running.copied().unwrap_or(0));
            let capacity = self.quotas.of(call.model, region).capacity;
            (running, capacity.map_or(u64::MAX, u64::from))
        };
        let with_room = call
            .destinations
            .iter()
            .map(|region| (region, used(region)))
            .filter(|(_, (running, capacity))| running < capacity);
        let least = with_room.min_by(|(region, (running, capacity)), (other, (more, of))| {
            let share = |calls: u64, of: u64| u128::from(calls) * u128::from(of);
            let away = |region: &String| *region != call.source;
            away(region)
                .cmp(&away(other))
                .then_with(|| share(*running, *of).cmp(&share(*more, *capacity)))
        });
        least.map(|(region, _)| region.clone())
    }
}

/// An admitted call. Dropping it corrects its reservation and frees its capacity.
pub(crate) struct Lease {
    ledger: Ledger,
    account: String,
    model: &'static str,
    region: String,
    edition: u64,
    entry: Option<(Key, u64)>,
    charge: u64,
    usage: Tokens,
}

impl Lease {
    /// Returns the destination Region that serves the call.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("model", &self.model)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut books = self.ledger.books();
        let place = (self.model, std::mem::take(&mut self.region));
        if let Some(running) = books.running.get_mut(&place) {
            *running -= 1;
            if *running == 0 {
                books.running.remove(&place);
            }
        }
        if books.edition != self.edition {
            return;
        }
        let owner = (self.account.clone(), self.model);
        let ended = books.ended.entry(owner).or_default();
        ended.account.clone_from(&self.account);
        ended.model = self.model;
        ended.calls += 1;
        ended.input_tokens += self.usage.input;
        ended.output_tokens += self.usage.output;
        if let Some((key, number)) = self.entry.take()
            && let Some(window) = books.windows.get_mut(&key)
        {
            window.settle(number, self.charge);
        }
    }
}
