//! One HTTP/1.1 connection. It carries one exchange at a time and has no task: the reader of the
//! response drives it. So a token wakes one task, and dropping the body closes the socket
//! immediately.

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
    dial::{Forwarder, Socket},
    error::Error,
    origin::Io,
    slot::Slot,
};

/// How many bytes hyper reads ahead: the limit for unread bytes of a stream.
const READ_AHEAD: usize = 32 * 1024;

type Driver = http1::Connection<TokioIo<Box<dyn Io>>, Full<Bytes>>;

/// A connection without an exchange.
pub(super) struct Connection {
    send: SendRequest<Full<Bytes>>,
    /// Boxed: it is large, and is moved between the pool and responses.
    driver: Box<Driver>,
    /// Set if a proxy forwards the requests.
    forwarder: Option<Forwarder>,
}

impl Connection {
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

    /// Lets the connection process what happened meanwhile; `true` if it can accept a request.
    pub(super) fn is_ready(&mut self) -> bool {
        // No task waits: the next exchange registers its own waker.
        let driven = Pin::new(&mut self.driver).poll(&mut Context::from_waker(Waker::noop()));
        driven.is_pending() && self.send.is_ready()
    }
}

/// Keeps connections for the next request.
pub(super) trait Keeper: Send + Sync {
    /// Stores a connection that is ready for a request.
    fn keep(&self, connection: Connection);
}

/// A connection and the right to use it.
pub(super) struct Lease {
    pub(super) connection: Connection,
    /// Gets the connection when the response was read.
    pub(super) keeper: Arc<dyn Keeper>,
    pub(super) slot: Slot,
}

impl Lease {
    /// Sends the request and waits for the head of its response.
    pub(super) async fn send(self, request: Request<Bytes>) -> Result<Response<Body>, Error> {
        let Self {
            connection:
                Connection {
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
                let connection = Connection {
                    send,
                    driver,
                    forwarder,
                };
                let lease = Some(Lease {
                    connection,
                    keeper,
                    slot,
                });
                Body {
                    incoming,
                    lease,
                    ended,
                }
            })),
            // hyper returns the request only if it wrote no byte of it.
            Err(mut error) => match error.take_message() {
                Some(_) => Err(Error::unprocessed(error.error())),
                None => Err(Error::broken(error.error())),
            },
        }
    }
}

/// The rest of a response, with its connection.
pub(super) struct Body {
    incoming: Incoming,
    lease: Option<Lease>,
    /// The connection has ended; bytes that it had read may remain.
    ended: bool,
}

impl Body {
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
        if let Some(Lease { connection, .. }) = &mut self.lease
            && !self.ended
        {
            self.ended = Pin::new(&mut connection.driver).poll(cx).is_ready();
        }
    }

    /// When a body was read to its end, its connection can be reused.
    fn give_back(&mut self) {
        if let Some(Lease {
            mut connection,
            keeper,
            slot,
        }) = self.lease.take()
            && !self.ended
            && connection.is_ready()
        {
            keeper.keep(connection);
            // Only now is there capacity: a waiting call finds the connection.
            drop(slot);
        }
    }
}

/// The form of HTTP/1.1: the host as a header, and only the path. A proxy gets the whole URL.
fn addressed(
    request: Request<Bytes>,
    forwarder: Option<&Forwarder>,
) -> Result<Request<Full<Bytes>>, Error> {
    let (mut head, body) = request.into_parts();
    let host = HeaderValue::from_str(&authority(&head.uri)).map_err(Error::request)?;
    head.headers.insert(HOST, host);
    if let Some(forwarder) = forwarder {
        if let Some(authorization) = &forwarder.authorization {
            head.headers
                .insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        return Ok(Request::from_parts(head, Full::new(body)));
    }
    let path = head
        .uri
        .path_and_query()
        .cloned()
        .unwrap_or(PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    Ok(Request::from_parts(head, Full::new(body)))
}
