//! One HTTP/1.1 connection with one call at a time: writes a request and counts the chunks of the
//! answer.

use std::net::SocketAddr;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    messages::{Framing, Messages},
    watch::Call,
};
use crate::Error;

pub(super) struct Connection {
    stream: TcpStream,
    request: Bytes,
    read: BytesMut,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr, request: Bytes) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request,
            read: BytesMut::new(),
        })
    }

    /// Makes a call and reads the answer to its end.
    pub(super) async fn call(&mut self, call: &mut Call<'_>) -> Result<(), Error> {
        self.stream.write_all(&self.request).await?;
        self.head().await?;
        let mut messages = Messages::new(Framing::EventStream);
        loop {
            let size = self.line().await?;
            let mut rest = usize::from_str_radix(&size, 16)
                .map_err(|_| format!("{size:?} is not a chunk size"))?;
            let last = rest == 0;
            while rest > 0 {
                self.at_least(1).await?;
                let here = rest.min(self.read.len());
                messages.push(&self.read[..here], call);
                self.read.advance(here);
                rest -= here;
            }
            if !self.line().await?.is_empty() {
                return Err("a chunk without an end".into());
            }
            if last {
                return Ok(());
            }
        }
    }

    async fn head(&mut self) -> Result<(), Error> {
        let status = self.line().await?;
        let mut chunked = false;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            chunked |= line.eq_ignore_ascii_case("transfer-encoding: chunked");
        }
        if chunked && status.starts_with("HTTP/1.1 200 ") {
            return Ok(());
        }
        Err(format!("the answer is {status}").into())
    }

    async fn line(&mut self) -> Result<String, Error> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.read[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(searched + at + 1);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            searched = self.read.len();
            self.at_least(searched + 1).await?;
        }
    }

    async fn at_least(&mut self, length: usize) -> Result<(), Error> {
        while self.read.len() < length {
            // Room is reserved before the wait for bytes: later, the reservation would delay
            // reading.
            self.read.reserve(4096);
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the connection was closed in the middle of an answer".into());
            }
        }
        Ok(())
    }
}
