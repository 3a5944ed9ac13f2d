//! Opens the limit store, and settles all open calls before the process ends.

use std::{io, sync::Arc, time::Duration};

use crate::{
    access::limits::{InProcess, Remote, Store},
    config::{Access, LimitsStore},
    telemetry::Metrics,
};

/// The maximum time that the start waits for the store. After this time, calls are decided as
/// `limits.on_store_failure` says.
const CONNECTS: Duration = Duration::from_secs(2);
/// The maximum time that the shutdown waits until the store has received all settlements.
const SETTLES: Duration = Duration::from_secs(5);

/// The limit store of a configuration.
pub(super) struct OpenLimitsStore {
    pub(super) store: Arc<dyn Store>,
    remote: Option<Remote>,
}

impl OpenLimitsStore {
    /// Opens the limit store of a configuration.
    ///
    /// # Errors
    /// Fails if a file that the configuration names cannot be used. A store that does not answer is
    /// not an error.
    pub(super) async fn open(access: &Access, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let LimitsStore::Redis(options) = &access.store else {
            return Ok(Self {
                store: Arc::new(InProcess::default()),
                remote: None,
            });
        };
        let remote = Remote::start((**options).clone(), Arc::clone(metrics))?;
        remote.connected(CONNECTS).await;
        Ok(Self {
            store: Arc::new(remote.clone()),
            remote: Some(remote),
        })
    }

    /// Settles all open calls, before the process ends.
    pub(super) async fn close(self) {
        if let Some(remote) = self.remote {
            remote.close(SETTLES).await;
        }
    }
}
