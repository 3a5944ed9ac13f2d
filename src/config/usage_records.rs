//! `usage_records`: where the gateway writes the usage records, one for each call of an identified
//! caller.

use std::path::PathBuf;

use super::{
    section::Section,
    traces::{Headers, endpoint, header_name, header_value},
    units,
};

/// The value of `usage_records.file` that means standard output.
const STDOUT: &str = "stdout";

/// Where the gateway writes usage records. By default, it writes none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRecords {
    /// A file or standard output. Each record is a line of JSON. `usage_records.file`.
    pub file: Option<RecordFile>,
    /// The URL of a collector that accepts OTLP logs over gRPC. `usage_records.otlp_endpoint`.
    pub otlp_endpoint: Option<String>,
    /// The headers of every request to the collector. `usage_records.headers`.
    pub headers: Headers,
    /// A PEM file with certificates to trust in addition to those of the machine.
    /// `usage_records.extra_ca_file`.
    pub extra_ca_file: Option<PathBuf>,
}

/// A file for usage records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordFile {
    /// Standard output. The log does not mix with the records: it is on standard error.
    Stdout,
    /// A file, to which the gateway appends records. It is created if it does not exist.
    Path(PathBuf),
}

impl UsageRecords {
    /// Returns whether records are written anywhere.
    pub fn is_on(&self) -> bool {
        self.file.is_some() || self.otlp_endpoint.is_some()
    }
}

pub(super) fn read(mut section: Section<'_>) -> UsageRecords {
    let records = UsageRecords {
        file: section.path_value("file", file),
        otlp_endpoint: section.value("otlp_endpoint", endpoint),
        headers: Headers(section.map("headers", header_name, header_value)),
        extra_ca_file: section
            .path_value("extra_ca_file", units::text)
            .map(PathBuf::from),
    };
    section.finish();
    records
}

fn file(text: &str) -> Result<RecordFile, String> {
    Ok(match units::text(text)?.as_str() {
        STDOUT => RecordFile::Stdout,
        path => RecordFile::Path(PathBuf::from(path)),
    })
}
