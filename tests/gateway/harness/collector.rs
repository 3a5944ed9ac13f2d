//! A collector that accepts OTLP over gRPC, as an OpenTelemetry Collector does.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use opentelemetry_proto::tonic::{
    collector::logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span as Proto, span::SpanKind, status::StatusCode},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Identity, Server, ServerTlsConfig},
};

use super::soon;

/// A collector, and what it received.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    received: Arc<Received>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Received {
    kept: Mutex<Kept>,
    refuses: AtomicBool,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    spans: Vec<Span>,
    logs: Vec<Log>,
    resource: BTreeMap<String, String>,
    metadata: MetadataMap,
}

/// A span, with its attributes as text: lists as `[a, b]`.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    /// Empty if the span begins the trace.
    pub(crate) parent: String,
    pub(crate) state: String,
    pub(crate) times: (u64, u64),
    pub(crate) attributes: BTreeMap<String, String>,
    /// The error message, if the status is an error.
    pub(crate) error: Option<String>,
}

/// A log record.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) event: String,
    pub(crate) time: u64,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::serve(None).await
    }

    /// A collector that speaks TLS, with this certificate and key (PEM).
    pub(crate) async fn with_tls(certificate: &str, key: &str) -> Self {
        Self::serve(Some(Identity::from_pem(certificate, key))).await
    }

    async fn serve(identity: Option<Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Received>::default();
        let service = TraceServiceServer::from_arc(Arc::clone(&received));
        let mut server = Server::builder();
        if let Some(identity) = identity {
            let tls = ServerTlsConfig::new().identity(identity);
            server = server.tls_config(tls).unwrap();
        }
        let logs = LogsServiceServer::from_arc(Arc::clone(&received));
        let serving = server
            .add_service(service)
            .add_service(logs)
            .serve_with_incoming(TcpListenerStream::new(listener));
        Self {
            address,
            received,
            serving: tokio::spawn(async { serving.await.unwrap() }),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for this many spans and returns all.
    pub(crate) async fn spans(&self, mut enough: impl FnMut(&[Span]) -> bool) -> Vec<Span> {
        let mut changes = self.received.changes.subscribe();
        soon(async {
            loop {
                changes.mark_unchanged();
                let spans = self.received.kept.lock().unwrap().spans.clone();
                if enough(&spans) {
                    return spans;
                }
                changes.changed().await.unwrap();
            }
        })
        .await
    }

    /// Waits for the spans of a call. The call's own span is sent last.
    pub(crate) async fn call(&self, request_id: &str) -> Spans {
        let is_of_call = |span: &Span| span.attribute("bedrock_grpc.request_id") == request_id;
        let spans = self
            .spans(|spans| {
                let servers = spans.iter().filter(|span| span.kind == SpanKind::Server);
                servers.into_iter().any(is_of_call)
            })
            .await;
        let (servers, attempts): (Vec<_>, Vec<_>) = spans
            .into_iter()
            .filter(is_of_call)
            .partition(|span| span.kind == SpanKind::Server);
        let [call] = servers.try_into().unwrap();
        Spans { call, attempts }
    }

    /// Waits for this many logs and returns all.
    pub(crate) async fn logs(&self, count: usize) -> Vec<Log> {
        let mut changes = self.received.changes.subscribe();
        soon(async {
            loop {
                changes.mark_unchanged();
                let logs = self.received.kept.lock().unwrap().logs.clone();
                if logs.len() >= count {
                    return logs;
                }
                changes.changed().await.unwrap();
            }
        })
        .await
    }

    /// Makes the collector accept nothing from now on.
    pub(crate) fn refuse(&self) {
        self.received.refuses.store(true, Ordering::Relaxed);
    }

    /// Makes the collector accept everything again.
    pub(crate) fn accept(&self) {
        self.received.refuses.store(false, Ordering::Relaxed);
    }

    /// The attributes of the process.
    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        self.received.kept.lock().unwrap().resource.clone()
    }

    /// The headers of the last request.
    pub(crate) fn metadata(&self) -> MetadataMap {
        self.received.kept.lock().unwrap().metadata.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The spans of a call.
#[derive(Debug)]
pub(crate) struct Spans {
    pub(crate) call: Span,
    pub(crate) attempts: Vec<Span>,
}

impl Span {
    /// An attribute's text. Empty if it is absent.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    fn new(span: Proto) -> Self {
        let status = span.status.clone().unwrap_or_default();
        Self {
            kind: span.kind(),
            name: span.name,
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            state: span.trace_state,
            times: (span.start_time_unix_nano, span.end_time_unix_nano),
            attributes: attributes(span.attributes),
            error: (status.code() == StatusCode::Error).then_some(status.message),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Status::unavailable("no room for spans"));
        }
        let (metadata, _, request) = request.into_parts();
        let mut kept = self.kept.lock().unwrap();
        kept.metadata = metadata;
        for resource_spans in request.resource_spans {
            kept.resource = attributes(resource_spans.resource.unwrap_or_default().attributes);
            let scopes = resource_spans.scope_spans.into_iter();
            let spans = scopes.flat_map(|scope| scope.spans);
            kept.spans.extend(spans.map(Span::new));
        }
        drop(kept);
        self.changes.send_modify(|n| *n += 1);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Received {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Status::unavailable("no room for logs"));
        }
        let (metadata, _, request) = request.into_parts();
        let mut kept = self.kept.lock().unwrap();
        kept.metadata = metadata;
        for resource_logs in request.resource_logs {
            kept.resource = attributes(resource_logs.resource.unwrap_or_default().attributes);
            let scopes = resource_logs.scope_logs.into_iter();
            let logs = scopes.flat_map(|scope| scope.log_records);
            kept.logs.extend(logs.map(|log| Log {
                event: log.event_name,
                time: log.time_unix_nano,
                attributes: attributes(log.attributes),
            }));
        }
        drop(kept);
        self.changes.send_modify(|n| *n += 1);
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter();
    pairs
        .map(|pair| (pair.key, text(pair.value.unwrap_or_default())))
        .collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::ArrayValue(list)) => {
            let items: Vec<_> = list.values.into_iter().map(text).collect();
            format!("[{}]", items.join(", "))
        }
        other => format!("{other:?}"),
    }
}
