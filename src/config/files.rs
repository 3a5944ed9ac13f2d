//! The files that a configuration names and that are read again when they change.

use std::path::Path;

use super::Config;

impl Config {
    /// Returns the files whose changes take effect without a restart: the key that names the file,
    /// and the path. The files of token issuers are not among them, because their keys are fetched
    /// again at intervals.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let tls = self.server.tls.as_ref();
        let clients = tls.and_then(|tls| tls.clients.as_ref());
        let files = [
            ("access.keys_file", self.access.keys_file.as_ref()),
            ("tls.certificate_file", tls.map(|tls| &tls.certificate_file)),
            ("tls.key_file", tls.map(|tls| &tls.key_file)),
            (
                "tls.client_ca_file",
                clients.map(|clients| &clients.ca_file),
            ),
            ("bedrock.extra_ca_file", self.bedrock.extra_ca_file.as_ref()),
        ];
        files
            .into_iter()
            .filter_map(|(key, path)| Some((key, path?.as_path())))
    }
}
