//! Sends settlements to the store in their order, until the store acknowledges them.

use std::{sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::time::{Instant, sleep, timeout};

use super::{
    queue::{Batch, Settlement},
    script::{Call, arguments_of, limits_of, names_of},
    shared::{Link, MEMORY, Shared, Step, Trouble},
};
use crate::access::limits::store::InStore;

/// The maximum number of settlements in one round trip.
const BATCH: usize = 64;
/// The timeout of a batch.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The pauses after failures, which double from the first to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often the gateway sends a settlement that the store refuses. The gateway then drops the
/// settlement.
const TRIES: u32 = 3;

/// Replies of the script: no reservation was found; the reservation had lapsed; the preceding
/// settlement is missing, so this one was not executed.
const UNRESERVED: i64 = 2;
const CORRECTED: i64 = 3;
const TOO_EARLY: i64 = 4;

/// Sends settlements while the process runs.
pub(super) async fn send(shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    let mut refused = (0, 0);
    loop {
        let (batch, lost) = shared.queue.batch(BATCH);
        shared.metrics.limit_store.lost.inc_by(lost);
        shared.show_queue();
        let link = shared.link().filter(|_| !batch.settlements.is_empty());
        let Some(mut link) = link else {
            shared.queue.filled.notified().await;
            continue;
        };
        let started = Instant::now();
        let sent = timeout(TIMEOUT, shared.send_batch(&mut link, &batch)).await;
        let trouble = match sent {
            Ok(None) => {
                shared.succeeded(Step::Settle, started.elapsed());
                pause = FIRST_PAUSE;
                continue;
            }
            Ok(Some((settlement, error))) => {
                let trouble = Trouble::Redis(error);
                if !trouble.is_temporary() {
                    let tries = if refused.0 == settlement {
                        refused.1 + 1
                    } else {
                        1
                    };
                    refused = (settlement, tries);
                    if tries >= TRIES {
                        tracing::error!(error = %trouble, "the store of limits refuses a settlement; the call stays charged as reserved");
                        shared.queue.give_up(settlement);
                        shared.metrics.limit_store.lost.inc();
                    }
                }
                trouble
            }
            Err(_) => Trouble::Timeout,
        };
        shared.failed(Step::Settle, &link, &trouble);
        sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

impl Shared {
    fn show_queue(&self) {
        let waiting = i64::try_from(self.queue.len()).unwrap_or(i64::MAX);
        self.metrics.limit_store.waiting.set(waiting);
    }

    /// Sends a batch. Settlements that the store has executed are removed from the queue. If a
    /// settlement fails, returns its number and the error.
    pub(super) async fn send_batch(
        &self,
        link: &mut Link,
        batch: &Batch,
    ) -> Option<(u64, RedisError)> {
        let mut pipeline = redis::pipe();
        let mut before = 0;
        for settlement in &batch.settlements {
            pipeline.add_command(self.settle_call(settlement, before).by_hash());
            before = settlement.number;
        }
        pipeline.ignore_errors();
        let answers: RedisResult<Vec<RedisResult<i64>>> =
            pipeline.query_async(&mut link.connection).await;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => return Some((batch.settlements.first()?.number, error)),
        };
        let mut executed = 0;
        let mut failed = None;
        for (answer, settlement) in answers.into_iter().zip(&batch.settlements) {
            match answer {
                Ok(TOO_EARLY) => break,
                Ok(answer) => {
                    executed += 1;
                    self.count(answer, settlement);
                }
                Err(error) => {
                    failed = Some((settlement.number, error));
                    break;
                }
            }
        }
        self.queue.acknowledge(batch, executed);
        if let Some((_, error)) = &failed
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            // This call contains the script. The calls after it use its hash.
            let first = batch.settlements.get(executed)?;
            let in_full = self.settle_call(first, 0).in_full();
            let answer: RedisResult<i64> = in_full.query_async(&mut link.connection).await;
            return match answer {
                Ok(answer) => {
                    self.count(answer, first);
                    self.queue.acknowledge(batch, executed + 1);
                    None
                }
                Err(error) => Some((first.number, error)),
            };
        }
        failed
    }

    fn count(&self, answer: i64, settlement: &Settlement) {
        let metrics = &self.metrics.limit_store;
        let charges = settlement.used.requests > 0;
        let _before = match answer {
            UNRESERVED if charges => metrics.unreserved.inc(),
            CORRECTED => metrics.corrected.inc(),
            _ => 0,
        };
    }

    /// Returns the script call of a settlement. The script does nothing if the settlement with the
    /// number `before` is missing.
    fn settle_call(&self, settlement: &Settlement, before: u64) -> Call<'_> {
        let names = names_of(&settlement.scopes);
        let id = format!("{:032x}", settlement.id);
        let void = match settlement.in_store {
            InStore::Unknown => MEMORY.as_millis(),
            InStore::Yes | InStore::No => 0,
        };
        let mut arguments = vec![
            id.clone(),
            settlement.number.to_string(),
            settlement.began.elapsed().as_millis().to_string(),
            void.to_string(),
        ];
        arguments.extend(arguments_of(&settlement.used));
        arguments.extend([
            limits_of(&settlement.scopes),
            names.join(";"),
            before.to_string(),
        ]);
        let mut keys = vec![
            self.reservations_of(&self.replica),
            self.key(&format!("void:{id}")),
        ];
        keys.extend(names.iter().map(|name| self.key(name)));
        Call {
            program: &self.scripts.settle,
            keys,
            arguments,
        }
    }
}
