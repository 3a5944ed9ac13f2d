//! A channel to the gateway, set up as docs/clients.md advises.

use std::{error::Error, fs, net::SocketAddr, time::Duration};

use tonic::transport::{self, Endpoint};

use crate::{
    channel::ConfiguredChannel, pb::inference_service_client::InferenceServiceClient, pods::Pods,
    service_config::ServiceConfig,
};

const SERVICE_CONFIG: &str = "../service_config.json";
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// What DNS says is seldom older than this, anyway.
const DNS_AGAIN: Duration = Duration::from_secs(10);

pub type Client = InferenceServiceClient<ConfiguredChannel>;

/// Deadline, retries and load balancing, from the file that clients in all languages read.
pub fn default_service_config() -> Result<ServiceConfig, Box<dyn Error>> {
    Ok(serde_json::from_slice(&fs::read(SERVICE_CONFIG)?)?)
}

/// Connects to HOST:PORT, or to several with commas between. Give the name of a headless Service to spread calls over its pods.
pub async fn connect(
    address: &str,
    config: ServiceConfig,
    keepalive: Duration,
) -> Result<Client, Box<dyn Error>> {
    let pods = if config.spreads_calls() {
        let names = address.split(',').map(str::to_owned).collect();
        let endpoint = move |pod: SocketAddr| endpoint(&pod.to_string(), keepalive);
        Pods::behind(names, DNS_AGAIN, endpoint).await?
    } else {
        Pods::one(endpoint(address, keepalive)?.connect_lazy())
    };
    // One delta of a tool's input or an image can be larger than the default of 4 MB.
    let client = Client::new(ConfiguredChannel::new(pods, config));
    Ok(client.max_decoding_message_size(MAX_ANSWER_BYTES))
}

fn endpoint(address: &str, keepalive: Duration) -> Result<Endpoint, transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        // h2 counts small frames that nobody has read yet against this window: many streams that are read slowly need a large one.
        // And never `http2_adaptive_window(true)`, which makes it small.
        .initial_connection_window_size(64 << 20)
        // A connection that died without a word is noticed after both.
        .http2_keep_alive_interval(keepalive)
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .connect_timeout(Duration::from_secs(3));
    Ok(endpoint)
}
