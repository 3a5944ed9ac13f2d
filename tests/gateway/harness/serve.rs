//! `serve` as an operator starts it: with a configuration file and AWS's variables.

use std::{io::Write, net::SocketAddr};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator};
use bedrock_grpc::pb::{StreamInvokeRequest, inference_service_client::InferenceServiceClient};
use serde_json::Value;
use tempfile::NamedTempFile;
use tonic::IntoRequest;

use super::{Process, Stream};

/// The common start of all configurations; callers may name any model ID.
const CONFIG: &str = "
listen: 127.0.0.1:0
admin: {listen: '127.0.0.1:0'}
allowed_model_ids: ['*']
drain: {lame_duck: 0, limit: 30s}
";

/// A running `serve`, which calls an emulator.
pub(crate) struct Serve {
    pub(crate) process: Process,
    address: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The configuration, which `serve` watches.
    _config: NamedTempFile,
}

impl Serve {
    /// Starts with these additional sections of the configuration, and with these variables.
    pub(crate) async fn start(
        emulator: &Emulator,
        sections: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        Self::at(&emulator.endpoint_url(), sections, variables).await
    }

    /// The same with an emulator of another process.
    pub(crate) async fn at(endpoint: &str, sections: &str, variables: &[(&str, &str)]) -> Self {
        let config = file(&format!("{CONFIG}{sections}"));
        let fixed = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", endpoint),
        ];
        let mut process = Process::start(
            ["serve", "--config", config.path().to_str().unwrap()],
            fixed.into_iter().chain(variables.iter().copied()),
        );
        let line: Value = serde_json::from_str(&process.logged("serving").await).unwrap();
        let address = |name: &str| line[name].as_str().unwrap().parse().unwrap();
        Self {
            process,
            address: address("address"),
            admin: address("admin"),
            _config: config,
        }
    }

    /// The same, with the access key that the emulator accepts.
    pub(crate) async fn with_keys(
        emulator: &Emulator,
        sections: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let keys = [
            ("AWS_ACCESS_KEY_ID", DEV_ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", DEV_SECRET_ACCESS_KEY),
        ];
        Self::start(emulator, sections, &[&keys, variables].concat()).await
    }

    /// The address of the gRPC port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a streaming call on a separate connection.
    pub(crate) async fn open(&self, request: impl IntoRequest<StreamInvokeRequest>) -> Stream {
        let address = format!("http://{}", self.address);
        let mut client = InferenceServiceClient::connect(address).await.unwrap();
        Stream::open(&mut client, request).await
    }
}

/// A file with this text. It is deleted when this is dropped.
pub(crate) fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}
