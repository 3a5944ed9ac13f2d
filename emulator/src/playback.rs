//! Sends bytes to the client: a body that plays steps at a pace, and ends in a defined way.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
    vec,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::{
    calls::{End, Record},
    pace::Cut,
    regions::Outage,
};

/// The sizes of the writes for [`Cut::Awkward`].
const AWKWARD: [usize; 12] = [1, 2, 3, 5, 8, 13, 1, 21, 4, 34, 12, 55];

/// A number of bytes, and the wait before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The wait, counted from the time at which the previous step was due.
    pub(super) wait: Duration,
    pub(super) bytes: Bytes,
    /// The number of frames that these bytes complete.
    pub(super) events: u64,
}

/// How a playback ends after its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The body ends, and the call is complete.
    Complete,
    /// A fault ends the body early, but on the wire the body looks complete.
    Cut,
    /// The connection breaks in the middle of the body.
    Break,
    /// Nothing is sent until the client disconnects.
    Stall,
}

/// The steps of a playback, and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) finish: Finish,
}

impl Plan {
    /// Returns a plan with the same bytes and waits, but with other writes.
    pub(super) fn cut(self, cut: Cut) -> Self {
        let mut sizes: Box<dyn Iterator<Item = usize>> = match cut {
            Cut::Frames => return self,
            Cut::Every(size) => Box::new(std::iter::repeat(size.get())),
            Cut::Awkward => Box::new(AWKWARD.into_iter().cycle()),
        };
        let mut steps: Vec<Step> = Vec::new();
        let mut missing = 0;
        for mut step in self.steps {
            if !step.wait.is_zero() {
                // Bytes after a wait begin a new write, even if the previous write is small.
                missing = 0;
            }
            let events = std::mem::take(&mut step.events);
            while !step.bytes.is_empty() {
                if let (1.., Some(last)) = (missing, steps.last_mut()) {
                    let piece = step.bytes.split_to(step.bytes.len().min(missing));
                    missing -= piece.len();
                    last.bytes = [&last.bytes[..], &piece[..]].concat().into();
                } else {
                    missing = sizes.next().unwrap_or(usize::MAX);
                    let wait = std::mem::take(&mut step.wait);
                    let bytes = Bytes::new();
                    steps.push(Step {
                        wait,
                        bytes,
                        events: 0,
                    });
                }
            }
            if let Some(last) = steps.last_mut() {
                last.events += events;
            }
        }
        Self { steps, ..self }
    }
}

/// The switch of a connection. If it is set, the connection ends with a TCP reset instead of an
/// orderly close.
#[derive(Clone, Debug, Default)]
pub(super) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The error with which the HTTP layer aborts a body. In HTTP/2, it resets the stream, in HTTP/1.1
/// the connection.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aborted on demand")
    }
}

impl std::error::Error for Broken {}

/// Aborts a call without an answer: resets the connection or, in HTTP/2, the stream.
pub(super) fn abort(reset: &ResetSwitch, record: &mut Record) -> Broken {
    record.end(End::Faulted);
    reset.set();
    Broken
}

/// A body that plays a [`Plan`] and updates the call's record.
pub(super) struct Playback {
    steps: vec::IntoIter<Step>,
    next: Option<Step>,
    finish: Finish,
    /// Whether every step is a separate write, even if the next step is already due.
    separate: bool,
    /// When the last step was due. Waits are measured from this time, so that delays do not add up.
    due: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
    yielded: bool,
    record: Record,
    outage: Outage,
    reset: ResetSwitch,
}

impl Playback {
    pub(super) fn new(
        plan: Plan,
        separate: bool,
        record: Record,
        outage: Outage,
        reset: ResetSwitch,
    ) -> Self {
        Self {
            steps: plan.steps.into_iter(),
            next: None,
            finish: plan.finish,
            separate,
            due: Instant::now(),
            sleep: None,
            yielded: false,
            record,
            outage,
            reset,
        }
    }

    /// Returns ready when the next step is due.
    fn poll_due(&mut self, step: &Step, cx: &mut Context<'_>) -> Poll<()> {
        if step.wait.is_zero() {
            return Poll::Ready(());
        }
        let due = self.due + step.wait;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        std::task::ready!(sleep.as_mut().poll(cx));
        // If the client reads late, the following steps are delayed, so that it does not receive a
        // burst.
        let late_by_a_step = Instant::now().checked_sub(step.wait);
        self.due = late_by_a_step.map_or(due, |earliest| due.max(earliest));
        Poll::Ready(())
    }

    /// Aborts the call if its Region is down. Polled whenever there is nothing to send.
    fn poll_outage(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        std::task::ready!(Pin::new(&mut self.outage).poll(cx));
        self.next = None;
        self.steps = Vec::new().into_iter();
        self.finish = Finish::Break;
        Poll::Ready(Some(Err(abort(&self.reset, &mut self.record))))
    }

    /// Returns pending once, so that earlier bytes are written before further bytes are sent.
    fn poll_written(&mut self, cx: &Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Some(step) = this.next.take().or_else(|| this.steps.next()) {
            if this.poll_due(&step, cx).is_pending() {
                this.next = Some(step);
                return this.poll_outage(cx);
            }
            if this.separate && this.poll_written(cx).is_pending() {
                this.next = Some(step);
                return Poll::Pending;
            }
            this.yielded = false;
            this.record.sent(step.events);
            // The end is recorded now, because a client may disconnect as soon as it has the last
            // frame.
            if this.steps.as_slice().is_empty() {
                match this.finish {
                    Finish::Complete => this.record.end(End::Completed),
                    Finish::Cut | Finish::Break => this.record.end(End::Faulted),
                    Finish::Stall => {}
                }
            }
            return Poll::Ready(Some(Ok(Frame::data(step.bytes))));
        }
        match this.finish {
            Finish::Complete => this.record.end(End::Completed),
            Finish::Cut => this.record.end(End::Faulted),
            Finish::Stall => return this.poll_outage(cx),
            Finish::Break => {
                std::task::ready!(this.poll_written(cx));
                this.record.end(End::Faulted);
                this.reset.set();
                return Poll::Ready(Some(Err(Broken)));
            }
        }
        Poll::Ready(None)
    }
}
