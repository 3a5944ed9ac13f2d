//! Changes of the configuration while the gateway runs: which take effect, which are refused, and
//! what survives them.

mod api_key;
mod connections;
mod cooldown;
mod irregular;
mod refused;
mod replaced;
mod revoked;
mod rotation;
mod sections;
mod sequences;
mod shown;
mod survives;
mod tls;
mod totals;
mod values;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options};
use bedrock_grpc::pb::{StreamInvokeRequest, inference_service_client::InferenceServiceClient};
use serde_json::Value;
use tempfile::TempDir;
use tonic::{IntoRequest, transport::Channel};

use crate::harness::{Answer, Process, Stream, get, soon};

const HEAD: &str = "
listen: 127.0.0.1:0
admin: {listen: '127.0.0.1:0'}
drain: {lame_duck: 0, limit: 30s}
discovery: {enabled: false}
limits: {max_attempts: 1}
";

/// The log line of a reload.
const RELOADED: &str = "the configuration was reloaded";
/// The log line of a change that is not used.
const REFUSED: &str = "a change of the configuration was refused";

/// Replaces a file by one that `make` creates, so that it is missing at no time.
fn replace(path: &Path, make: impl FnOnce(&Path)) {
    let next = path.with_extension("next");
    make(&next);
    fs::rename(next, path).unwrap();
}

/// A running `serve` whose configuration a test changes.
pub(super) struct Reloading {
    process: Process,
    folder: TempDir,
    address: SocketAddr,
    admin: SocketAddr,
    emulator: Emulator,
}

impl Reloading {
    /// Starts with these sections of the configuration.
    async fn start(sections: &str) -> Self {
        Self::with(sections, Options::default()).await
    }

    async fn with(sections: &str, options: Options) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, format!("{HEAD}{sections}")).unwrap();
        Self::on(folder, path, Emulator::start(options).unwrap()).await
    }

    /// Starts with a configuration in this folder.
    async fn on(folder: TempDir, path: PathBuf, emulator: Emulator) -> Self {
        let keys = [
            ("AWS_ACCESS_KEY_ID", DEV_ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", DEV_SECRET_ACCESS_KEY),
        ];
        Self::by(folder, &path, emulator, &keys).await
    }

    /// Starts with these sections of the configuration, which are written to a file in a folder,
    /// and with the credentials in these variables.
    async fn with_variables(
        (folder, path): (TempDir, PathBuf),
        emulator: Emulator,
        sections: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        fs::write(&path, format!("{HEAD}{sections}")).unwrap();
        Self::by(folder, &path, emulator, variables).await
    }

    async fn by(
        folder: TempDir,
        path: &Path,
        emulator: Emulator,
        variables: &[(&str, &str)],
    ) -> Self {
        let endpoint = emulator.endpoint_url();
        let fixed = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", endpoint.as_str()),
            ("AWS_ENDPOINT_URL_STS", endpoint.as_str()),
        ];
        let mut process = Process::start(
            ["serve", "--config", path.to_str().unwrap()],
            fixed.into_iter().chain(variables.iter().copied()),
        );
        let line: Value = serde_json::from_str(&process.logged("serving").await).unwrap();
        let address = |key: &str| line[key].as_str().unwrap().parse().unwrap();
        Self {
            address: address("address"),
            admin: address("admin"),
            process,
            folder,
            emulator,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Writes other sections, and returns the log line of the decision about them.
    async fn becomes(&mut self, sections: &str, line: &str) -> String {
        self.becomes_text(&format!("{HEAD}{sections}"), line).await
    }

    /// Writes another file, and returns the log line of the decision about it.
    async fn becomes_text(&mut self, text: &str, line: &str) -> String {
        // A plain write first truncates the file. On a busy machine, the file can stay empty until
        // the gateway reads it, and the gateway refuses an empty file.
        replace(&self.path(), |path| fs::write(path, text).unwrap());
        self.process.logged(line).await
    }

    async fn client(&self) -> InferenceServiceClient<Channel> {
        let address = format!("http://{}", self.address);
        InferenceServiceClient::connect(address).await.unwrap()
    }

    async fn open(&self, request: impl IntoRequest<StreamInvokeRequest>) -> Stream {
        Stream::open(&mut self.client().await, request).await
    }

    async fn stream(&self, request: impl IntoRequest<StreamInvokeRequest>) -> Answer {
        soon(self.open(request)).await.end().await
    }

    /// Returns the lines of a metric.
    async fn metric(&self, name: &str) -> String {
        let text = get(self.admin, "/metrics").await.1;
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.collect::<Vec<_>>().join("\n")
    }

    async fn last_reload_successful(&self) -> bool {
        let line = self
            .metric("bedrock_grpc_config_last_reload_successful")
            .await;
        match line.split_once(' ').unwrap().1 {
            "1" => true,
            "0" => false,
            other => panic!("{other}"),
        }
    }
}

/// An alias for a model of the emulator.
fn alias(name: &str, model_id: &str) -> String {
    format!("targets: {{{name}: {{model_id: '{model_id}'}}}}\n")
}
