//! Reports when the certificates of the gRPC port expire, at each scrape.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

/// The expiry times of certificates, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiries {
    /// The earliest expiry in the certificate chain that new connections get.
    pub own: i64,
    /// The earliest expiry of the client CAs. `None` if clients are not asked for a certificate.
    pub client_ca: Option<i64>,
}

/// Reports when certificates expire. Reports nothing without TLS.
pub struct CertificateExpiry(Box<dyn Fn() -> Option<Expiries> + Send + Sync>);

impl fmt::Debug for CertificateExpiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateExpiry").finish_non_exhaustive()
    }
}

impl CertificateExpiry {
    /// Creates the collector. It calls `expiries` at each scrape, to report the current
    /// certificates.
    pub fn of_current(expiries: impl Fn() -> Option<Expiries> + Send + Sync + 'static) -> Self {
        Self(Box::new(expiries))
    }
}

impl Collector for CertificateExpiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(Expiries { own, client_ca }) = self.0() else {
            return Ok(());
        };
        let mut report = |name, help, expiry| {
            let unit = Some(&Unit::Seconds);
            let metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            ConstGauge::new(expiry).encode(metric)
        };
        report(
            "tls_certificate_expiry_timestamp",
            "When the certificate of the gRPC port expires, in seconds since the Unix epoch.",
            own,
        )?;
        client_ca.map_or(Ok(()), |expiry| {
            report(
                "tls_client_ca_expiry_timestamp",
                "When the first certificate authority of clients expires, in seconds since the Unix epoch.",
                expiry,
            )
        })
    }
}
