//! The HTTP client under the SDK: several connections to one endpoint, the least loaded first, more as load grows.
//!
//! The SDK's own client opens one HTTP/2 connection per host and queues behind its limit of streams. This one never lets
//! a call wait behind a full connection while another has room.
//!
//! | module | job |
//! |---|---|
//! | `dial` | DNS, TCP, TLS: from an origin to a socket |
//! | `http1` | one HTTP/1.1 connection, driven by whoever waits for its answer |
//! | `http2` | one HTTP/2 connection, driven by a task of its own |
//! | `slot` | a place in use on a connection, and what it tells the pool |
//! | `pool` | which connection a call gets, and when to open another |
//! | `error` | what can go wrong, and whether Bedrock can have seen the request |
//!
//! Proxies (`HTTP_PROXY`, `HTTPS_PROXY`) are not supported: name the proxy's own address as the endpoint, or let the
//! network route.

mod authority;
mod body;
mod dial;
mod error;
mod http1;
mod http2;
mod pool;
mod slot;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
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

pub(super) use dial::Tls;
pub use dial::TlsError;
pub(super) use error::{Error, Kind};

use crate::config::bedrock::Options;
use body::Body;
use dial::{Dialer, Origin};
use pool::{Limits, Pool};

/// The client: cheap to clone, all clones share their connections. One per worker, whose runtime drives them.
#[derive(Clone)]
pub(super) struct Http {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Arc<Dialer>,
    limits: Limits,
    pools: Mutex<HashMap<Origin, Arc<Pool>>>,
}

impl Http {
    /// A client without connections as yet.
    pub(super) fn new(tls: Tls, options: &Options) -> Self {
        let shared = Shared {
            dialer: Arc::new(Dialer::new(tls, options)),
            limits: Limits::new(options),
            pools: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
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
            // Once more, and safely so: the peer said, or the socket shows, that it never looked at the request.
            Err(error) if error.kind == Kind::Unprocessed => exchange(&pool, request).await,
            outcome => outcome,
        }?;
        response
            .map(SdkBody::from_body_1_x)
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

/// The SDK's request in the form of the `http` crate. Its body is in memory, for it was signed: nothing is copied.
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
        HttpConnectorFuture::new(
            async move { this.send(request).await.map_err(ConnectorError::from) },
        )
    }
}

impl HttpClient for Http {
    // The SDK's settings hold time limits alone, and those are ours to keep.
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}
