//! A store of limits that replicas share: a real `redis-server`, and a connection that loses
//! replies.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bedrock_grpc::config::{LimitsStore, OnStoreFailure, RedisStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};

#[path = "../../redis/server.rs"]
mod server;

pub(crate) use server::RedisServer;

/// The store on this port. It may take as long as a slow machine needs.
pub(crate) fn store_at(port: u16, on_failure: OnStoreFailure) -> LimitsStore {
    LimitsStore::Redis(Box::new(RedisStore {
        timeout: Duration::from_secs(5),
        on_failure,
        ..RedisStore::at("127.0.0.1", port)
    }))
}

/// The same with the default time-out.
pub(crate) fn quick_store_at(port: u16, on_failure: OnStoreFailure) -> LimitsStore {
    LimitsStore::Redis(Box::new(RedisStore {
        on_failure,
        ..RedisStore::at("127.0.0.1", port)
    }))
}

/// A proxy in front of a server that can lose replies.
pub(crate) struct LossyProxy {
    pub(crate) address: SocketAddr,
    loses: Arc<AtomicBool>,
}

impl LossyProxy {
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let loses = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&loses);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(forward(client, server, Arc::clone(&switch)));
            }
        });
        Self { address, loses }
    }

    /// The next reply does not arrive: its connection closes instead.
    pub(crate) fn lose_the_next_reply(&self) {
        self.loses.store(true, Ordering::SeqCst);
    }
}

async fn forward(client: TcpStream, server: TcpStream, loses: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let replies = async {
        let mut bytes = [0; 65_536];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            if loses.swap(false, Ordering::SeqCst) {
                return;
            }
            if to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        () = replies => {}
    }
}
