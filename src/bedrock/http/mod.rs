//! The HTTP client that the SDK uses. It opens several connections to an endpoint as the load
//! grows, and uses the least loaded one.
//!
//! The SDK's own client opens one HTTP/2 connection per host. When that connection has reached its
//! limit of streams, further calls wait. With this client, a call never waits for a full connection
//! while another one has room.
//!
//! | module | job |
//! |---|---|
//! | `settings` | the settings of connections, which a reload can replace |
//! | `origin` | the destination of a connection, and the traits of its socket |
//! | `authority` | builds the `host` value that is signed and sent |
//! | `dial` | opens sockets: DNS, TCP, proxy, TLS |
//! | `proxy` | selects the proxy of an origin |
//! | `tls` | the certificates that TLS connections trust |
//! | `http1` | one HTTP/1.1 connection, driven by the future that waits for its answer |
//! | `http2` | one HTTP/2 connection, driven by its own task |
//! | `connection_use` | counts how many calls use a connection, and notifies the pool |
//! | `pool` | selects the connection for a call, and opens others |
//! | `capped` | limits how much of a response is read |
//! | `body` | the response bodies of HTTP/1.1, of HTTP/2 and of the SDK |
//! | `error` | errors, and whether Bedrock can have processed the request |

mod authority;
mod body;
mod capped;
mod connection_use;
mod dial;
mod error;
mod http1;
mod http2;
#[cfg(test)]
pub(crate) mod memory;
mod origin;
mod pool;
mod proxy;
mod settings;
mod tls;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::BodyExt as _;

pub(super) use body::ResponseBody;
pub(super) use error::{Error, Kind};
pub(super) use settings::CurrentSettings;
pub use tls::{TlsError, Trust};

use capped::Capped;
use dial::Dialer;
use origin::Origin;
use pool::{Limits, Pool};
use settings::Settings;

/// The time limit for the response headers, if the SDK sets only a connect timeout.
const LONGEST_ANSWER_TIME: Duration = Duration::from_secs(10);

/// The client. Cheap to clone. All clones share their connections, which run on the worker's
/// runtime.
#[derive(Clone)]
pub(super) struct Http {
    shared: Arc<Shared>,
    /// The maximum size of a successful answer, in bytes. A longer answer is an error. `None` for a
    /// stream, because the reader of the stream limits it.
    longest_answer: Option<usize>,
    /// The time limit for connecting and for the response headers together. `None` if the caller
    /// sets a time limit.
    head_limit: Option<Duration>,
}

struct Shared {
    settings: CurrentSettings,
    pools: Mutex<Pools>,
}

/// The pools of connections with the same settings.
struct Pools {
    settings: Arc<Settings>,
    dialer: Arc<Dialer>,
    limits: Limits,
    /// The pools. There are few, so a search is faster than hashing an origin.
    by_origin: Vec<(Origin, Arc<Pool>)>,
}

impl Pools {
    fn with(settings: Arc<Settings>) -> Self {
        let Settings { trust, options, .. } = &*settings;
        Self {
            dialer: Arc::new(Dialer::new(Arc::clone(trust), options)),
            limits: Limits::new(options),
            by_origin: Vec::new(),
            settings,
        }
    }
}

impl Http {
    /// Creates a client, without connections.
    pub(super) fn new(settings: CurrentSettings) -> Self {
        let shared = Shared {
            pools: Mutex::new(Pools::with(settings.load())),
            settings,
        };
        Self {
            shared: Arc::new(shared),
            longest_answer: None,
            head_limit: None,
        }
    }

    /// Limits successful answers to this number of bytes. Must not be used for streams.
    #[must_use]
    pub(super) fn for_whole_answers(mut self, most: usize) -> Self {
        self.longest_answer = Some(most);
        self
    }

    /// Returns the pool for a URL.
    fn pool(&self, uri: &Uri) -> Result<Arc<Pool>, Error> {
        let Shared { settings, pools } = &*self.shared;
        let settings = settings.load();
        let mut pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
        let mut retired = None;
        if !Arc::ptr_eq(&pools.settings, &settings) {
            retired = Some(std::mem::replace(&mut *pools, Pools::with(settings)));
        }
        let Pools {
            dialer,
            limits,
            by_origin,
            ..
        } = &mut *pools;
        let known = by_origin.iter().find(|(origin, _)| origin.is_of(uri));
        let pool = match known {
            Some((_, pool)) => Arc::clone(pool),
            None => {
                let origin = Origin::of(uri)?;
                let pool = Pool::new(origin.clone(), dialer.clone(), *limits);
                by_origin.push((origin, Arc::clone(&pool)));
                pool
            }
        };
        drop(pools);
        // Open calls keep the old pool of their connection until they end.
        drop(retired);
        Ok(pool)
    }

    /// Sends a request, and returns when the head of its answer has arrived. `request` returns the
    /// request. It is called a second time if the peer has not processed the first request.
    ///
    /// # Errors
    ///
    /// Fails if there is no answer.
    pub(super) async fn send(
        &self,
        mut request: impl FnMut() -> Result<Request<Bytes>, Error>,
    ) -> Result<http::Response<ResponseBody>, Error> {
        let first = request()?;
        let pool = self.pool(first.uri())?;
        match exchange(&pool, first).await {
            // The request is retried once. This is safe, because the peer has not processed it.
            Err(error) if error.kind == Kind::Unprocessed => exchange(&pool, request()?).await,
            outcome => outcome,
        }
    }

    /// Converts a response to the type of the SDK, and limits how much of it is read.
    ///
    /// # Errors
    ///
    /// Fails if a header is not text.
    pub(super) fn limited(
        &self,
        response: http::Response<ResponseBody>,
    ) -> Result<HttpResponse, Error> {
        let status = response.status();
        response
            .map(|body| match (status.is_success(), self.longest_answer) {
                // Only the start of an error's body is read, and only within a time limit.
                (false, _) => SdkBody::from_body_1_x(Capped::error(body, status)),
                (true, Some(most)) => SdkBody::from_body_1_x(Capped::answer(body, most)),
                (true, None) => SdkBody::from_body_1_x(body),
            })
            .try_into()
            .map_err(Error::broken)
    }
}

async fn exchange(
    pool: &Arc<Pool>,
    request: Request<Bytes>,
) -> Result<http::Response<ResponseBody>, Error> {
    pool.lease().await?.send(request).await
}

/// Converts the SDK's request. Its body was signed, so it is already in memory, and it is not
/// copied.
async fn buffered(request: HttpRequest) -> Result<Request<Bytes>, Error> {
    let (head, body) = request
        .try_into_http1x()
        .map_err(Error::request)?
        .into_parts();
    let body = body.collect().await.map_err(Error::request)?.to_bytes();
    Ok(Request::from_parts(head, body))
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let sent = async {
                let request = buffered(request).await?;
                this.limited(this.send(|| Ok(request.clone())).await?)
            };
            let Some(limit) = this.head_limit else {
                return sent.await.map_err(ConnectorError::from);
            };
            match tokio::time::timeout(limit, sent).await {
                Ok(outcome) => outcome.map_err(ConnectorError::from),
                Err(late) => Err(ConnectorError::timeout(late.into())),
            }
        })
    }
}

impl HttpClient for Http {
    /// Creates a connector. `settings` contains the timeouts of the SDK's credential providers,
    /// such as 1 s for the instance metadata service. For calls to Bedrock, it contains none.
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let mut connector = self.clone();
        connector.head_limit = match (settings.connect_timeout(), settings.read_timeout()) {
            (None, None) => None,
            (connect, read) => {
                let settings = self.shared.settings.load();
                let connect = connect.unwrap_or(settings.options.connect_timeout);
                Some(connect + read.unwrap_or(LONGEST_ANSWER_TIME))
            }
        };
        SharedHttpConnector::new(connector)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}
