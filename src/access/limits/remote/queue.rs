//! The settlements that the store has not acknowledged yet, in their order.
//!
//! Settlements are numbered. The store executes them in this order and stores the last number, so a
//! settlement that is sent twice has no further effect. Acknowledged settlements are kept for a
//! while: if the store fails and loses its latest data, it needs these settlements again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::access::limits::{
    kind::Amounts,
    store::{InStore, Reservation, Scopes},
};

/// The maximum number of settlements in the queue.
const MOST_WAITING: usize = 100_000;
/// How many acknowledged settlements are kept at most, and for how long.
const MOST_KEPT: usize = 20_000;
const KEPT_FOR: Duration = Duration::from_secs(10);
/// The maximum age of a settlement, after which the gateway drops it. It is shorter than `MEMORY`,
/// the time for which the store keeps the IDs of abandoned reservations.
const TOO_OLD: Duration = Duration::from_secs(30 * 60);

/// The settlement of a call, with the amounts that it used.
#[derive(Debug)]
pub(super) struct Settlement {
    pub(super) number: u64,
    pub(super) id: u128,
    pub(super) scopes: Scopes,
    pub(super) used: Amounts,
    /// When the call began.
    pub(super) began: Instant,
    /// When the call ended.
    ended: Instant,
    pub(super) in_store: InStore,
}

/// The queue of settlements.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lists: Mutex<Lists>,
    /// Wakes the task that sends settlements.
    pub(super) filled: Notify,
    /// Wakes the tasks that wait for an empty queue.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Lists {
    last: u64,
    /// Counts how often acknowledged settlements were queued again.
    epoch: u64,
    waiting: VecDeque<Arc<Settlement>>,
    kept: VecDeque<(Instant, Arc<Settlement>)>,
}

/// A batch: the oldest settlements in the queue.
pub(super) struct Batch {
    pub(super) settlements: Vec<Arc<Settlement>>,
    epoch: u64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a settlement. Returns false if the queue is full, and then drops the settlement.
    pub(super) fn push(&self, reservation: Reservation, used: Amounts) -> bool {
        let now = Instant::now();
        {
            let mut lists = self.lock();
            if lists.waiting.len() >= MOST_WAITING {
                return false;
            }
            lists.last += 1;
            let settlement = Settlement {
                number: lists.last,
                id: reservation.id,
                scopes: reservation.scopes,
                used,
                began: reservation.held.began.unwrap_or(now),
                ended: now,
                in_store: reservation.held.in_store,
            };
            lists.waiting.push_back(Arc::new(settlement));
        }
        self.filled.notify_one();
        true
    }

    /// Returns the number of settlements in the queue.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Returns the next batch, which stays in the queue, and the number of settlements that were
    /// dropped because they were too old.
    pub(super) fn batch(&self, most: usize) -> (Batch, u64) {
        let mut lists = self.lock();
        let mut lost = 0;
        while let Some(first) = lists.waiting.front()
            && first.ended.elapsed() > TOO_OLD
        {
            lists.waiting.pop_front();
            lost += 1;
        }
        let settlements = lists.waiting.iter().take(most).cloned().collect();
        let epoch = lists.epoch;
        (Batch { settlements, epoch }, lost)
    }

    /// Records that the store has executed the first settlements of a batch.
    pub(super) fn acknowledge(&self, batch: &Batch, count: usize) {
        let Some(last) = batch.settlements[..count].last() else {
            return;
        };
        let mut lists = self.lock();
        // The batch was sent before the store lost data, so its acknowledgement no longer counts.
        if batch.epoch != lists.epoch {
            return;
        }
        let now = Instant::now();
        while let Some(first) = lists.waiting.front()
            && first.number <= last.number
        {
            let kept = lists.waiting.pop_front().map(|first| (now, first));
            lists.kept.extend(kept);
        }
        while let Some((since, _)) = lists.kept.front()
            && (lists.kept.len() > MOST_KEPT || now - *since > KEPT_FOR)
        {
            lists.kept.pop_front();
        }
        if lists.waiting.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Removes the first settlement if it has this number. Used if the store refuses it repeatedly.
    pub(super) fn give_up(&self, number: u64) {
        let mut lists = self.lock();
        if lists
            .waiting
            .front()
            .is_some_and(|first| first.number == number)
        {
            lists.waiting.pop_front();
        }
        if lists.waiting.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Queues the acknowledged settlements with a number above `known` again, because the store has
    /// lost them. Returns how many there are.
    pub(super) fn repeat_after(&self, known: u64) -> usize {
        let mut lists = self.lock();
        let mut count = 0;
        while let Some((_, last)) = lists.kept.back()
            && last.number > known
        {
            if let Some((_, last)) = lists.kept.pop_back() {
                lists.waiting.push_front(last);
                count += 1;
            }
        }
        if count > 0 {
            lists.epoch += 1;
            self.filled.notify_one();
        }
        count
    }

    /// Waits until the queue is empty, so that all settlements are acknowledged.
    pub(super) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::limits::store::StoreState;

    fn push(queue: &Queue, id: u128) -> bool {
        let reservation = Reservation {
            id,
            scopes: Scopes::default(),
            amounts: Amounts::default(),
            at: 0,
            held: StoreState::default(),
        };
        queue.push(reservation, Amounts::default())
    }

    fn ids(queue: &Queue) -> Vec<u128> {
        let (batch, _) = queue.batch(100);
        batch.settlements.iter().map(|one| one.id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_store_has_forgotten_is_sent_again_in_order() {
        let queue = Queue::default();
        for id in 1..=5 {
            assert!(push(&queue, id));
        }
        let (batch, _) = queue.batch(4);
        queue.acknowledge(&batch, 3);
        assert_eq!(ids(&queue), [4, 5]);
        assert_eq!(queue.repeat_after(1), 2);
        assert_eq!(ids(&queue), [2, 3, 4, 5]);
        // The batch was sent before the store lost the first settlements.
        queue.acknowledge(&batch, 4);
        assert_eq!(ids(&queue), [2, 3, 4, 5]);
        let (batch, _) = queue.batch(10);
        queue.acknowledge(&batch, 4);
        queue.empty().await;
        assert_eq!(queue.repeat_after(5), 0);
        tokio::time::advance(KEPT_FOR * 2).await;
        push(&queue, 6);
        let (batch, _) = queue.batch(10);
        queue.acknowledge(&batch, 1);
        assert_eq!(queue.repeat_after(0), 1, "older ones are not kept");
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_in_number_and_time() {
        let queue = Queue::default();
        for id in 0..MOST_WAITING {
            assert!(push(&queue, id as u128));
        }
        assert!(!push(&queue, 0));
        tokio::time::advance(TOO_OLD + Duration::from_secs(1)).await;
        let (batch, lost) = queue.batch(1);
        assert_eq!((batch.settlements.len(), lost), (0, MOST_WAITING as u64));
    }
}
