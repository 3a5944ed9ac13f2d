//! Manages the time limits of a call and its heartbeats with one timer.
//!
//! An event only records the time of its arrival. The timer is reset when it fires, not for every
//! event.
//!
//! The limits on Bedrock's silence run only while the gateway reads from Bedrock. While it waits
//! for the client or for the decoding of an event, it reads nothing.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::bedrock::MemoryWait;

/// How long the gateway waits for `metadata` after a complete answer. Bedrock usually sends
/// `metadata` within milliseconds of `messageStop`, and the client already has the whole answer.
pub(super) const METADATA_WAIT: Duration = Duration::from_secs(10);

/// The time limits of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The time by which the call must have ended.
    pub(crate) deadline: Instant,
    /// The longest time for which Bedrock may send nothing between two events.
    pub(crate) idle: Duration,
    /// The interval of heartbeats to the client. If zero, the gateway sends none.
    pub(crate) heartbeat: Duration,
}

/// The reason why the timer fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// The deadline has passed.
    Deadline,
    /// Bedrock has been silent for too long.
    Silence {
        /// The time for which Bedrock may be silent.
        limit: Duration,
    },
    /// The next event has waited for memory for as long as Bedrock may be silent.
    NoMemory,
    /// The answer is complete, and `metadata` has not arrived in time.
    NoMetadata,
    /// Deltas that were held back are due.
    Flush,
    /// A heartbeat is due.
    Heartbeat {
        /// The time for which Bedrock has been silent.
        silent: Duration,
    },
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// The next bytes from Bedrock.
    ForBedrock,
    /// Memory for the next event, since this time.
    ForMemory(Instant),
    /// The client, or the decoding of an event, since this time.
    Paused(Instant),
}

/// The timer of a call, and the times at which it must fire.
#[derive(Debug)]
pub(super) struct Timers {
    times: Times,
    /// When Bedrock was last heard: when its last event arrived or, if a part of the next one has
    /// arrived, when that part did. Later by the time for which the gateway has not read since.
    /// Before the first event, this is the start of the call.
    heard: Instant,
    waits: Waits,
    /// When the client last received a message.
    told: Instant,
    any_event: bool,
    /// The time until which a complete answer waits for its `metadata`.
    metadata_by: Option<Instant>,
    /// When deltas that are held back must be sent.
    flush_at: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// The waker that is registered with the timer. If `None`, the timer must be polled again.
    waker: Option<Waker>,
}

impl Timers {
    /// Starts the timers of a call that begins now.
    pub(super) fn start(times: Times) -> Self {
        let now = Instant::now();
        let mut timers = Self {
            times,
            heard: now,
            waits: Waits::ForBedrock,
            told: now,
            any_event: false,
            metadata_by: None,
            flush_at: None,
            timer: Box::pin(sleep_until(now)),
            waker: None,
        };
        timers.set();
        timers
    }

    /// Records that an event arrived that will be forwarded.
    pub(super) fn heard(&mut self) {
        let now = Instant::now();
        self.resume(now);
        (self.heard, self.told) = (now, now);
        if !self.any_event {
            self.any_event = true;
            // The idle limit applies from the first event, and may be reached before the time to
            // which the timer is set.
            self.set();
        }
    }

    /// Records that the answer is complete. From now on, the call only waits for `metadata`, for
    /// [`METADATA_WAIT`].
    pub(super) fn complete(&mut self) {
        self.metadata_by = Some(Instant::now() + METADATA_WAIT);
        self.set();
    }

    /// Stops the limits on Bedrock's silence, because the gateway waits for the client or for the
    /// decoding of an event. The deadline stays.
    pub(super) fn pause(&mut self) {
        if self.waits == Waits::ForBedrock {
            // The message or the event that is waited for is as old as this.
            self.waits = Waits::Paused(self.told);
        }
    }

    /// Records that the next event waits for memory. The limit of this wait begins now, unless it
    /// has begun already.
    pub(super) fn wait_for_memory(&mut self) {
        if !matches!(self.waits, Waits::ForMemory(_)) {
            let now = Instant::now();
            self.resume(now);
            self.waits = Waits::ForMemory(now);
        }
    }

    /// Records that no event has arrived yet. Each attempt has a separate limit for Bedrock's
    /// silence.
    pub(super) fn wait_for_first_event(&mut self, memory_wait: &MemoryWait) {
        if memory_wait.is_on() {
            self.wait_for_memory();
        } else {
            self.wait_for_bedrock(false);
        }
    }

    /// Records that the gateway waits for bytes from Bedrock. `received`: some have just arrived,
    /// but not a whole event.
    pub(super) fn wait_for_bedrock(&mut self, received: bool) {
        if received || self.waits != Waits::ForBedrock {
            let now = Instant::now();
            self.resume(now);
            if received {
                self.heard = now;
            }
        }
    }

    /// Continues the limits on Bedrock's silence. The time for which the gateway has not read does
    /// not count.
    fn resume(&mut self, now: Instant) {
        let (Waits::ForMemory(since) | Waits::Paused(since)) = self.waits else {
            return;
        };
        let paused = now.saturating_duration_since(since);
        self.heard += paused;
        if let Some(by) = &mut self.metadata_by {
            *by += paused;
        }
        self.waits = Waits::ForBedrock;
        // The timer may be set to a later time, because the limits did not apply.
        if self.next_alarm() < self.timer.deadline() {
            self.set();
        }
    }

    /// Returns the time until which a complete answer waits for its `metadata`. `None` if the
    /// answer is not complete.
    pub(super) fn metadata_by(&self) -> Option<Instant> {
        self.metadata_by
    }

    /// Returns when the last event arrived.
    pub(super) fn last_heard(&self) -> Instant {
        self.heard
    }

    /// Returns when the client last received a message. While a message is being sent, this may be
    /// the time of the previous message.
    pub(super) fn last_told(&self) -> Instant {
        self.told
    }

    /// Waits for the next time limit, or until deltas that are held back must be sent.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, flush_at: Option<Instant>) -> Poll<Alarm> {
        if flush_at != self.flush_at {
            self.flush_at = flush_at;
            // If the timer is set to a later time, it is set again now. If it is set to an earlier
            // time, it is set again when it fires.
            if flush_at.is_some_and(|at| at < self.timer.deadline()) {
                self.set();
            }
        }
        loop {
            if !self.is_over(cx) {
                return Poll::Pending;
            }
            let now = Instant::now();
            if let Some(alarm) = self.alarm(now) {
                if matches!(alarm, Alarm::Heartbeat { .. } | Alarm::Flush) {
                    self.told = now;
                }
                self.set();
                return Poll::Ready(alarm);
            }
            self.set();
        }
    }

    /// Returns whether the timer has fired. If not, registers this task's waker, unless it is
    /// registered already.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let known = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if known && !self.timer.is_elapsed() {
            return false;
        }
        self.waker = Some(cx.waker().clone());
        self.timer.as_mut().poll(cx).is_ready()
    }

    /// Sets the timer to the earliest of the time limits.
    fn set(&mut self) {
        let next = self.next_alarm();
        self.timer.as_mut().reset(next);
        self.waker = None;
    }

    /// Returns the time at which the idle limit is reached. `None` before the first event, because
    /// each attempt has a separate limit until then, and while the gateway does not read.
    fn silence_at(&self) -> Option<Instant> {
        let applies = self.any_event && self.waits == Waits::ForBedrock;
        applies.then(|| self.heard + self.times.idle)
    }

    /// Returns the time at which the wait for memory becomes too long.
    fn no_memory_at(&self) -> Option<Instant> {
        match self.waits {
            Waits::ForMemory(since) => Some(since + self.times.idle),
            Waits::ForBedrock | Waits::Paused(_) => None,
        }
    }

    /// Returns the time until which a complete answer waits for its `metadata`. The client has the
    /// whole answer, so the limit includes waits for memory.
    fn no_metadata_at(&self) -> Option<Instant> {
        match self.waits {
            Waits::ForBedrock | Waits::ForMemory(_) => self.metadata_by,
            Waits::Paused(_) => None,
        }
    }

    fn alarm(&self, now: Instant) -> Option<Alarm> {
        if self.flush_at.is_some_and(|at| now >= at) {
            Some(Alarm::Flush)
        } else if now >= self.times.deadline {
            Some(Alarm::Deadline)
        } else if self.no_metadata_at().is_some_and(|at| now >= at) {
            Some(Alarm::NoMetadata)
        } else if self.no_memory_at().is_some_and(|at| now >= at) {
            Some(Alarm::NoMemory)
        } else if self.silence_at().is_some_and(|at| now >= at) {
            Some(Alarm::Silence {
                limit: self.times.idle,
            })
        } else if self.heartbeat_at().is_some_and(|at| now >= at) {
            Some(Alarm::Heartbeat {
                silent: now - self.heard,
            })
        } else {
            None
        }
    }

    fn next_alarm(&self) -> Instant {
        let alarms = [
            self.silence_at(),
            self.no_memory_at(),
            self.heartbeat_at(),
            self.no_metadata_at(),
            self.flush_at,
        ];
        alarms
            .into_iter()
            .flatten()
            .fold(self.times.deadline, Instant::min)
    }

    fn heartbeat_at(&self) -> Option<Instant> {
        (!self.times.heartbeat.is_zero()).then(|| self.told + self.times.heartbeat)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn times() -> Times {
        Times {
            deadline: Instant::now() + Duration::from_secs(100),
            idle: Duration::from_secs(30),
            heartbeat: Duration::from_secs(20),
        }
    }

    async fn next(timers: &mut Timers) -> (Alarm, Duration) {
        let before = Instant::now();
        let alarm = poll_fn(|cx| timers.poll(cx, None)).await;
        (alarm, before.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn heartbeats_come_until_the_deadline_while_nothing_has_come() {
        let mut timers = Timers::start(times());
        let silent = Duration::from_secs(20);
        assert_eq!(
            next(&mut timers).await,
            (Alarm::Heartbeat { silent }, silent)
        );
        let (alarm, after) = next(&mut timers).await;
        assert_eq!(alarm, Alarm::Heartbeat { silent: 2 * silent });
        assert_eq!(after, silent);
        for _ in 0..2 {
            next(&mut timers).await;
        }
        assert_eq!(next(&mut timers).await, (Alarm::Deadline, silent));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_starts_the_idle_limit_and_the_heartbeat_anew() {
        let mut timers = Timers::start(times());
        tokio::time::advance(Duration::from_secs(15)).await;
        timers.heard();
        let silent = Duration::from_secs(20);
        assert_eq!(
            next(&mut timers).await,
            (Alarm::Heartbeat { silent }, silent)
        );
        let limit = Duration::from_secs(30);
        assert_eq!(
            next(&mut timers).await,
            (Alarm::Silence { limit }, Duration::from_secs(10))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn deltas_that_were_held_back_postpone_the_heartbeat() {
        let mut timers = Timers::start(times());
        let heartbeat = times().heartbeat;
        let flush_at = Instant::now() + heartbeat;
        let alarm = poll_fn(|cx| timers.poll(cx, Some(flush_at))).await;
        assert_eq!((alarm, Instant::now()), (Alarm::Flush, flush_at));
        let silent = 2 * heartbeat;
        assert_eq!(
            next(&mut timers).await,
            (Alarm::Heartbeat { silent }, heartbeat)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_limit_that_is_shorter_than_all_others_is_kept() {
        let limit = Duration::from_secs(1);
        let mut timers = Timers::start(Times {
            idle: limit,
            ..times()
        });
        timers.heard();
        assert_eq!(next(&mut timers).await, (Alarm::Silence { limit }, limit));
    }

    /// Waits without polling the timers, as while the client does not read.
    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Timers of a call without heartbeats, of which an event has arrived.
    fn heard_once() -> Timers {
        let mut timers = Timers::start(Times {
            heartbeat: Duration::ZERO,
            ..times()
        });
        timers.heard();
        timers
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_stops_the_idle_limit() {
        let (mut timers, limit) = (heard_once(), times().idle);
        timers.pause();
        pass(2 * limit).await;
        timers.wait_for_bedrock(false);
        assert_eq!(next(&mut timers).await, (Alarm::Silence { limit }, limit));
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_does_not_start_the_idle_limit_anew() {
        let mut timers = Timers::start(times());
        let (limit, heartbeat) = (times().idle, times().heartbeat);
        timers.heard();
        let (alarm, _) = next(&mut timers).await;
        assert_eq!(alarm, Alarm::Heartbeat { silent: heartbeat });
        timers.pause();
        pass(limit).await;
        timers.wait_for_bedrock(false);
        let due = (Alarm::Heartbeat { silent: heartbeat }, Duration::ZERO);
        assert_eq!(next(&mut timers).await, due);
        let rest = limit - heartbeat;
        assert_eq!(next(&mut timers).await, (Alarm::Silence { limit }, rest));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_an_event_starts_the_idle_limit_anew() {
        let (mut timers, limit) = (heard_once(), times().idle);
        pass(limit - Duration::from_secs(1)).await;
        timers.wait_for_bedrock(true);
        assert_eq!(next(&mut timers).await, (Alarm::Silence { limit }, limit));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_memory_has_a_separate_limit() {
        let (mut timers, limit) = (heard_once(), times().idle);
        pass(limit / 2).await;
        timers.wait_for_memory();
        assert_eq!(next(&mut timers).await, (Alarm::NoMemory, limit));
        timers.wait_for_bedrock(false);
        let rest = limit / 2;
        assert_eq!(next(&mut timers).await, (Alarm::Silence { limit }, rest));
    }

    #[tokio::test(start_paused = true)]
    async fn while_an_event_is_decoded_only_the_deadline_counts() {
        let mut timers = heard_once();
        timers.complete();
        timers.pause();
        let deadline = Duration::from_secs(100);
        assert_eq!(next(&mut timers).await, (Alarm::Deadline, deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_applies_again_is_kept_although_the_timer_was_set_later() {
        let (mut timers, limit) = (heard_once(), times().idle);
        timers.pause();
        // Sets the timer to the deadline.
        assert!(
            tokio::time::timeout(2 * limit, next(&mut timers))
                .await
                .is_err()
        );
        timers.wait_for_bedrock(false);
        assert_eq!(next(&mut timers).await, (Alarm::Silence { limit }, limit));
    }

    #[tokio::test(start_paused = true)]
    async fn a_complete_answer_waits_for_metadata_no_longer_than_its_limit() {
        let mut timers = Timers::start(times());
        timers.heard();
        timers.complete();
        assert_eq!(next(&mut timers).await, (Alarm::NoMetadata, METADATA_WAIT));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_wins_over_everything() {
        let mut timers = Timers::start(Times {
            deadline: Instant::now() + Duration::from_secs(20),
            ..times()
        });
        assert_eq!(
            next(&mut timers).await,
            (Alarm::Deadline, Duration::from_secs(20))
        );
    }
}
