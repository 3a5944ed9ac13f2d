//! The baseline: copies bytes from one socket to another and does nothing else. A gateway on this
//! machine cannot be cheaper, unless it moves the bytes of several streams at once.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpStream};

use crate::Error;

pub(super) async fn run(upstream: SocketAddr) -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    super::ready(&[("http", listener.local_addr()?.to_string())])?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(async move {
            // An error here means that the client closed the connection.
            let _ended = relay(client, upstream).await;
        });
    }
}

async fn relay(mut client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
    let mut upstream = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}
