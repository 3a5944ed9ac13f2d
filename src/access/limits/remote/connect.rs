//! Connects to the store, and reads its settings.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates, aio::MultiplexedConnection,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::config::RedisStore;

/// The timeout for TCP, TLS and authentication together.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The first major version that supports script flags.
const OLDEST: u32 = 7;

/// The settings of a store that `INFO` reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// The version, such as `7.2.4`.
    pub(super) version: String,
    /// The eviction policy, which applies when the memory is full.
    pub(super) policy: String,
    /// Whether the store has a memory limit.
    pub(super) is_bounded: bool,
}

impl Info {
    fn read(text: &str) -> Self {
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            lines
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.trim().to_owned())
                .unwrap_or_default()
        };
        Self {
            version: value("redis_version"),
            policy: value("maxmemory_policy"),
            is_bounded: value("maxmemory") != "0",
        }
    }

    /// Returns whether the store may evict counts. The policies `volatile-*` do not evict them,
    /// because they have no TTL.
    pub(super) fn evicts(&self) -> bool {
        self.is_bounded && self.policy.starts_with("allkeys-")
    }

    /// Returns whether the version is too old for the scripts.
    pub(super) fn is_too_old(&self) -> bool {
        let major = self.version.split('.').next().unwrap_or_default();
        major.parse().is_ok_and(|major: u32| major < OLDEST)
    }
}

/// Opens a connection, with a task on the current runtime. When the connection ends, `pushes` is
/// closed.
///
/// # Errors
/// Returns a message without secrets.
pub(super) async fn connect(
    options: &RedisStore,
    pushes: UnboundedSender<redis::PushInfo>,
) -> Result<MultiplexedConnection, String> {
    let client = client(options)?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        // Each step sets its own timeout.
        .set_response_timeout(None)
        .set_push_sender(pushes);
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    match tokio::time::timeout(2 * TIMEOUT, connecting).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err("timed out".to_owned()),
    }
}

/// Creates a client with these options. Reads the files with the password and the certificates.
///
/// # Errors
/// Fails if a file cannot be used.
pub(super) fn client(options: &RedisStore) -> Result<Client, String> {
    let address = if options.tls {
        ConnectionAddr::TcpTls {
            host: options.host.clone(),
            port: options.port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(options.host.clone(), options.port)
    };
    let mut settings = RedisConnectionInfo::default()
        .set_db(options.database.into())
        // With RESP3, the end of a connection is detected at once.
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name();
    if let Some(username) = &options.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = options.password().map_err(|error| error.to_string())? {
        settings = settings.set_password(password);
    }
    let info = address
        .into_connection_info()
        .map_err(|error| error.to_string())?
        .set_redis_settings(settings);
    let opened = if options.tls {
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: options.ca_pem().map_err(|error| error.to_string())?,
        };
        Client::build_with_tls(info, certificates)
    } else {
        Client::open(info)
    };
    opened.map_err(|error| error.to_string())
}

/// Reads the settings of the store. `None` if the user is not allowed to call `INFO`.
pub(super) async fn info(connection: &mut MultiplexedConnection) -> Option<Info> {
    let mut text = String::new();
    for section in ["server", "memory"] {
        let part: redis::RedisResult<String> = redis::cmd("INFO")
            .arg(section)
            .query_async(connection)
            .await;
        text.push_str(&part.ok()?);
    }
    Some(Info::read(&text))
}

#[cfg(test)]
mod tests {
    use super::Info;

    #[test]
    fn only_policies_for_all_keys_lose_counts() {
        let info = |version: &str, policy: &str, most: u64| {
            Info::read(&format!(
                "# Server\r\nredis_version:{version}\r\n# Memory\r\nmaxmemory:{most}\r\nmaxmemory_policy:{policy}\r\n"
            ))
        };
        assert!(info("7.2.4", "allkeys-lru", 1).evicts());
        assert!(!info("7.2.4", "allkeys-lru", 0).evicts());
        assert!(!info("7.2.4", "volatile-lru", 1).evicts());
        assert!(!info("7.2.4", "noeviction", 1).evicts());
        assert!(info("6.2.14", "noeviction", 1).is_too_old());
        assert!(!info("7.0.15", "noeviction", 1).is_too_old());
        assert!(!info("10.0.0", "noeviction", 1).is_too_old());
    }
}
