//! Holds the usage record of a call that has not ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{record::UsageRecord, writer::Writer};

/// The record of an open call. All clones share the record.
///
/// The record is written exactly once: when [`OpenRecord::finish`] is called, or else when the last
/// clone is dropped.
#[derive(Clone, Debug)]
pub struct OpenRecord(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    writers: Arc<[Writer]>,
    open: Mutex<Option<Open>>,
    began: tokio::time::Instant,
}

/// A record that has not been written.
#[derive(Debug)]
struct Open {
    record: UsageRecord,
    /// Whether the outcome of the call has been set.
    is_decided: bool,
}

impl OpenRecord {
    pub(super) fn new(
        writers: Arc<[Writer]>,
        record: UsageRecord,
        began: tokio::time::Instant,
    ) -> Self {
        Self(Arc::new(Shared {
            writers,
            open: Mutex::new(Some(Open {
                record,
                is_decided: false,
            })),
            began,
        }))
    }

    /// Changes the record, if it has not been written yet.
    pub fn fill(&self, change: impl FnOnce(&mut UsageRecord)) {
        if let Some(open) = &mut *self.0.lock() {
            change(&mut open.record);
        }
    }

    /// Sets the outcome of the call, unless it was set before: the gRPC code, and the reason in
    /// ErrorInfo, which is empty for OK.
    pub fn end(&self, code: &str, reason: &str) {
        if let Some(open) = &mut *self.0.lock()
            && !open.is_decided
        {
            open.is_decided = true;
            code.clone_into(&mut open.record.code);
            reason.clone_into(&mut open.record.reason);
        }
    }

    /// Writes the record. Later changes to it have no effect.
    pub fn finish(&self) {
        self.0.write();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        let Some(Open { mut record, .. }) = self.lock().take() else {
            return;
        };
        record.duration_ms = super::record::milliseconds(self.began.elapsed());
        let record = Arc::new(record);
        for writer in self.writers.iter() {
            writer.send(Arc::clone(&record));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.write();
    }
}
