//! Tokens and their issuers.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bedrock_grpc::config::{JwtIssuer, KeySetLocation, SignatureAlgorithm};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "bedrock-grpc";

/// A key of an issuer.
pub(crate) struct TokenKey {
    id: String,
    algorithm: Algorithm,
    key: EncodingKey,
    raw: Vec<u8>,
    /// The private key, as PEM.
    pub(crate) pem: String,
    /// The public key, as PEM.
    pub(crate) public_pem: String,
}

impl TokenKey {
    pub(crate) fn new(id: &str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        Self {
            id: id.to_owned(),
            algorithm,
            key: key.unwrap(),
            raw: pair.public_key_raw().to_vec(),
            public_pem: pair.public_key_pem(),
            pem,
        }
    }

    /// The public key, as an entry of a key set.
    pub(crate) fn jwk(&self) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            let x = BASE64_URL_SAFE_NO_PAD.encode(&self.raw);
            return json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.id});
        }
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        serde_json::to_value(jwk).unwrap()
    }

    /// A token that names a key but was not signed with it.
    pub(crate) fn forged(id: &str, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": id});
        let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let signature = BASE64_URL_SAFE_NO_PAD.encode([7; 64]);
        format!("{}.{}.{signature}", part(&header), part(claims))
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        encode(&header, claims, &self.key).unwrap()
    }
}

/// The key set with these keys.
pub(crate) fn key_set(keys: &[&TokenKey]) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys })
}

/// Seconds since the Unix epoch, from now on.
pub(crate) fn seconds(from_now: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + from_now
}

/// The claims of a valid token of a caller.
pub(crate) fn claims(caller: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": caller, "exp": seconds(600), "iat": seconds(0)})
}

/// Claims that differ in this one. `null` leaves it out.
pub(crate) fn but(mut claims: Value, name: &str, value: Value) -> Value {
    let map = claims.as_object_mut().unwrap();
    if value.is_null() {
        map.remove(name);
    } else {
        map.insert(name.to_owned(), value);
    }
    claims
}

/// An issuer as it is configured.
pub(crate) fn issuer(keys: KeySetLocation) -> JwtIssuer {
    JwtIssuer {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: SignatureAlgorithm::ALL.map(|(_, own)| own).to_vec(),
        keys,
        ca_file: None,
        refresh: Duration::from_secs(300),
        caller_claim: "sub".to_owned(),
        caller_prefix: String::new(),
        groups_claim: None,
        unlisted: None,
    }
}

/// A server of documents such as key sets. Dropping it stops it.
pub(crate) struct KeyServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

struct Shared {
    documents: Mutex<HashMap<String, Document>>,
    requests: watch::Sender<Vec<String>>,
}

#[derive(Clone)]
enum Document {
    Json(String),
    Error,
    Hangs,
    Redirect(String),
}

impl KeyServer {
    pub(crate) async fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            documents: Mutex::default(),
            requests: watch::channel(Vec::new()).0,
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            shared,
            serving,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn set(&self, path: &str, document: Document) {
        let mut documents = self.shared.documents.lock().unwrap();
        documents.insert(path.to_owned(), document);
    }

    pub(crate) fn serves(&self, path: &str, json: &Value) {
        self.set(path, Document::Json(json.to_string()));
    }

    pub(crate) fn fails(&self, path: &str) {
        self.set(path, Document::Error);
    }

    pub(crate) fn hangs(&self, path: &str) {
        self.set(path, Document::Hangs);
    }

    pub(crate) fn redirects(&self, path: &str, to: &str) {
        self.set(path, Document::Redirect(to.to_owned()));
    }

    /// The `authorization` of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.borrow().clone()
    }

    /// Waits for this many requests.
    pub(crate) async fn requested(&self, count: usize) {
        let mut requests = self.shared.requests.subscribe();
        let enough = requests.wait_for(|requests| requests.len() >= count);
        super::soon(enough).await.unwrap();
    }
}

/// Serves one key set over TLS with this certificate and key (PEM), until the test ends. Returns
/// the address.
pub(crate) async fn serve_keys_over_tls(certificate: &str, key: &str, set: &Value) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let json = set.to_string();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (acceptor, json) = (acceptor.clone(), json.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate ends the handshake.
                let Ok(tls) = acceptor.accept(tcp).await else {
                    return;
                };
                let service = hyper::service::service_fn(move |_| {
                    std::future::ready(Ok::<_, Infallible>(http::Response::new(json.clone())))
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(tls), service);
                let _ended = connection.await;
            });
        }
    });
    address
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let header = request.headers().get("authorization");
    let header = header
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    shared.requests.send_modify(|all| all.push(header));
    let accepted = request.headers().get("accept");
    let accepted = accepted.map_or("", |value| value.to_str().unwrap());
    // As the API server of Kubernetes does.
    if request.uri().path() == "/openid/v1/jwks" && !accepted.contains("application/jwk-set+json") {
        return StatusCode::NOT_ACCEPTABLE.into_response();
    }
    let document = shared
        .documents
        .lock()
        .unwrap()
        .get(request.uri().path())
        .cloned();
    match document {
        Some(Document::Json(json)) => json.into_response(),
        Some(Document::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Document::Redirect(to)) => (StatusCode::FOUND, [("location", to)]).into_response(),
        Some(Document::Hangs) => std::future::pending().await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
