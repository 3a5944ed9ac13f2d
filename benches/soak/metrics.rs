//! The gateway's `/metrics`.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{Error, child::Child};

/// Returns the whole text.
pub(crate) async fn read(gateway: &Child) -> Result<String, Error> {
    let address = gateway.address("admin")?;
    let stream = TcpStream::connect(address).await?;
    let (mut send, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = http::Request::get("/metrics")
        .header("host", address.to_string())
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let answer = send.send_request(request).await?;
        // The connection ends when it can send nothing more.
        drop(send);
        answer.into_body().collect().await
    };
    let (answer, _closed) = tokio::join!(answer, connection);
    Ok(String::from_utf8(answer?.to_bytes().to_vec())?)
}

/// Returns the sum of a metric's samples over all labels.
pub(crate) fn total(metrics: &str, name: &str) -> Result<u64, Error> {
    let mut total = 0;
    for line in metrics.lines() {
        if let Some(sample) = line.strip_prefix(name)
            && let Some((_, value)) = sample.rsplit_once("} ")
        {
            total += value.parse::<u64>()?;
        }
    }
    Ok(total)
}

/// Returns the value of a sample, by its name and labels.
pub(crate) fn number(metrics: &str, name: &str) -> Result<u64, Error> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.ok_or_else(|| format!("no metric {name}"))?.parse()?)
}
