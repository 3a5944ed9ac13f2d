//! Spreads calls over all pods behind a name, such as that of a headless Service. tonic itself uses
//! only one address.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{net::lookup_host, sync::watch, task::JoinSet, time::sleep};
use tonic::transport::{self, Channel, Endpoint};

#[derive(Clone)]
pub struct Pods {
    channels: watch::Receiver<Vec<Channel>>,
    turn: Arc<AtomicUsize>,
}

impl Pods {
    pub fn one(channel: Channel) -> Self {
        Self::of(watch::channel(vec![channel]).1)
    }

    /// The pods behind all these names (HOST:PORT). The names are resolved again after each
    /// `every`, until this is dropped.
    pub async fn behind(
        names: Vec<String>,
        every: Duration,
        endpoint: impl Fn(SocketAddr) -> Result<Endpoint, transport::Error> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        // An invalid name is an error immediately.
        let found = resolve(&names).await?;
        let mut connected = Connected(HashMap::new());
        let (sender, channels) = watch::channel(connected.follow(found, &endpoint).await);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = sender.closed() => return,
                    () = sleep(every) => {}
                }
                // A name that cannot be resolved for a while does not affect pods that work.
                if let Ok(found) = resolve(&names).await {
                    sender.send_replace(connected.follow(found, &endpoint).await);
                }
            }
        });
        Ok(Self::of(channels))
    }

    /// The next pod in turn, if there is any.
    pub fn next(&self) -> Option<Channel> {
        let channels = self.channels.borrow();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        channels.get(turn.checked_rem(channels.len())?).cloned()
    }

    fn of(channels: watch::Receiver<Vec<Channel>>) -> Self {
        let turn = Arc::default();
        Self { channels, turn }
    }
}

async fn resolve(names: &[String]) -> io::Result<HashSet<SocketAddr>> {
    let mut found = HashSet::new();
    for name in names {
        found.extend(lookup_host(name).await?);
    }
    Ok(found)
}

/// The pods that accepted a connection. Each keeps its connection alive from then on.
struct Connected(HashMap<SocketAddr, Channel>);

impl Connected {
    /// Connects to new pods and drops removed ones: their open calls continue.
    async fn follow(
        &mut self,
        found: HashSet<SocketAddr>,
        endpoint: &impl Fn(SocketAddr) -> Result<Endpoint, transport::Error>,
    ) -> Vec<Channel> {
        self.0.retain(|address, _| found.contains(address));
        let mut connecting = JoinSet::new();
        for &address in found.iter().filter(|it| !self.0.contains_key(it)) {
            let endpoint = endpoint(address);
            connecting.spawn(async move { Some((address, endpoint.ok()?.connect().await.ok()?)) });
        }
        self.0
            .extend(connecting.join_all().await.into_iter().flatten());
        if self.0.is_empty() {
            // There must be at least one address: without any, calls would wait instead of failing.
            let endpoints = found.iter().flat_map(|&it| endpoint(it));
            return endpoints.map(|it| it.connect_lazy()).collect();
        }
        self.0.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_pod_that_comes_later_is_found() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = first.local_addr().unwrap().port();
        // Every address of 127.0.0.0/8 belongs to this machine.
        let names: Vec<_> = ["127.0.0.1", "127.0.0.2"]
            .map(|host| format!("{host}:{port}"))
            .into();
        let endpoint = |it| Endpoint::from_shared(format!("http://{it}"));
        let mut pods = Pods::behind(names.clone(), Duration::from_millis(10), endpoint)
            .await
            .unwrap();
        assert_eq!(pods.channels.borrow().len(), 1);
        let _second = TcpListener::bind(&names[1]).await.unwrap();
        let both = pods.channels.wait_for(|channels| channels.len() == 2);
        timeout(Duration::from_secs(20), both)
            .await
            .unwrap()
            .unwrap();
    }
}
