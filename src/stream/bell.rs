//! Keeps those who ask a stream in vain from a call that has nothing to send.
//!
//! After each token, tonic and hyper ask for another one up to three times: tonic until there is
//! none, hyper once more, and, since reserving room in an HTTP/2 stream wakes its own task, the
//! whole task again. Each time all of a call would be looked through, down to Bedrock's socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Lets a poll through when something has called for it.
#[derive(Default)]
pub(super) struct Bell {
    /// What the sources of the call were told to ring.
    line: Option<Line>,
    /// There was nothing, the last time.
    idle: bool,
}

struct Line {
    rung: Arc<Rung>,
    /// The same, as sources know it.
    waker: Waker,
}

/// Whether somebody rang, and whom to wake then.
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

impl Bell {
    /// Polls, unless there was nothing the last time and nobody has rung since. What is polled must
    /// call for more by the waker that it is given, and by that alone.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let is_old = |line: &mut Line| !line.rung.task.will_wake(cx.waker());
        if self.line.take_if(is_old).is_some() {
            // What the sources would wake is no longer the task that asks.
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
    fn who_has_nothing_is_asked_again_when_it_rang() {
        let (task, waker) = task();
        let mut cx = Context::from_waker(&waker);
        let (mut bell, mut source) = (Bell::default(), Source::default());
        for _ in 0..3 {
            assert!(bell.poll(&mut cx, |cx| source.poll(cx)).is_pending());
        }
        assert_eq!(source.asked, 1);
        source.ready = true;
        source.waker.as_ref().unwrap().wake_by_ref();
        assert!(task.0.load(Ordering::Relaxed));
        assert!(bell.poll(&mut cx, |cx| source.poll(cx)).is_ready());
        // Who had something may have more.
        assert!(bell.poll(&mut cx, |cx| source.poll(cx)).is_ready());
        assert_eq!(source.asked, 3);
    }

    #[test]
    fn who_rings_while_it_is_asked_is_asked_again() {
        let (_, waker) = task();
        let mut cx = Context::from_waker(&waker);
        let mut bell = Bell::default();
        let polled = bell.poll(&mut cx, |cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert!(bell.poll(&mut cx, |_| Poll::Ready(())).is_ready());
    }

    #[test]
    fn another_task_that_asks_is_the_one_that_is_woken() {
        let ((first, old), (second, new)) = (task(), task());
        let (mut bell, mut source) = (Bell::default(), Source::default());
        for waker in [&old, &new] {
            let mut cx = Context::from_waker(waker);
            assert!(bell.poll(&mut cx, |cx| source.poll(cx)).is_pending());
        }
        assert_eq!(source.asked, 2);
        source.waker.unwrap().wake();
        assert!(!first.0.load(Ordering::Relaxed));
        assert!(second.0.load(Ordering::Relaxed));
    }
}
