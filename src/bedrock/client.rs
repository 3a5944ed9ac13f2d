//! Caches the SDK's clients, one for each account and source Region.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use aws_sdk_bedrockruntime::Client;
use prometheus_client::metrics::{counter::Counter, family::Family};

use super::{
    ControlPlane, FrameMemory, MemoryWait, Sdk, SessionOwner,
    clock_skew::ClockSkew,
    exchange::{Endpoint, Hooks},
    failure,
    http::Http,
    request_templates::RequestTemplates,
    sdk::is_region,
    session::Session,
};
use crate::{
    config::CallerSession,
    error::Failure,
    telemetry::{metrics::SdkRequest, trace::TraceContext},
};

/// The maximum number of source Regions with a client, which is more than AWS has. Callers can send
/// ARNs with any Region, so this limits memory.
const MOST_CLIENTS: usize = 64;

/// A worker's client of Bedrock. Cheap to clone. All clones share their connections, which run on
/// the worker's runtime.
#[derive(Clone)]
pub struct Bedrock {
    shared: Arc<Shared>,
    /// The accounts and endpoints of the call's configuration.
    sdk: Sdk,
    trace: Option<TraceContext>,
    account: Option<Account>,
    /// The project of calls that run a model. `None` for the default project.
    project: Option<Arc<str>>,
    /// The memory budget of large frames. `None`: there is no limit.
    memory: Option<Arc<dyn FrameMemory>>,
    memory_wait: MemoryWait,
}

struct Shared {
    http: Http,
    control: ControlPlane,
    clients: Mutex<Clients>,
    /// The requests that the SDK made.
    sdk_requests: Family<SdkRequest, Counter>,
}

/// The clients of a worker, by source Region.
#[derive(Default)]
struct Clients {
    /// The clients that sign with the gateway's own identity.
    own: HashMap<String, Regional>,
    /// The clients that sign with the session of an assumed role, by account.
    of_accounts: HashMap<Arc<str>, HashMap<String, Regional>>,
}

/// The session that signs calls in place of the gateway's own identity.
#[derive(Clone)]
struct Account {
    name: Arc<str>,
    /// `None` if there is no such account.
    session: Option<Session>,
}

/// The client of one source Region.
#[derive(Clone)]
pub(super) struct Regional {
    pub(super) client: Client,
    /// The URL that the client calls. `None` for the public endpoint.
    url: Option<Arc<str>>,
    endpoint: Arc<OnceLock<Endpoint>>,
    pub(super) templates: Arc<RequestTemplates>,
    pub(super) skew: Arc<ClockSkew>,
}

impl Regional {
    /// Returns a failure whose texts for callers do not name the host of the endpoint.
    pub(super) fn without_endpoint(&self, failure: Failure) -> Failure {
        match self.endpoint.get() {
            Some(endpoint) => failure::without_endpoint(failure, &endpoint.address),
            None => failure,
        }
    }
}

impl Bedrock {
    /// Creates a worker's client, without connections. All workers share `sdk`.
    pub fn new(sdk: &Sdk) -> Self {
        Self::counting(sdk, Family::default())
    }

    /// Creates a worker's client that counts the requests that the SDK makes.
    pub fn counting(sdk: &Sdk, sdk_requests: Family<SdkRequest, Counter>) -> Self {
        let shared = Shared {
            sdk_requests,
            http: Http::new(sdk.connections()),
            control: ControlPlane::new(sdk),
            clients: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            sdk: sdk.clone(),
            trace: None,
            account: None,
            project: None,
            memory: None,
            memory_wait: MemoryWait::default(),
        }
    }

    /// Returns the same client for calls with the accounts and endpoints of another configuration.
    #[must_use]
    pub fn of(&self, sdk: &Sdk) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            sdk: sdk.clone(),
            trace: None,
            account: None,
            project: None,
            memory: None,
            memory_wait: MemoryWait::default(),
        }
    }

    /// Returns the same client for calls of an AWS account. They are signed by the session of
    /// `owner` or, without an owner, by the session that callers share. An empty name is the
    /// account of the gateway's own identity.
    #[must_use]
    pub fn in_account(mut self, name: &Arc<str>, owner: Option<&SessionOwner>) -> Self {
        let session = self.sdk.accounts().session(name, owner);
        self.account = (session.is_some() || !name.is_empty()).then(|| Account {
            name: Arc::clone(name),
            session,
        });
        self
    }

    /// Returns the same client for calls of a project, which is added to the request. `None` adds
    /// nothing.
    #[must_use]
    pub fn in_project(mut self, identifier: Option<Arc<str>>) -> Self {
        self.project = identifier;
        self
    }

    /// Returns the worker's client of Bedrock's control plane.
    pub fn control(&self) -> ControlPlane {
        self.shared.control.of(&self.sdk)
    }

    /// Returns the caller as a session owner, if any account has separate sessions for the caller.
    pub fn session_owner(
        &self,
        name: &Arc<str>,
        options: &Arc<CallerSession>,
    ) -> Option<SessionOwner> {
        self.sdk.accounts().owner(name, options)
    }

    /// Returns the same client for a call whose large frames take memory from this budget.
    #[must_use]
    pub fn within(mut self, memory: Arc<dyn FrameMemory>) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Returns the same client for a call whose attempts record here that they wait for memory.
    #[must_use]
    pub fn recording(mut self, memory_wait: MemoryWait) -> Self {
        self.memory_wait = memory_wait;
        self
    }

    /// Returns the same client for calls within a span. The span's context is sent to Bedrock.
    #[must_use]
    pub fn in_trace(&self, span: TraceContext) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            sdk: self.sdk.clone(),
            trace: Some(span),
            account: self.account.clone(),
            project: self.project.clone(),
            memory: self.memory.clone(),
            memory_wait: self.memory_wait.clone(),
        }
    }

    /// Returns the endpoint of a source Region. `None` before the first call.
    pub fn endpoint(&self, account: &str, source_region: &str) -> Option<Endpoint> {
        let clients = self.clients();
        let of_account = if account.is_empty() {
            &clients.own
        } else {
            clients.of_accounts.get(account)?
        };
        of_account.get(source_region)?.endpoint.get().cloned()
    }

    /// Makes a call with the credentials of its account. If AWS rejects them and newer ones are
    /// available, retries the call once.
    ///
    /// # Errors
    ///
    /// Fails if the call fails, or if the account is not configured any more.
    pub(super) async fn signed<T, F>(&self, call: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        match &self.account {
            None => self.sdk.authenticated(call).await,
            Some(Account {
                session: Some(session),
                ..
            }) => session.authenticated(call).await,
            Some(Account { name, .. }) => Err(failure::no_account(name)),
        }
    }

    /// Returns the trace context that calls send to Bedrock, if they are within a span.
    pub(super) fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// Returns the project that calls must add to the request.
    pub(super) fn project(&self) -> Option<&Arc<str>> {
        self.project.as_ref()
    }

    /// Returns the HTTP client. All clients of the worker share its connections.
    pub(super) fn http(&self) -> &Http {
        &self.shared.http
    }

    /// Returns the counters of the requests that the SDK makes.
    pub(super) fn sdk_requests(&self) -> &Family<SdkRequest, Counter> {
        &self.shared.sdk_requests
    }

    /// Returns the memory budget of large frames.
    pub(super) fn frame_memory(&self) -> Option<Arc<dyn FrameMemory>> {
        self.memory.clone()
    }

    /// Returns where attempts record that they wait for memory.
    pub(super) fn memory_wait(&self) -> &MemoryWait {
        &self.memory_wait
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        let clients = self.shared.clients.lock();
        clients.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the client of a source Region.
    ///
    /// # Errors
    ///
    /// Fails if the name cannot be the name of a Region.
    pub(super) fn regional(&self, source_region: &str) -> Result<Regional, Failure> {
        let mut clients = self.clients();
        let account = self.account.as_ref().map(|account| &account.name);
        let name = account.map(AsRef::as_ref);
        let url = self.sdk.endpoint_url(name, source_region);
        let clients = match account {
            None => &mut clients.own,
            Some(name) => clients.of_accounts.entry(Arc::clone(name)).or_default(),
        };
        // Another configuration can set another endpoint for the Region.
        if let Some(regional) = clients.get(source_region)
            && regional.url.as_deref() == url
        {
            return Ok(regional.clone());
        }
        if !is_region(source_region) {
            return Err(failure::no_region(source_region));
        }
        let config = self
            .sdk
            .client_config(source_region, url, account.is_some())
            .http_client(self.shared.http.clone());
        let endpoint = Arc::default();
        let skew = Arc::new(ClockSkew::new(self.sdk.corrects_clock()));
        let hooks = Hooks::new(&endpoint, &skew);
        let regional = Regional {
            client: Client::from_conf(config.interceptor(hooks).build()),
            url: url.map(Arc::from),
            endpoint,
            templates: Arc::default(),
            skew,
        };
        if clients.len() < MOST_CLIENTS || clients.contains_key(source_region) {
            clients.insert(source_region.to_owned(), regional.clone());
        }
        Ok(regional)
    }
}
