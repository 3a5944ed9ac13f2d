//! A channel to the gateway, configured as docs/clients.md recommends.

use std::{env, error::Error, fs, net::SocketAddr, time::Duration};

use tonic::transport::{self, Endpoint};

use crate::{
    channel::ConfiguredChannel,
    pb::{
        inference_service_client::InferenceServiceClient, model_service_client::ModelServiceClient,
    },
    pods::Pods,
    service_config::ServiceConfig,
};

const SERVICE_CONFIG: &str = "../service_config.json";
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// DNS answers are seldom cached for less than this.
const DNS_AGAIN: Duration = Duration::from_secs(10);

pub type Client = InferenceServiceClient<ConfiguredChannel>;
pub type ModelClient = ModelServiceClient<ConfiguredChannel>;

/// Deadline, retries and load balancing, from the file that clients in all languages load.
pub fn default_service_config() -> Result<ServiceConfig, Box<dyn Error>> {
    Ok(serde_json::from_slice(&fs::read(SERVICE_CONFIG)?)?)
}

/// Connects to HOST:PORT, or to several addresses separated by commas. Use the name of a headless
/// Service to spread calls over its pods.
pub async fn connect(
    address: &str,
    config: ServiceConfig,
    keepalive: Duration,
) -> Result<ConfiguredChannel, Box<dyn Error>> {
    let pods = if config.spreads_calls() {
        let names = address.split(',').map(str::to_owned).collect();
        let endpoint = move |pod: SocketAddr| endpoint(&pod.to_string(), keepalive);
        Pods::behind(names, DNS_AGAIN, endpoint).await?
    } else {
        Pods::one(endpoint(address, keepalive)?.connect_lazy())
    };
    let token_file = env::var_os("BEDROCK_GRPC_TOKEN_FILE").map(Into::into);
    Ok(ConfiguredChannel::new(pods, config, token_file))
}

/// One delta of a tool's input, or an image, can be larger than the default of 4 MB.
pub fn inference(channel: ConfiguredChannel) -> Client {
    Client::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// Answers in a model's own format can also be larger than the default.
pub fn models(channel: ConfiguredChannel) -> ModelClient {
    ModelClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES)
}

fn endpoint(address: &str, keepalive: Duration) -> Result<Endpoint, transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        // h2 counts small unread frames against this window, so many slowly read streams need a
        // large one. Never enable `http2_adaptive_window(true)`, which makes it small.
        .initial_connection_window_size(64 << 20)
        // A dead connection is detected after both times together.
        .http2_keep_alive_interval(keepalive)
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .connect_timeout(Duration::from_secs(3));
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };
    use tonic::{body::Body, client::GrpcService};

    use super::*;

    const PREFACE: usize = 24;
    const FRAME_HEADER: usize = 9;
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    const TOKEN: &[u8] = b"token";

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u8;
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// Reads up to a frame of this kind with these flags. `None` if the connection ends before.
    async fn until(io: &mut TcpStream, kind: u8, flags: u8) -> Option<()> {
        loop {
            let mut header = [0; FRAME_HEADER];
            io.read_exact(&mut header).await.ok()?;
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; length as usize];
            io.read_exact(&mut payload).await.ok()?;
            if header[3] == kind && header[4] & flags == flags {
                return Some(());
            }
        }
    }

    /// Answers a call with this many frames, and waits until the client has acknowledged all of
    /// them, or closes.
    async fn answer(listener: TcpListener, tokens: usize) -> Option<()> {
        let (mut io, _) = listener.accept().await.ok()?;
        io.read_exact(&mut [0; PREFACE]).await.ok()?;
        io.write_all(&frame(SETTINGS, 0, 0, &[])).await.ok()?;
        until(&mut io, HEADERS, 0).await?;
        let mut frames = frame(SETTINGS, ACK, 0, &[]);
        // In HPACK, 0x88 is `:status: 200`.
        frames.extend(frame(HEADERS, 4, 1, &[0x88]));
        frames.extend(frame(DATA, 0, 1, TOKEN).repeat(tokens));
        frames.extend(frame(DATA, 1, 1, &[]));
        frames.extend(frame(PING, 0, 0, &[0; 8]));
        io.write_all(&frames).await.ok()?;
        // This frame is not a new ping, but the answer to one.
        until(&mut io, PING, ACK).await
    }

    /// Returns whether a stream is complete if it is read only after all of it has arrived.
    async fn is_whole(tokens: usize, endpoint: impl FnOnce(String) -> Endpoint) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answered = tokio::spawn(answer(listener, tokens));
        let mut channel = endpoint(address).connect().await.unwrap();
        std::future::poll_fn(|context| channel.poll_ready(context))
            .await
            .unwrap();
        let call = Request::post("/").body(Body::empty()).unwrap();
        let response = channel.call(call).await;
        answered.await.unwrap();
        let Ok(response) = response else {
            return false;
        };
        let body = response.into_body().collect().await;
        body.is_ok_and(|it| it.to_bytes().len() == tokens * TOKEN.len())
    }

    fn default(address: String) -> Endpoint {
        Endpoint::from_shared(format!("http://{address}")).unwrap()
    }

    #[tokio::test]
    async fn many_unread_tokens_need_the_window() {
        const MANY: usize = 20_000;
        let ours = |address: String| endpoint(&address, Duration::from_secs(30)).unwrap();
        assert!(is_whole(MANY, ours).await);
        // If one of these is complete, h2 or tonic has improved, and the settings can be removed.
        assert!(!is_whole(MANY, default).await);
    }

    #[tokio::test]
    async fn adaptive_windows_take_few_unread_tokens() {
        const FEW: usize = 200;
        assert!(is_whole(FEW, default).await);
        assert!(!is_whole(FEW, |address| default(address).http2_adaptive_window(true)).await);
    }
}
