//! The files to which a configuration refers and which the gateway reads again when they change.

use std::path::{Path, PathBuf};

use super::{Config, Tls, bedrock::API_KEY_FILE};

impl Config {
    /// Returns the files whose changes take effect without a restart. Each item is the key or the
    /// environment variable that names the file, and its path. The files of token issuers are not
    /// included, because the gateway reads them again at intervals.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let keys = named("access.keys_file", self.access.keys_file.as_ref());
        let ca = named("bedrock.extra_ca_file", self.bedrock.extra_ca_file.as_ref());
        let api_key = named(API_KEY_FILE, self.bedrock.api_key_file.as_ref());
        let tls = self.server.tls.iter().flat_map(Tls::files);
        keys.into_iter().chain(tls).chain(ca).chain(api_key)
    }
}

impl Tls {
    /// Returns the files for TLS. Each item is the key that names the file, and its path.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let clients = self.clients.as_ref();
        let files = [
            named("tls.certificate_file", Some(&self.certificate_file)),
            named("tls.key_file", Some(&self.key_file)),
            named(
                "tls.client_ca_file",
                clients.map(|clients| &clients.ca_file),
            ),
        ];
        files.into_iter().flatten()
    }
}

fn named<'a>(key: &'static str, path: Option<&'a PathBuf>) -> Option<(&'static str, &'a Path)> {
    Some((key, path?.as_path()))
}
