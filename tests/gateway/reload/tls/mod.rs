//! Changes of certificates, keys and certificate authorities while the gateway runs.

mod clients;
mod cut;
mod files;
mod server;
mod upstream;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bedrock_grpc::pb::inference_service_client::InferenceServiceClient;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};

use super::{REFUSED, RELOADED, Reloading, alias};
use crate::harness::{Authority, soon};

const TEAM_A: &str = "spiffe://example.com/team-a";
const TEAM_B: &str = "spiffe://example.com/team-b";

/// A folder of TLS files.
pub(super) struct Files {
    folder: TempDir,
    /// The authority of the gateway's certificates.
    authority: Authority,
}

impl Files {
    /// Contains a certificate and its key.
    pub(super) fn new() -> Self {
        let files = Self {
            folder: TempDir::new().unwrap(),
            authority: Authority::new(),
        };
        files.renew();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes another certificate and its key. Returns the certificate.
    pub(super) fn renew(&self) -> CertificateDer<'static> {
        let (certificate, key) = self.authority.sign("localhost", |_| {});
        self.write("tls.crt", &certificate);
        self.write("tls.key", &key);
        CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()
    }

    /// The section `tls` for the files of a folder.
    fn section_in(folder: &Path, more: &str) -> String {
        format!(
            "tls: {{certificate_file: {0}/tls.crt, key_file: {0}/tls.key{more}}}\n",
            folder.display()
        )
    }

    pub(super) fn section(&self) -> String {
        Self::section_in(self.folder.path(), "")
    }

    /// The same with `ca.crt`, the authorities of clients.
    fn section_with_clients(&self, client_auth: &str) -> String {
        let folder = self.folder.path();
        let more = format!(
            ", client_ca_file: {}/ca.crt, client_auth: {client_auth}",
            folder.display()
        );
        Self::section_in(folder, &more)
    }

    /// A client that verifies the gateway's certificate, keeps sessions, and can present a
    /// client certificate.
    pub(super) fn raw_client(&self, identity: Option<&(String, String)>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let authority = self.authority.pem();
        roots
            .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
            .unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// Opens connections that verify the gateway's certificate.
    pub(super) fn endpoint(&self, gateway: SocketAddr) -> Endpoint {
        let authority = Certificate::from_pem(self.authority.pem());
        let address = format!("https://localhost:{}", gateway.port());
        let tls = ClientTlsConfig::new().ca_certificate(authority);
        let endpoint = Endpoint::from_shared(address).unwrap();
        endpoint.tls_config(tls).unwrap()
    }

    /// A client of the API, and the number of connections that it has opened.
    fn client(
        &self,
        gateway: &Reloading,
        identity: Option<&(String, String)>,
    ) -> (InferenceServiceClient<Channel>, Arc<AtomicUsize>) {
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.authority.pem()));
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let address = gateway.address;
        let opened = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&opened);
        let connector = tower::service_fn(move |_: Uri| {
            let counted = Arc::clone(&counted);
            async move {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<_, io::Error>(TokioIo::new(TcpStream::connect(address).await?))
            }
        });
        let endpoint = Endpoint::from_shared(format!("https://localhost:{}", address.port()));
        let channel = endpoint
            .unwrap()
            .tls_config(tls)
            .unwrap()
            .connect_with_connector_lazy(connector);
        (InferenceServiceClient::new(channel), opened)
    }
}

/// What a client sees of a handshake.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) certificate: CertificateDer<'static>,
    kind: HandshakeKind,
}

/// Opens a connection, up to the gateway's first bytes. With TLS 1.3, these show whether the
/// gateway accepts the client, and contain the sessions that can be resumed.
pub(super) async fn handshake(
    address: SocketAddr,
    client: &Arc<ClientConfig>,
) -> io::Result<Handshake> {
    soon(async {
        let tcp = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::clone(client));
        let mut tls = connector.connect(name, tcp).await?;
        // The preface of HTTP/2, with empty settings.
        tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await?;
        tls.read_u8().await?;
        let connection = tls.get_ref().1;
        Ok(Handshake {
            certificate: connection.peer_certificates().unwrap()[0].clone(),
            kind: connection.handshake_kind().unwrap(),
        })
    })
    .await
}

/// The value of `bedrock_grpc_tls_certificate_expiry_timestamp_seconds`, if it is there.
async fn expiry(gateway: &Reloading) -> Option<i64> {
    let line = gateway
        .metric("bedrock_grpc_tls_certificate_expiry_timestamp_seconds ")
        .await;
    let (_, value) = line.split_once(' ')?;
    Some(value.parse().unwrap())
}
