//! The floor: bytes from one socket to another, as they come, and nothing else. No gateway on this machine can be cheaper, unless it
//! moves several streams' bytes at once.

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
            // A connection's end is the client's wish.
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
