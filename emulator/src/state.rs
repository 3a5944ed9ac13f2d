//! Defines the state that all connections of an emulator share: settings, conditions, and the log
//! of calls.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{
    account::Account, auth::Credentials, calls::CallLog, fault::Fault, lifecycle::LifeCycle,
    options::Options, projects::Projects, prompt_cache::PromptCache, quotas::Ledger,
    regions::Regions, sessions::Sessions,
};

/// The state that all connections of an emulator share.
pub(super) struct State {
    pub(super) options: Options,
    fault: Mutex<Option<Fault>>,
    credentials: RwLock<Credentials>,
    pub(super) regions: Regions,
    pub(super) ledger: Ledger,
    pub(super) account: Account,
    pub(super) prompts: Arc<PromptCache>,
    pub(super) lives: LifeCycle,
    pub(super) sessions: Sessions,
    pub(super) projects: Projects,
    pub(super) log: Arc<CallLog>,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self {
            fault: Mutex::new(options.fault),
            credentials: RwLock::new(options.credentials.clone()),
            regions: Regions::default(),
            ledger: Ledger::new(options.quotas.clone()),
            account: Account::default(),
            prompts: Arc::default(),
            lives: LifeCycle::new(&options.ends_of_life),
            sessions: Sessions::new(options.roles.clone()),
            projects: Projects::new(options.projects.clone()),
            log: CallLog::new(options.keep_calls),
            options,
        }
    }

    /// Calls a function with the accepted credentials.
    pub(super) fn with_credentials<T>(&self, check: impl FnOnce(&Credentials) -> T) -> T {
        let credentials = self.credentials.read();
        check(&credentials.unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_credentials(&self, credentials: Credentials) {
        let current = self.credentials.write();
        *current.unwrap_or_else(PoisonError::into_inner) = credentials;
    }

    /// Returns the fault for calls that do not name one and whose Region has no condition.
    pub(super) fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}
