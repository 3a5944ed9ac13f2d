//! Applies changes of the configuration while the process runs.
//!
//! One task reads the configuration file, the files to which its values refer, and the files that
//! it names. Only this task replaces the current generation. So a change of one file cannot restore
//! a setting that a change of another file has removed.
//!
//! | file | job |
//! |---|---|
//! | `watch` | notifies the task that files may have changed |
//! | `files` | reads the files when they are complete |
//! | `shown_config` | creates the JSON of the configuration for the admin port |
//! | `build` | builds a generation, which also checks the whole configuration |

mod build;
mod files;
mod shown_config;
mod watch;

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinHandle};

pub(super) use self::{
    build::{Before, Builder, Built, Kept},
    files::Files,
    shown_config::shown_config,
};
use self::{files::Content, watch::Watch};
use crate::{
    access::{Gate, key},
    admin::ShownConfig,
    config::{Config, ConfigFile, changed_keys, needs_restart, weakened},
    grpc::Generations,
    server::{access, shared_resources::SharedResources},
    telemetry::log::{self, LevelHandle},
};

/// How often the files are read if no change was detected.
const POLL: Duration = Duration::from_secs(2);
/// How long the task waits for further changes after a change. Most changes cause several events.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How long reading the files may take before the gateway logs a warning.
const SLOW: Duration = Duration::from_secs(30);

/// The inputs of reloads.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The configuration file, and its text when the gateway started.
    pub file: ConfigFile,
    /// Notified when the file must be read again, for example after SIGHUP.
    pub requested: Arc<Notify>,
    /// The handle that changes the level of the log.
    pub level: LevelHandle,
}

/// The task that applies changes.
pub(super) struct Reloader {
    pub(super) builder: Builder,
    pub(super) generations: Generations,
    /// The configuration with which the process started.
    pub(super) started: Config,
    /// The parts of the current generation that the next one can reuse.
    pub(super) kept: Kept,
    /// The files. Their content was read before the first generation was built.
    pub(super) files: Files,
    /// Notified when the files must be read again.
    pub(super) requested: Arc<Notify>,
    /// The handle that changes the level of the log.
    pub(super) level: Option<LevelHandle>,
    /// The configuration that the admin port shows.
    pub(super) shown: ShownConfig,
    /// The gate, which ends open calls of revoked credentials.
    pub(super) gate: Gate,
    /// The resources that clients share.
    pub(super) shared: SharedResources,
}

impl Reloader {
    /// Applies changes, forever.
    pub(super) async fn run(self) {
        let Self {
            builder,
            generations,
            started,
            kept,
            files,
            requested,
            level,
            shown,
            gate,
            shared,
        } = self;
        if files.is_empty() {
            return;
        }
        let mut current = Current {
            builder,
            generations,
            config: started.clone(),
            started,
            kept,
            seen: files.first().clone(),
            used: files.first().clone(),
            files,
            level,
            shown,
            gate,
            shared,
        };
        let mut watch = Watch::new();
        let watched = watch.notifier();
        // The files may have changed between the start and the first watch, so they are read once
        // now.
        let mut is_requested = false;
        loop {
            // Reading blocks if a mount does not answer. Only the reload may wait for that, not
            // calls.
            let step = tokio::task::spawn_blocking(move || {
                watch.files(current.files.paths(&current.seen));
                current.look(is_requested);
                (current, watch)
            });
            let Some(done) = finished(step).await else {
                return;
            };
            (current, watch) = done;
            tokio::select! {
                () = watched.notified() => {
                    is_requested = false;
                    tokio::time::sleep(DEBOUNCE).await;
                }
                () = tokio::time::sleep(POLL) => is_requested = false,
                () = requested.notified() => is_requested = true,
            }
        }
    }
}

/// Waits for a step, and logs warnings at intervals until it ends. Returns `None` if the step
/// failed.
async fn finished<T>(mut step: JoinHandle<T>) -> Option<T> {
    loop {
        match tokio::time::timeout(SLOW, &mut step).await {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => {
                tracing::error!(%error, "the gateway no longer reads changes of the configuration; restart it");
                return None;
            }
            Err(_) => tracing::warn!(
                "reading the configuration files has taken more than {SLOW:?}; check that their file system responds, and that no program keeps changing them"
            ),
        }
    }
}

/// The configuration in use, and the files that were read.
struct Current {
    builder: Builder,
    generations: Generations,
    started: Config,
    config: Config,
    kept: Kept,
    files: Files,
    /// The content that was read last. The gateway uses it or has refused it.
    seen: Content,
    /// The content that is in use.
    used: Content,
    level: Option<LevelHandle>,
    shown: ShownConfig,
    gate: Gate,
    shared: SharedResources,
}

impl Current {
    /// Reads the files, and applies them if they have changed or if a reload was requested.
    fn look(&mut self, is_requested: bool) {
        let Some(content) = self.files.read(&self.seen, is_requested) else {
            return;
        };
        self.seen = content.clone();
        let metrics = Arc::clone(&self.builder.metrics);
        let number = self.generations.current().number;
        if content == self.used {
            metrics.config.last_reload_successful.set(1);
            tracing::info!(
                generation = number,
                "the configuration was read again and has not changed"
            );
            return;
        }
        if let Err(problems) = self.apply(content) {
            metrics.config.last_reload_successful.set(0);
            for problem in problems {
                tracing::error!(
                    problem,
                    generation = number,
                    "a change of the configuration was refused; the previous one stays in use"
                );
            }
        }
    }

    /// Checks the whole content of the files, and uses it for all later calls.
    fn apply(&mut self, content: Content) -> Result<(), Vec<String>> {
        let config = match content.file()? {
            None => self.config.clone(),
            Some(file) if file.is_empty() => {
                return Err(vec![format!(
                    "{}: the file is empty; write the configuration, or stop the gateway",
                    file.path.display()
                )]);
            }
            Some(file) => {
                Config::of_file(file).map_err(|problems| files::lines(&problems.to_string()))?
            }
        };
        let mut weaker = weakened(&self.config, &config);
        if access::has_keys(&self.config.access, self.used.others()) {
            weaker.extend(access::without_keys(&config, content.others()));
        }
        if !weaker.is_empty() {
            let refused = |(key, lost)| {
                format!("{key}: {lost}; to allow that, set `allow_weaker: true` in the same file")
            };
            return Err(weaker.into_iter().map(refused).collect());
        }
        let level = log::Level::of(&config.log).map_err(|problem| vec![problem])?;
        let hash = content
            .text()
            .map_or_else(|| self.generations.current().hash.clone(), key::hex_sha256);
        let current = self.generations.current();
        let before = Before {
            generation: &current,
            kept: &self.kept,
        };
        let files = content.others();
        let Built {
            generation: next,
            kept,
            trust,
            api_key,
        } = self.builder.build(&config, hash, files, Some(&before))?;
        let (number, loaded_at) = (next.number, next.loaded_at);
        let mut changed = match (self.used.file(), content.file()) {
            (Ok(Some(old)), Ok(Some(new))) => changed_keys(old, new),
            _ => Vec::new(),
        };
        let rewritten = |path| files.differ_in(self.used.others(), path);
        let rewritten = config.files().filter(|(_, path)| rewritten(path));
        changed.extend(rewritten.map(|(key, _)| format!("{key} (content)")));
        for warning in config.exposure().into_iter().chain(config.warnings()) {
            tracing::warn!(key = warning.key, "{}", warning.message);
        }
        kept.warn(&config);
        let restart = needs_restart(&self.started, &config);
        if !restart.is_empty() {
            tracing::warn!(
                keys = restart.join(", "),
                "these keys have changed since the start and need a restart; they take effect at the next start"
            );
        }
        self.builder
            .sdk
            .connect_with(&config.bedrock, &config.accounts, trust);
        if let Some(api_key) = api_key {
            self.builder.sdk.sign_with(api_key);
        }
        self.generations.replace(next);
        let next = self.generations.current();
        self.shared.apply(&next);
        let revoked = self.gate.enforce(Arc::clone(&next.rules));
        let file = content.file().ok().flatten();
        self.shown
            .set(shown_config(file, &config, files, &next, &restart));
        next.router.look_up_profiles();
        self.builder
            .metrics
            .config
            .loaded(number, &next.hash, loaded_at);
        let audit = || {
            tracing::info!(
                target: "bedrock_grpc::audit",
                generation = number,
                sha256 = next.hash,
                changed = changed.join(", "),
                "the configuration was reloaded"
            );
        };
        // The line must be logged if the level before or the level after the change allows it.
        let is_logged = tracing::enabled!(target: "bedrock_grpc::audit", tracing::Level::INFO);
        if is_logged {
            audit();
        }
        if revoked > 0 {
            tracing::info!(
                target: "bedrock_grpc::audit",
                generation = number,
                credentials = revoked,
                "open calls of revoked credentials were ended"
            );
        }
        if let Some(handle) = &self.level {
            handle.set(level);
        }
        if !is_logged {
            audit();
        }
        (self.config, self.kept, self.used) = (config, kept, content);
        Ok(())
    }
}
