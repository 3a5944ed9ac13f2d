//! One HTTP/1.1 connection, which carries one exchange at a time. The connection has no task: the
//! future that waits for the answer drives it. So a token wakes only one task, and dropping the
//! body closes the socket at once.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri,
    header::{HOST, PROXY_AUTHORIZATION},
    uri::PathAndQuery,
};
use http_body::Body as _;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;

use super::{
    authority::authority,
    connection_use::ConnectionUse,
    dial::{Forwarder, Socket},
    error::Error,
    origin::Io,
};

/// The maximum number of bytes that hyper reads ahead. It limits the memory of a stream that the
/// client does not read.
const READ_AHEAD: usize = 32 * 1024;

type Driver = http1::Connection<TokioIo<Box<dyn Io>>, Full<Bytes>>;

/// A connection without an exchange.
pub(super) struct Http1Connection {
    send: SendRequest<Full<Bytes>>,
    /// The connection. Boxed, because it is large and is moved between the pool and responses.
    driver: Box<Driver>,
    /// Set if a proxy receives the requests.
    forwarder: Option<Forwarder>,
}

impl Http1Connection {
    pub(super) async fn new(socket: Socket) -> Result<Self, hyper::Error> {
        let (send, driver) = http1::Builder::new()
            .max_buf_size(READ_AHEAD)
            .handshake(TokioIo::new(socket.io))
            .await?;
        Ok(Self {
            send,
            driver: Box::new(driver),
            forwarder: socket.forwarder,
        })
    }

    /// Polls the connection. Returns whether it can send a request.
    pub(super) fn is_ready(&mut self) -> bool {
        // No waker is needed here, because the next exchange registers one.
        let driven = Pin::new(&mut self.driver).poll(&mut Context::from_waker(Waker::noop()));
        driven.is_pending() && self.send.is_ready()
    }
}

/// The pool that owns idle connections.
pub(super) trait Keeper: Send + Sync {
    /// Takes back an idle connection.
    fn keep(&self, connection: Http1Connection);
}

/// A connection that is reserved for one request.
pub(super) struct Http1Lease {
    pub(super) connection: Http1Connection,
    /// The pool to which the connection is returned after the response.
    pub(super) keeper: Arc<dyn Keeper>,
    pub(super) slot: ConnectionUse,
}

impl Http1Lease {
    /// Sends the request and waits for the response headers.
    pub(super) async fn send(self, request: Request<Bytes>) -> Result<Response<Http1Body>, Error> {
        let Self {
            connection:
                Http1Connection {
                    mut send,
                    mut driver,
                    forwarder,
                },
            keeper,
            slot,
        } = self;
        let mut ended = false;
        let outcome = {
            let mut response = pin!(send.try_send_request(addressed(request, forwarder.as_ref())?));
            poll_fn(|cx| {
                if !ended {
                    ended = Pin::new(&mut driver).poll(cx).is_ready();
                }
                response.as_mut().poll(cx)
            })
            .await
        };
        match outcome {
            Ok(response) => Ok(response.map(|incoming| {
                let connection = Http1Connection {
                    send,
                    driver,
                    forwarder,
                };
                let lease = Some(Http1Lease {
                    connection,
                    keeper,
                    slot,
                });
                Http1Body {
                    incoming,
                    lease,
                    ended,
                }
            })),
            // hyper returns the request only if it has not written any byte of the request.
            Err(mut error) => match error.take_message() {
                Some(_) => Err(Error::unprocessed(error.error())),
                None => Err(Error::broken(error.error())),
            },
        }
    }
}

/// The body of a response, with its connection.
pub(in crate::bedrock) struct Http1Body {
    incoming: Incoming,
    lease: Option<Http1Lease>,
    /// Whether the connection has ended. Bytes that were read before may still be available.
    ended: bool,
}

impl Http1Body {
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, aws_smithy_types::body::Error>>> {
        let mut driven = false;
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.lease = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Poll::Pending if driven => return Poll::Pending,
                Poll::Pending => {
                    driven = true;
                    self.drive(cx);
                }
            }
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(Http1Lease { connection, .. }) = &mut self.lease
            && !self.ended
        {
            self.ended = Pin::new(&mut connection.driver).poll(cx).is_ready();
        }
    }

    /// Returns the connection to the pool after a complete response.
    fn give_back(&mut self) {
        if let Some(Http1Lease {
            mut connection,
            keeper,
            slot,
        }) = self.lease.take()
            && !self.ended
            && connection.is_ready()
        {
            keeper.keep(connection);
            // The slot is released last, so that a waiting call finds the connection in the pool.
            drop(slot);
        }
    }
}

/// Sets the `host` header if there is none, and reduces the URL to its path. For a proxy, the URL
/// stays absolute.
fn addressed(
    request: Request<Bytes>,
    forwarder: Option<&Forwarder>,
) -> Result<Request<Full<Bytes>>, Error> {
    let (mut head, body) = request.into_parts();
    if !head.headers.contains_key(HOST) {
        let host = HeaderValue::from_str(&authority(&head.uri)).map_err(Error::request)?;
        head.headers.insert(HOST, host);
    }
    match forwarder {
        Some(forwarder) => {
            if let Some(authorization) = &forwarder.authorization {
                head.headers
                    .insert(PROXY_AUTHORIZATION, authorization.clone());
            }
        }
        None => {
            let path = head.uri.path_and_query().cloned();
            head.uri = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
        }
    }
    Ok(Request::from_parts(head, Full::new(body)))
}
