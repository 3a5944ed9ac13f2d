//! Runs long work on separate threads, so that it does not delay the threads that forward tokens.
//!
//! Peers take turns, so that a peer with many large requests does not delay a peer with a single
//! request. If the queue is full and another peer has at least two more jobs than the peer that
//! adds one, the newest job of the peer with most jobs is removed.
//!
//! Work of calls that have begun is never refused or removed, and precedes the peer's new calls.
//! The memory budget limits it: each job holds the memory of an event or an answer.

use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{owner::ShareOwner, stop::Stop};

/// Threads that process a queue of jobs. Cheap to clone. The threads end when the last clone is
/// dropped.
#[derive(Clone, Debug)]
pub struct WorkQueue(Arc<Handle>);

/// The error for work that was not done, because the queue was full or the job was removed for a
/// peer with fewer jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

#[derive(Debug)]
struct Handle(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: HashMap<ShareOwner, Jobs>,
    /// The peers in the order in which they get their turns. Contains each peer of `jobs` once.
    turns: VecDeque<ShareOwner>,
    /// The number of jobs of new calls.
    len: usize,
    closed: bool,
}

/// The jobs of a peer.
#[derive(Default)]
struct Jobs {
    /// Jobs of calls that have begun.
    begun: VecDeque<Job>,
    /// Jobs of new calls.
    new: VecDeque<Job>,
}

impl Jobs {
    fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.new.is_empty()
    }
}

type Job = Box<dyn FnOnce() + Send>;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("len", &self.len)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl WorkQueue {
    /// Starts the threads, whose names begin with `name`. At most `capacity` jobs can wait in the
    /// queue.
    ///
    /// # Errors
    /// Fails if a thread cannot be started.
    pub fn start(name: &str, threads: usize, capacity: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            capacity,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let handle = Self(Arc::new(Handle(Arc::clone(&queue))));
        for index in 0..threads {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("{name}-{index}"))
                .spawn(move || {
                    yield_to_workers();
                    queue.work();
                })?;
        }
        Ok(handle)
    }

    /// Runs `work` on one of the threads. If the returned future is dropped before the work has
    /// begun, the work is skipped. If it has begun, its [`Stop`] is set.
    ///
    /// # Errors
    /// Fails if the queue is full, or if the job was removed from it.
    ///
    /// # Panics
    /// Panics if `work` panics.
    pub async fn run<T: Send + 'static>(
        &self,
        peer: ShareOwner,
        work: impl FnOnce(&Stop) -> T + Send + 'static,
    ) -> Result<T, QueueFull> {
        let (job, running) = running(work);
        self.0.0.push(peer, job)?;
        running.await.ok_or(QueueFull)
    }

    /// Runs `work` of a call that has begun, like [`Self::run`], but never refuses it. The caller
    /// must hold memory of the budget for the work, because this is its only limit.
    ///
    /// The work is added to the queue at once, before the future is polled. The result is `None`
    /// if the process ends.
    ///
    /// # Panics
    /// Panics if `work` panics.
    pub fn run_begun<T, F>(
        &self,
        peer: ShareOwner,
        work: F,
    ) -> impl Future<Output = Option<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&Stop) -> T + Send + 'static,
    {
        let (job, running) = running(work);
        self.0.0.push_begun(peer, job);
        running
    }
}

/// Returns a job and the future of its result, which is `None` if the job is dropped.
fn running<T, F>(work: F) -> (Job, impl Future<Output = Option<T>> + Send + use<T, F>)
where
    T: Send + 'static,
    F: FnOnce(&Stop) -> T + Send + 'static,
{
    let stop = Stop::new();
    let (done, result) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
    let stopped = stop.clone();
    let job = Box::new(move || {
        if !stopped.is_set() {
            let worked = catch_unwind(AssertUnwindSafe(|| work(&stopped)));
            // Sending fails if the caller no longer waits, which is no error.
            let _received = done.send(worked);
        }
    });
    let stop = StopOnDrop(stop);
    let running = async move {
        let _stop = stop;
        match result.await {
            Ok(Ok(value)) => Some(value),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => None,
        }
    };
    (job, running)
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.jobs.clear();
        drop(state);
        self.0.changed.notify_all();
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, peer: ShareOwner, job: Job) -> Result<(), QueueFull> {
        let mut state = self.state();
        let dropped = if state.len < self.capacity {
            None
        } else {
            Some(state.make_room(peer).ok_or(QueueFull)?)
        };
        state.jobs_of(peer).new.push_back(job);
        state.len += 1;
        drop(state);
        // The job is dropped only after the lock is released, because it may own much memory.
        drop(dropped);
        self.changed.notify_one();
        Ok(())
    }

    fn push_begun(&self, peer: ShareOwner, job: Job) {
        let mut state = self.state();
        if !state.closed {
            state.jobs_of(peer).begun.push_back(job);
        }
        drop(state);
        self.changed.notify_one();
    }

    fn work(&self) {
        loop {
            let mut state = self.state();
            let job = loop {
                if state.closed {
                    return;
                }
                match state.pop() {
                    Some(job) => break job,
                    None => {
                        state = self
                            .changed
                            .wait(state)
                            .unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            drop(state);
            job();
        }
    }
}

impl State {
    /// Returns the jobs of a peer, to add one.
    fn jobs_of(&mut self, peer: ShareOwner) -> &mut Jobs {
        let jobs = self.jobs.entry(peer).or_default();
        if jobs.is_empty() {
            self.turns.push_back(peer);
        }
        jobs
    }

    fn pop(&mut self) -> Option<Job> {
        let peer = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&peer)?;
        let job = match jobs.begun.pop_front() {
            Some(job) => Some(job),
            None => {
                let job = jobs.new.pop_front();
                self.len -= usize::from(job.is_some());
                job
            }
        };
        if jobs.is_empty() {
            self.jobs.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        job
    }

    /// Removes the newest job of the peer with most new calls, if that peer has at least two jobs
    /// more than `peer`.
    fn make_room(&mut self, peer: ShareOwner) -> Option<Job> {
        let mine = self.jobs.get(&peer).map_or(0, |jobs| jobs.new.len());
        let (_, jobs) = self
            .jobs
            .iter_mut()
            .filter(|(_, jobs)| jobs.new.len() > mine + 1)
            .max_by_key(|(_, jobs)| jobs.new.len())?;
        self.len -= 1;
        jobs.new.pop_back()
    }
}

/// Lowers the priority of this thread, so that the operating system prefers the threads that
/// forward tokens.
fn yield_to_workers() {
    #[cfg(target_os = "linux")]
    {
        const NICE: i32 = 10;
        // On Linux, each thread has its own priority. If the change fails, the work is done
        // nevertheless.
        let _set = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn peer(n: u8) -> ShareOwner {
        ShareOwner::at([10, 0, 0, n].into())
    }

    /// Returns a queue with one thread, which is busy until the sender is used or dropped.
    async fn busy(capacity: usize) -> (WorkQueue, mpsc::Sender<()>) {
        let queue = WorkQueue::start("test", 1, capacity).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let blocker = queue.clone();
        tokio::spawn(async move {
            let job = move |_: &Stop| {
                let _told = begun.send(());
                let _released = released.recv();
            };
            blocker.run(peer(0), job).await
        });
        has_begun.await.unwrap();
        (queue, release)
    }

    #[tokio::test]
    async fn peers_take_turns_and_the_one_with_most_makes_room() {
        let (queue, release) = busy(4).await;
        let (order, done) = mpsc::channel();
        let mut running = Vec::new();
        for (who, name) in [(1, "a1"), (1, "a2"), (1, "a3"), (1, "a4"), (2, "b1")] {
            let order = order.clone();
            let mut job = Box::pin({
                let queue = queue.clone();
                async move {
                    queue
                        .run(peer(who), move |_| order.send(name).unwrap())
                        .await
                }
            });
            // The first poll puts the job into the queue.
            assert!(futures_util::poll!(&mut job).is_pending());
            running.push(job);
        }
        release.send(()).unwrap();
        let mut results = Vec::new();
        for job in running {
            results.push(job.await);
        }
        drop(order);
        assert_eq!(done.iter().collect::<Vec<_>>(), ["a1", "b1", "a2", "a3"]);
        let full = Err(QueueFull);
        assert_eq!(results, [Ok(()), Ok(()), Ok(()), full, Ok(())]);
    }

    #[tokio::test]
    async fn work_of_calls_that_have_begun_is_neither_refused_nor_overtaken() {
        let (queue, release) = busy(1).await;
        let (order, done) = mpsc::channel();
        let add = |name| {
            let order = order.clone();
            move |_: &Stop| order.send(name).unwrap()
        };
        let mut new = Box::pin(queue.run(peer(1), add("new")));
        assert!(futures_util::poll!(&mut new).is_pending());
        assert_eq!(queue.run(peer(1), add("refused")).await, Err(QueueFull));
        let begun: Vec<_> = ["b1", "b2", "b3"]
            .map(|name| queue.run_begun(peer(1), add(name)))
            .into();
        // The jobs of the call that has begun do not make another peer's new call remove one.
        assert_eq!(queue.run(peer(2), add("refused")).await, Err(QueueFull));
        release.send(()).unwrap();
        assert_eq!(new.await, Ok(()));
        for job in begun {
            assert_eq!(job.await, Some(()));
        }
        drop(order);
        assert_eq!(done.iter().collect::<Vec<_>>(), ["b1", "b2", "b3", "new"]);
    }

    #[tokio::test]
    async fn work_of_a_caller_that_left_is_skipped_or_stopped() {
        let (queue, release) = busy(4).await;
        let (ran, has_run) = mpsc::channel();
        {
            let skipped = queue.run(peer(1), move |_| ran.send(()).unwrap());
            futures_util::pin_mut!(skipped);
            assert!(futures_util::poll!(&mut skipped).is_pending());
        }
        release.send(()).unwrap();
        let (begun, has_begun) = oneshot::channel();
        let (told, was_told) = oneshot::channel();
        let mut endless = Box::pin(queue.run(peer(1), move |stop: &Stop| {
            begun.send(()).unwrap();
            while !stop.is_set() {
                std::thread::yield_now();
            }
            told.send(()).unwrap();
        }));
        tokio::select! {
            _ = &mut endless => panic!("it ended"),
            begun = has_begun => begun.unwrap(),
        }
        drop(endless);
        was_told.await.unwrap();
        assert!(has_run.recv().is_err());
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn a_panic_reaches_the_caller() {
        let queue = WorkQueue::start("test", 1, 1).unwrap();
        let _panics = queue.run(peer(1), |_| panic!("on purpose")).await;
    }
}
