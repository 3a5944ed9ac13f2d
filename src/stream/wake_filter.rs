//! Skips polls of a call when no event source has woken it.
//!
//! After each token, tonic and hyper poll up to three more times: tonic until the stream is
//! pending, then hyper another time. Then the whole task is polled again, because reserving
//! capacity in an HTTP/2 stream wakes its task. Without this filter, each of these polls would
//! reach Bedrock's socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Forwards a poll only if a source has woken the call.
#[derive(Default)]
pub(super) struct WakeFilter {
    /// The waker that the sources of the call use.
    line: Option<Line>,
    /// Whether the last poll returned pending.
    idle: bool,
}

struct Line {
    rung: Arc<Rung>,
    /// The waker that the sources use. It sets the flag in `rung`.
    waker: Waker,
}

/// Whether a source has woken the call, and the task to wake when one does.
struct Rung {
    yes: AtomicBool,
    task: Waker,
}

impl Wake for Rung {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.yes.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Line {
    fn to(task: &Waker) -> Self {
        let rung = Arc::new(Rung {
            yes: AtomicBool::new(false),
            task: task.clone(),
        });
        let waker = Waker::from(Arc::clone(&rung));
        Self { rung, waker }
    }
}

impl WakeFilter {
    /// Polls, unless the last poll was pending and no source has woken the call since. `poll` must
    /// register only the waker of the context that it receives.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let is_old = |line: &mut Line| !line.rung.task.will_wake(cx.waker());
        if self.line.take_if(is_old).is_some() {
            // Another task polls now. Its waker must be registered with the sources, so they are
            // polled.
            self.idle = false;
        }
        let line = self.line.get_or_insert_with(|| Line::to(cx.waker()));
        let rung = line.rung.yes.swap(false, Ordering::AcqRel);
        if self.idle && !rung {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&line.waker));
        self.idle = polled.is_pending();
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Source {
        asked: usize,
        ready: bool,
        waker: Option<Waker>,
    }

    impl Source {
        fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            self.asked += 1;
            self.waker = Some(cx.waker().clone());
            if self.ready {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }
    }

    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task(AtomicBool::new(false)));
        (Arc::clone(&task), Waker::from(task))
    }

    #[test]
    fn an_idle_stream_is_polled_after_the_bell_rings() {
        let (task, waker) = task();
        let mut cx = Context::from_waker(&waker);
        let (mut wake_filter, mut source) = (WakeFilter::default(), Source::default());
        for _ in 0..3 {
            assert!(wake_filter.poll(&mut cx, |cx| source.poll(cx)).is_pending());
        }
        assert_eq!(source.asked, 1);
        source.ready = true;
        source.waker.as_ref().unwrap().wake_by_ref();
        assert!(task.0.load(Ordering::Relaxed));
        assert!(wake_filter.poll(&mut cx, |cx| source.poll(cx)).is_ready());
        // After a ready result, the source may become ready again without waking the call.
        assert!(wake_filter.poll(&mut cx, |cx| source.poll(cx)).is_ready());
        assert_eq!(source.asked, 3);
    }

    #[test]
    fn a_bell_that_rings_during_a_poll_causes_another_poll() {
        let (_, waker) = task();
        let mut cx = Context::from_waker(&waker);
        let mut wake_filter = WakeFilter::default();
        let polled = wake_filter.poll(&mut cx, |cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert!(wake_filter.poll(&mut cx, |_| Poll::Ready(())).is_ready());
    }

    #[test]
    fn another_task_that_asks_is_the_one_that_is_woken() {
        let ((first, old), (second, new)) = (task(), task());
        let (mut wake_filter, mut source) = (WakeFilter::default(), Source::default());
        for waker in [&old, &new] {
            let mut cx = Context::from_waker(waker);
            assert!(wake_filter.poll(&mut cx, |cx| source.poll(cx)).is_pending());
        }
        assert_eq!(source.asked, 2);
        source.waker.unwrap().wake();
        assert!(!first.0.load(Ordering::Relaxed));
        assert!(second.0.load(Ordering::Relaxed));
    }
}
