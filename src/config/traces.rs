//! `traces`: which spans are sent, and to which collector. Settings that the file does not contain
//! are read from the environment variables of the OpenTelemetry SDKs.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::{masked::masked_url, section::Section, units};

/// The environment variables. Each `OTEL_EXPORTER_OTLP_TRACES_*` variable takes precedence over its
/// general counterpart.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The attribute that contains [`Traces::service_name`].
const SERVICE_NAME_KEY: &str = "service.name";

/// Which spans are sent, and to which collector. Trace context is propagated even if no spans are
/// sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// The URL of a collector that accepts OTLP over gRPC. `traces.otlp_endpoint`, or
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`. Default: none; no spans are sent.
    pub otlp_endpoint: Option<String>,
    /// The headers of every request to the collector. `traces.headers`, and
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: Headers,
    /// A PEM file with certificates to trust in addition to those of the machine.
    /// `traces.extra_ca_file`, or `OTEL_EXPORTER_OTLP_CERTIFICATE`.
    pub extra_ca_file: Option<PathBuf>,
    /// Of the traces that begin at the gateway, the fraction for which spans are sent. For other
    /// traces, the caller decides. `traces.sample_ratio`, default 1.
    pub sample_ratio: f64,
    /// The service name of the gateway. `traces.service_name`, or `OTEL_SERVICE_NAME`, default
    /// `bedrock-grpc`.
    pub service_name: String,
    /// Attributes of this deployment. `traces.attributes`, and `OTEL_RESOURCE_ATTRIBUTES`.
    pub attributes: BTreeMap<String, String>,
}

/// Headers of requests, whose values can be secrets. Only the names are shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub BTreeMap<String, String>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            headers: Headers::default(),
            extra_ca_file: None,
            sample_ratio: 1.0,
            service_name: env!("CARGO_PKG_NAME").to_owned(),
            attributes: BTreeMap::new(),
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Traces {
    let default = Traces::default();
    let mut traces = Traces {
        otlp_endpoint: section.value("otlp_endpoint", endpoint),
        headers: Headers(section.map("headers", header_name, header_value)),
        extra_ca_file: section
            .path_value("extra_ca_file", units::text)
            .map(PathBuf::from),
        sample_ratio: section
            .value("sample_ratio", units::fraction)
            .unwrap_or(default.sample_ratio),
        service_name: section
            .value("service_name", units::text)
            .unwrap_or_default(),
        attributes: section.map("attributes", units::text, |text| Ok(text.to_owned())),
    };
    let disabled = section.variable(DISABLED, |text| Ok(text.eq_ignore_ascii_case("true")));
    if disabled == Some(true) {
        traces.otlp_endpoint = None;
    } else if !section.has_had("otlp_endpoint") {
        traces.otlp_endpoint = either(&section, [TRACES_ENDPOINT, ENDPOINT], endpoint);
        if traces.otlp_endpoint.is_some() {
            either(&section, [TRACES_PROTOCOL, PROTOCOL], protocol);
        }
    }
    // If the gateway sends no spans, a mistake in these variables must not prevent its start.
    if traces.otlp_endpoint.is_some() {
        traces.fill_up(&section);
    }
    section.finish();
    if traces.service_name.is_empty() {
        let named = traces.attributes.remove(SERVICE_NAME_KEY);
        traces.service_name = named.unwrap_or(default.service_name);
    }
    traces.attributes.remove(SERVICE_NAME_KEY);
    traces
}

impl Traces {
    /// Adds settings from the environment that the file does not contain.
    fn fill_up(&mut self, section: &Section<'_>) {
        let headers = either(section, [TRACES_HEADERS, HEADERS], headers);
        for (name, value) in headers.unwrap_or_default() {
            self.headers.0.entry(name).or_insert(value);
        }
        if self.extra_ca_file.is_none() {
            self.extra_ca_file = section
                .variable(CERTIFICATE, units::text)
                .map(PathBuf::from);
        }
        if self.service_name.is_empty() {
            self.service_name = section
                .variable(SERVICE_NAME, units::text)
                .unwrap_or_default();
        }
        let attributes = section.variable(RESOURCE_ATTRIBUTES, pairs);
        for (key, value) in attributes.unwrap_or_default() {
            self.attributes.entry(key).or_insert(value);
        }
    }
}

/// Returns the value of the first of two variables, or of the second if the first is not set.
fn either<T>(
    section: &Section<'_>,
    names: [&'static str; 2],
    read: fn(&str) -> Result<T, String>,
) -> Option<T> {
    names
        .into_iter()
        .find_map(|name| section.variable(name, read))
}

/// Rejects protocols other than gRPC: spans that are sent to a port with another protocol would be
/// lost.
fn protocol(text: &str) -> Result<(), String> {
    if text == "grpc" {
        return Ok(());
    }
    Err(format!(
        "`{text}` is not supported, because spans are sent over gRPC; set traces.otlp_endpoint to the collector's gRPC port, usually 4317"
    ))
}

pub(super) fn endpoint(text: &str) -> Result<String, String> {
    let is_endpoint = text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
    });
    if is_endpoint {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is not the URL of a collector that accepts OTLP over gRPC; write one such as http://otel-collector:4317, without a path",
        masked_url(text)
    ))
}

pub(super) fn header_name(text: &str) -> Result<String, String> {
    let name = text.to_ascii_lowercase();
    let known = HeaderName::from_bytes(name.as_bytes());
    // gRPC reserves these names or uses them for binary values.
    let is_free = !name.starts_with("grpc-") && !name.ends_with("-bin");
    known
        .ok()
        .filter(|_| is_free)
        .map(|name| name.as_str().to_owned())
        .ok_or_else(|| format!("`{text}` is not the name of a header; write one such as x-api-key"))
}

/// Checks the value of a header. The error does not contain the value, which may be a secret.
pub(super) fn header_value(text: &str) -> Result<String, String> {
    let is_text = HeaderValue::from_str(text).is_ok() && text.is_ascii();
    is_text
        .then(|| text.to_owned())
        .ok_or_else(|| "a header's value must be printable ASCII".to_owned())
}

fn headers(text: &str) -> Result<BTreeMap<String, String>, String> {
    pairs(text)?
        .into_iter()
        .map(|(name, value)| Ok((header_name(&name)?, header_value(&value)?)))
        .collect()
}

/// Parses `key=value` pairs that are separated by commas and have percent-encoded values. Errors do
/// not contain values, which may be secrets.
fn pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    let wrong = || "write key=value pairs, separated by commas, such as a=b,c=d".to_owned();
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            let value = percent_decode_str(value.trim()).decode_utf8();
            let value = value.map_err(|_| wrong())?.into_owned();
            match key.trim() {
                "" => Err(wrong()),
                key => Ok((key.to_owned(), value)),
            }
        })
        .collect()
}
