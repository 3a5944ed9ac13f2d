//! The files that a configuration names and that are read again when they change.

use std::path::{Path, PathBuf};

use super::{Config, Tls};

impl Config {
    /// Returns the files whose changes take effect without a restart: the key that names the file,
    /// and the path. The files of token issuers are not among them, because their keys are fetched
    /// again at intervals.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let keys = named("access.keys_file", self.access.keys_file.as_ref());
        let ca = named("bedrock.extra_ca_file", self.bedrock.extra_ca_file.as_ref());
        let tls = self.server.tls.iter().flat_map(Tls::files);
        keys.into_iter().chain(tls).chain(ca)
    }
}

impl Tls {
    /// Returns the files: the key that names each, and the path.
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
