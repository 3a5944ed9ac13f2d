//! The templates of a client, and what is known about requests that cannot be repeated.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    RequestBody,
    request_key::{RequestKey, SdkOperation},
    request_template::{RequestTemplate, SentRequest, Unrepeatable},
};

/// The maximum number of templates of a client. Callers can send any model ID, so this limits
/// memory.
const MOST_TEMPLATES: usize = 64;

/// The templates of a client.
#[derive(Default)]
pub(super) struct RequestTemplates {
    by_key: Mutex<HashMap<RequestKey<'static>, Known>>,
    /// Whether a request that cannot be repeated was logged.
    is_logged: AtomicBool,
}

/// What is known about requests with the same key.
#[derive(Clone)]
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
        match self.lock().get(key) {
            Some(Known::Template(template)) => Ok(Arc::clone(template)),
            Some(Known::Unrepeatable) => Err(BySdk::Unrepeatable),
            None => Err(BySdk::First),
        }
    }

    fn insert(&self, key: RequestKey<'static>, known: Known) {
        let mut by_key = self.lock();
        if by_key.len() >= MOST_TEMPLATES {
            by_key.clear();
        }
        by_key.insert(key, known);
    }

    /// Makes a template from a request that the SDK has sent with this body. Logs the first failure
    /// of the client.
    pub(super) fn learn(
        &self,
        key: RequestKey<'_>,
        sent: SentRequest,
        body: &RequestBody,
        region: &str,
    ) {
        let operation = key.operation;
        match RequestTemplate::new(sent, body) {
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

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestKey<'static>, Known>> {
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
