//! Connects to a collector that accepts OTLP over gRPC, for spans and usage records.

use std::{error::Error, path::Path, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, resource::TelemetryResourceDetector};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::config::{Headers, MAX_PEM, Traces, read_regular};

/// The timeout of a request that sends a batch.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The TCP keepalive: idle time, interval and number of probes.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const TCP_KEEPALIVE_RETRIES: u32 = 3;

/// Returns a connection to a collector. It is opened when it is first used. `section` is the
/// section of the configuration that error messages name. Must be called within a Tokio runtime.
///
/// # Errors
/// Fails if the address or the certificates are invalid.
pub(super) fn channel(
    section: &str,
    endpoint: &str,
    extra_ca_file: Option<&Path>,
) -> Result<Channel, String> {
    let wrong = |error: tonic::transport::Error| {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!(
            "{section}.otlp_endpoint: cannot use `{endpoint}`; check the URL and the certificates to trust (cause: {error}: {cause})"
        )
    };
    let is_tls = endpoint.starts_with("https:");
    let mut address = Endpoint::from_shared(endpoint.to_owned())
        .map_err(wrong)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .tcp_keepalive_interval(Some(TCP_KEEPALIVE_INTERVAL))
        .tcp_keepalive_retries(Some(TCP_KEEPALIVE_RETRIES))
        .timeout(TIMEOUT);
    if is_tls {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(path) = extra_ca_file {
            let pem = read_regular(path, MAX_PEM)
                .map_err(|error| format!("{section}.extra_ca_file: {}: {error}", path.display()))?;
            if !matches!(CertificateDer::pem_slice_iter(&pem).next(), Some(Ok(_))) {
                return Err(format!(
                    "{section}.extra_ca_file: {} contains no certificate; write a PEM file with at least one",
                    path.display()
                ));
            }
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        address = address.tls_config(tls).map_err(wrong)?;
    }
    Ok(address.connect_lazy())
}

/// Returns the configured headers. They were validated when the configuration was loaded.
pub(super) fn headers(headers: &Headers) -> HeaderMap {
    let pairs = headers.0.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    });
    pairs.collect()
}

/// Returns the OpenTelemetry resource, whose attributes describe the process.
pub(super) fn resource(traces: &Traces) -> Resource {
    let attributes = traces
        .attributes
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(attributes)
        .with_service_name(traces.service_name.clone())
        .build()
}
