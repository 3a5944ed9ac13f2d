//! The templates of a client, and what is known about requests that cannot be repeated.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    RequestBody,
    request_key::{CallHeaders, RequestKey, SdkOperation},
    request_template::{RequestTemplate, SentRequest, Unrepeatable},
};

/// The maximum number of templates of a client. Callers can send any model ID, so this limits
/// memory.
const MOST_TEMPLATES: usize = 64;

/// The templates of a client.
#[derive(Default)]
pub(super) struct RequestTemplates {
    by_key: Mutex<Table>,
    /// Whether a request that cannot be repeated was logged.
    is_logged: AtomicBool,
}

#[derive(Default)]
struct Table {
    entries: HashMap<RequestKey<'static>, Entry>,
    /// The number of uses so far.
    uses: u64,
}

struct Entry {
    known: Known,
    /// The number of the last use.
    last_use: Cell<u64>,
}

/// What is known about requests with the same key.
enum Known {
    Template(Arc<RequestTemplate>),
    /// The last request of the SDK could not be repeated.
    Unrepeatable,
}

/// Why the SDK makes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BySdk {
    /// It is the first request of its kind.
    First,
    /// The credentials have another source than those of the template, which the user agent names.
    Credentials,
    /// The last request of the SDK could not be repeated.
    Unrepeatable,
}

impl BySdk {
    /// Returns the reason for the label of the metric.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Credentials => "credentials",
            Self::Unrepeatable => "unrepeatable",
        }
    }
}

impl RequestTemplates {
    /// Returns the template for a request, or why the SDK must make it.
    pub(super) fn get(&self, key: &RequestKey<'_>) -> Result<Arc<RequestTemplate>, BySdk> {
        let table = &mut *self.lock();
        table.uses += 1;
        let Some(entry) = table.entries.get(key) else {
            return Err(BySdk::First);
        };
        entry.last_use.set(table.uses);
        match &entry.known {
            Known::Template(template) => Ok(Arc::clone(template)),
            Known::Unrepeatable => Err(BySdk::Unrepeatable),
        }
    }

    /// Inserts an entry. If there are too many, it replaces the least recently used one.
    fn insert(&self, key: RequestKey<'static>, known: Known) {
        let Table { entries, uses } = &mut *self.lock();
        if entries.len() >= MOST_TEMPLATES && !entries.contains_key(&key) {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.last_use.get());
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                entries.remove(&oldest);
            }
        }
        *uses += 1;
        let last_use = Cell::new(*uses);
        entries.insert(key, Entry { known, last_use });
    }

    /// Makes a template from a request that the SDK has sent with these headers and this body. Logs
    /// the first failure of the client.
    pub(super) fn learn(
        &self,
        key: RequestKey<'_>,
        headers: CallHeaders<'_>,
        sent: SentRequest,
        body: &RequestBody,
        region: &str,
    ) {
        let operation = key.operation;
        match RequestTemplate::new(sent, headers, body) {
            Ok(template) => {
                self.insert(key.into_owned(), Known::Template(Arc::new(template)));
            }
            Err(cause) => {
                self.insert(key.into_owned(), Known::Unrepeatable);
                if !self.is_logged.swap(true, Ordering::Relaxed) {
                    warn_of(operation, cause, region);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warn_of(operation: SdkOperation, cause: Unrepeatable, source_region: &str) {
    tracing::warn!(
        operation = operation.as_str(),
        source_region,
        cause = %cause,
        "cannot repeat a request of the AWS SDK, so the SDK makes each request like it; this takes more CPU time"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(model_id: &str) -> RequestKey<'_> {
        RequestKey::new(SdkOperation::ConverseStream, model_id)
    }

    #[test]
    fn many_models_of_one_caller_leave_the_used_templates_of_others() {
        let templates = RequestTemplates::default();
        let insert = |model_id: &str| {
            templates.insert(key(model_id).into_owned(), Known::Unrepeatable);
        };
        let is_known = |model_id: &str| !matches!(templates.get(&key(model_id)), Err(BySdk::First));
        insert("used");
        insert("unused");
        for number in 0..2 * MOST_TEMPLATES {
            insert(&number.to_string());
            assert!(is_known("used"));
        }
        assert!(!is_known("unused"));
        assert_eq!(templates.lock().entries.len(), MOST_TEMPLATES);
    }
}
