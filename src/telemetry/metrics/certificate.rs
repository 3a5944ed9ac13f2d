//! Reports when the certificate of the gRPC port expires, at each scrape.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

/// Reports the expiry of the certificate that new connections get. Reports nothing without TLS.
pub struct CertificateExpiry(Box<dyn Fn() -> Option<i64> + Send + Sync>);

impl fmt::Debug for CertificateExpiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateExpiry").finish_non_exhaustive()
    }
}

impl CertificateExpiry {
    /// Returns the metric of the certificate that is current at the time of a scrape. `expiry`
    /// returns when it expires, in seconds since the Unix epoch.
    pub fn of_current(expiry: impl Fn() -> Option<i64> + Send + Sync + 'static) -> Self {
        Self(Box::new(expiry))
    }
}

impl Collector for CertificateExpiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(expiry) = self.0() else {
            return Ok(());
        };
        let metric = encoder.encode_descriptor(
            "tls_certificate_expiry_timestamp",
            "When the certificate of the gRPC port expires, in seconds since the Unix epoch.",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        ConstGauge::new(expiry).encode(metric)
    }
}
