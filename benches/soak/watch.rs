//! Watches the gateway's resources over time.

use std::{fmt, fs, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Error, child::Child, metrics};

/// The time between two samples.
const LOOK: Duration = Duration::from_millis(250);
/// The time limit for a gateway to become idle. It is longer than the idle timeout of its
/// connections to Bedrock.
const QUIET_WITHIN: Duration = Duration::from_secs(20);
/// More than twice that idle timeout. A connection that stays open for longer is a leak.
const NO_MORE_GO: Duration = Duration::from_secs(3);
/// Growth under load that is not a leak, in addition to five per cent.
const RESIDENT_SLACK: u64 = 6 << 20;
const DESCRIPTOR_SLACK: u64 = 32;
const TASK_SLACK: u64 = 64;

/// The gateway's resources at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    resident: u64,
    descriptors: u64,
    threads: u64,
    tasks: u64,
}

impl Held {
    async fn by(gateway: &Child) -> Result<Self, Error> {
        let said = metrics::read(gateway).await?;
        let count = |name| Ok::<_, Error>(fs::read_dir(gateway.proc(name))?.count() as u64);
        Ok(Self {
            resident: gateway.resident()?,
            descriptors: count("fd")?,
            threads: count("task")?,
            tasks: metrics::number(&said, "bedrock_grpc_runtime_tasks ")?,
        })
    }

    /// Returns the resources that an idle gateway uses in addition to those that it used before the
    /// load.
    pub(crate) fn left_over(&self, before: &Self) -> Vec<String> {
        let left = |what: &str, open: u64, before: u64| {
            (open > before).then(|| {
                format!(
                    "{open} {what} are open after all calls have ended; before the load it was {before}"
                )
            })
        };
        [
            left("descriptors", self.descriptors, before.descriptors),
            left("tasks", self.tasks, before.tasks),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Returns the median of each figure.
    fn median(looks: &[Self]) -> Result<Self, Error> {
        let middle = |of: fn(&Self) -> u64| {
            let mut all: Vec<u64> = looks.iter().map(of).collect();
            all.sort_unstable();
            let middle = all.get(all.len() / 2).copied();
            middle
                .ok_or("the soak is too short to compare anything: run it for at least 10 seconds")
        };
        Ok(Self {
            resident: middle(|held| held.resident)?,
            descriptors: middle(|held| held.descriptors)?,
            threads: middle(|held| held.threads)?,
            tasks: middle(|held| held.tasks)?,
        })
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} MiB, {} descriptors, {} threads, {} tasks",
            self.resident as f64 / f64::from(1 << 20),
            self.descriptors,
            self.threads,
            self.tasks
        )
    }
}

/// The gateway's resources under load: after warming up, and at the end.
#[derive(Debug)]
pub(crate) struct Course {
    warm: Held,
    end: Held,
}

impl Course {
    /// Returns the resources whose use grew.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let grown = |what: &str, warm: u64, end: u64, slack: u64| {
            (end > warm + warm / 20 + slack).then(|| format!("{what} grew from {warm} to {end}"))
        };
        let (warm, end) = (&self.warm, &self.end);
        [
            grown("memory", warm.resident, end.resident, RESIDENT_SLACK),
            grown(
                "descriptors",
                warm.descriptors,
                end.descriptors,
                DESCRIPTOR_SLACK,
            ),
            grown("threads", warm.threads, end.threads, 0),
            grown("tasks", warm.tasks, end.tasks, TASK_SLACK),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "gateway: {} when warm, {} at the end",
            self.warm, self.end
        )
    }
}

/// Samples the gateway for this time. The samples of the second third count as warm, those of the
/// last sixth as the end.
pub(crate) async fn over(gateway: &Child, length: Duration) -> Result<Course, Error> {
    let begun = Instant::now();
    let mut looks = Vec::new();
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begun.elapsed() < length {
        ticks.tick().await;
        looks.push(Held::by(gateway).await?);
    }
    let n = looks.len();
    Ok(Course {
        warm: Held::median(&looks[n / 3..n * 2 / 3])?,
        end: Held::median(&looks[n * 5 / 6..])?,
    })
}

/// Waits until the gateway is idle: until it has no more descriptors and tasks than when it was
/// idle before, or until their number no longer falls. After a time limit, takes the last sample.
pub(crate) async fn quiet(gateway: &Child, before: Option<&Held>) -> Result<Held, Error> {
    let begun = Instant::now();
    let mut ticks = interval(LOOK);
    let (mut least, mut since) = ((u64::MAX, u64::MAX), begun);
    loop {
        ticks.tick().await;
        let held = Held::by(gateway).await?;
        if held.descriptors < least.0 || held.tasks < least.1 {
            least = (least.0.min(held.descriptors), least.1.min(held.tasks));
            since = Instant::now();
        }
        match before {
            Some(before) if held.left_over(before).is_empty() => return Ok(held),
            Some(_) if begun.elapsed() > QUIET_WITHIN => return Ok(held),
            None if since.elapsed() > NO_MORE_GO => return Ok(held),
            _ => {}
        }
    }
}
