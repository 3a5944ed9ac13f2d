//! The HTTP client under the SDK: several connections to one endpoint, the least loaded first, more
//! as load grows.
//!
//! The SDK's own client opens one HTTP/2 connection per host and queues behind its limit of
//! streams. This one never lets a call wait behind a full connection while another has room.
//!
//! | module | job |
//! |---|---|
//! | `dial` | DNS, TCP, proxy, TLS: from an origin to a socket |
//! | `proxy` | which proxy an origin is reached through |
//! | `tls` | whom TLS connections trust |
//! | `http1` | one HTTP/1.1 connection, driven by whoever waits for its answer |
//! | `http2` | one HTTP/2 connection, driven by a task of its own |
//! | `slot` | a place in use on a connection, and what it tells the pool |
//! | `pool` | which connection a call gets, and when to open another |
//! | `capped` | how much of a response is read |
//! | `error` | what can go wrong, and whether Bedrock can have seen the request |

mod authority;
mod body;
mod capped;
mod dial;
mod error;
mod http1;
mod http2;
mod pool;
mod proxy;
mod slot;
mod tls;

use std::{
    collections::HashMap,
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
use http::Request;
use http_body_util::BodyExt as _;

pub(super) use error::{Error, Kind};
pub(super) use tls::Tls;
pub use tls::TlsError;

use crate::config::bedrock::Options;
use body::Body;
use capped::Capped;
use dial::{Dialer, Origin};
use pool::{Limits, Pool};

/// How long the head of an answer may take if only connecting has a limit of the SDK's.
const LONGEST_ANSWER_TIME: Duration = Duration::from_secs(10);

/// The client: cheap to clone, all clones share their connections. One per worker, whose runtime
/// drives them.
#[derive(Clone)]
pub(super) struct Http {
    shared: Arc<Shared>,
    /// The most bytes of a successful answer; a longer one is an error. `None`: it is a stream,
    /// whose reader bounds it.
    longest_answer: Option<usize>,
    /// How long connecting and the head of the answer may take together. `None`: whoever waits for
    /// the call decides.
    head_limit: Option<Duration>,
}

struct Shared {
    connect_timeout: Duration,
    dialer: Arc<Dialer>,
    limits: Limits,
    pools: Mutex<HashMap<Origin, Arc<Pool>>>,
}

impl Http {
    /// A client without connections as yet.
    pub(super) fn new(tls: Tls, options: &Options) -> Self {
        let shared = Shared {
            connect_timeout: options.connect_timeout,
            dialer: Arc::new(Dialer::new(tls, options)),
            limits: Limits::new(options),
            pools: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            longest_answer: None,
            head_limit: None,
        }
    }

    /// The same client, for answers that are read whole: one that is longer than this is an error.
    #[must_use]
    pub(super) fn for_whole_answers(mut self, most: usize) -> Self {
        self.longest_answer = Some(most);
        self
    }

    fn pool(&self, origin: Origin) -> Arc<Pool> {
        let mut pools = self
            .shared
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Shared { dialer, limits, .. } = &*self.shared;
        pools
            .entry(origin)
            .or_insert_with_key(|origin| Pool::new(origin.clone(), dialer.clone(), *limits))
            .clone()
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let request = buffered(request).await?;
        let pool = self.pool(Origin::of(request.uri())?);
        let response = match exchange(&pool, request.clone()).await {
            // Once more, and safely so: the peer said, or the socket shows, that it never looked at
            // the request.
            Err(error) if error.kind == Kind::Unprocessed => exchange(&pool, request).await,
            outcome => outcome,
        }?;
        let is_error = !response.status().is_success();
        response
            .map(|body| match (is_error, self.longest_answer) {
                // Whoever answers is not trusted with memory or time: the start of an error says
                // what it is.
                (true, _) => SdkBody::from_body_1_x(Capped::error(body)),
                (false, Some(most)) => SdkBody::from_body_1_x(Capped::answer(body, most)),
                (false, None) => SdkBody::from_body_1_x(body),
            })
            .try_into()
            .map_err(Error::broken)
    }
}

async fn exchange(
    pool: &Arc<Pool>,
    request: Request<Bytes>,
) -> Result<http::Response<Body>, Error> {
    pool.lease().await?.send(request).await
}

/// The SDK's request in the form of the `http` crate. Its body is in memory, for it was signed:
/// nothing is copied.
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
            let sent = this.send(request);
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
    /// The SDK's settings are the time limits of its own providers: the instance metadata service
    /// is given up after a second. Calls to Bedrock have none here.
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let mut connector = self.clone();
        connector.head_limit = match (settings.connect_timeout(), settings.read_timeout()) {
            (None, None) => None,
            (connect, read) => {
                let connect = connect.unwrap_or(self.shared.connect_timeout);
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
