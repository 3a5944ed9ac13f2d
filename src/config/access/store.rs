//! `limits.store`: where the counts for limits are stored.

use std::{fmt, io, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;

use crate::config::{
    read_file::{MAX_PEM, read_regular},
    section::Section,
    units,
};

/// The default port of Redis.
const DEFAULT_PORT: u16 = 6379;
const URL_HINT: &str = "write rediss://USER:PASSWORD@HOST:PORT, or redis:// without TLS";

/// Where the counts for limits are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LimitsStore {
    /// In this process. Limits per day or month are refused. This is the default.
    #[default]
    Unset,
    /// In this process. The operator accepts that the counts begin at zero when the process starts.
    /// `memory`.
    Memory,
    /// In Redis or Valkey, for all replicas together.
    Redis(Box<RedisStore>),
}

/// A Redis or Valkey that holds the counts of all replicas of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisStore {
    /// Whether the connection uses TLS: `rediss://`.
    pub tls: bool,
    /// The name or address of the server. `store.url`. Required.
    pub host: String,
    /// The port of the server, default 6379.
    pub port: u16,
    /// The number of the Redis database, default 0.
    pub database: u32,
    /// The ACL user, from the URL or `store.username`. Default: the user `default`.
    pub username: Option<String>,
    /// The password, from the URL, `store.password` or `store.password_file`. Default: none.
    pub password: Option<StorePassword>,
    /// A PEM file with CA certificates, the only ones to trust. `store.ca_file`, default: the CAs
    /// of the machine.
    pub ca_file: Option<PathBuf>,
    /// How long a call waits for a response of the store. `store.timeout`, default 50 ms.
    pub timeout: Duration,
    /// The prefix of all keys in the store. Replicas with the same name share their counts.
    /// `store.deployment`, default `bedrock-grpc`.
    pub deployment: String,
    /// How calls are limited while the store does not respond. `limits.on_store_failure`, default
    /// `local`.
    pub on_failure: OnStoreFailure,
    /// The number of replicas. In the mode `local`, each replica enforces its fraction of each
    /// limit. `limits.replicas`. `None`: each replica enforces the full limits.
    pub replicas: Option<u32>,
}

/// How calls are limited while the store does not respond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// Calls are not limited. `allow`.
    Allow,
    /// Calls with limits are refused. `deny`.
    Deny,
    /// Each replica enforces its fraction of each limit in its process. `local`. The default.
    #[default]
    Local,
}

/// Where the gateway finds the password of the store.
#[derive(Clone, PartialEq, Eq)]
pub enum StorePassword {
    /// The password itself, from the configuration. It is never shown.
    Text(String),
    /// The path of a file, which the gateway reads for each new connection.
    File(PathBuf),
}

impl fmt::Debug for StorePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl RedisStore {
    /// Creates the settings of a store without TLS and without a password, with defaults for all
    /// others.
    pub fn at(host: impl Into<String>, port: u16) -> Self {
        Self {
            tls: false,
            host: host.into(),
            port,
            database: 0,
            username: None,
            password: None,
            ca_file: None,
            timeout: Duration::from_millis(50),
            deployment: "bedrock-grpc".to_owned(),
            on_failure: OnStoreFailure::default(),
            replicas: None,
        }
    }

    /// Returns the password, if there is one. Reads the password file, if one is configured.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or is empty.
    pub fn password(&self) -> io::Result<Option<String>> {
        match &self.password {
            None => Ok(None),
            Some(StorePassword::Text(text)) => Ok(Some(text.clone())),
            Some(StorePassword::File(path)) => {
                let wrong = |what: String| {
                    io::Error::other(format!(
                        "limits.store.password_file: {} {what}",
                        path.display()
                    ))
                };
                let text = read_regular(path, MAX_PEM).map_err(wrong)?;
                let text = String::from_utf8(text)
                    .map_err(|_| wrong("is not text in UTF-8".to_owned()))?;
                let password = text.trim_end_matches(['\r', '\n']);
                if password.is_empty() {
                    return Err(wrong("is empty".to_owned()));
                }
                Ok(Some(password.to_owned()))
            }
        }
    }

    /// Returns the CA certificates to trust, as PEM. `None` means those of the machine.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn ca_pem(&self) -> io::Result<Option<Vec<u8>>> {
        let Some(path) = &self.ca_file else {
            return Ok(None);
        };
        let wrong =
            |why| io::Error::other(format!("limits.store.ca_file: {} {why}", path.display()));
        read_regular(path, MAX_PEM).map(Some).map_err(wrong)
    }
}

/// Reads `store` and the keys of the section `limits` that belong to it.
pub(in crate::config) fn read(limits: &mut Section<'_>) -> LimitsStore {
    let mut store = if limits.has_map("store") {
        let mut section = limits.section("store");
        let store = read_section(&mut section);
        section.finish();
        store
    } else {
        limits.value("store", word_or_url).unwrap_or_default()
    };
    let on_failure = limits.value("on_store_failure", |text| {
        use OnStoreFailure::{Allow, Deny, Local};
        units::one_of(text, &[("allow", Allow), ("deny", Deny), ("local", Local)])
    });
    let replicas = limits.value("replicas", |text| units::number(text, 1, 10_000));
    if let LimitsStore::Redis(store) = &mut store {
        store.on_failure = on_failure.unwrap_or_default();
        store.replicas = replicas;
        if replicas.is_some() && store.on_failure != OnStoreFailure::Local {
            limits.report(
                "replicas",
                "has no effect without `on_store_failure: local`; remove it",
            );
        }
    } else {
        for (key, is_set) in [
            ("on_store_failure", on_failure.is_some()),
            ("replicas", replicas.is_some()),
        ] {
            if is_set {
                limits.report(
                    key,
                    "needs a store that replicas share, such as `store: rediss://HOST`",
                );
            }
        }
    }
    store
}

fn word_or_url(text: &str) -> Result<LimitsStore, String> {
    match text {
        "memory" => Ok(LimitsStore::Memory),
        _ if text.contains("://") => Ok(LimitsStore::Redis(Box::new(url(text)?))),
        _ => Err(format!(
            "must be `memory`, which loses its counts when this process ends, or a store that replicas share: {URL_HINT}"
        )),
    }
}

fn read_section(section: &mut Section<'_>) -> LimitsStore {
    let has_url = section.has("url");
    let store = section.value("url", url);
    let username = section.value("username", units::text);
    let password = section
        .value("password", units::text)
        .map(StorePassword::Text);
    let file = section
        .path_value("password_file", units::text)
        .map(|path| StorePassword::File(path.into()));
    let ca_file = section
        .path_value("ca_file", units::text)
        .map(PathBuf::from);
    let timeout = section.value("timeout", timeout);
    let deployment = section.value("deployment", deployment);
    let Some(mut store) = store else {
        if !has_url {
            section.report("url", format!("is required: {URL_HINT}"));
        }
        // Limits that need a store would report errors that only repeat this one.
        return LimitsStore::Memory;
    };
    let passwords = [&password, &file, &store.password];
    if passwords.into_iter().flatten().count() > 1 {
        section.report(
            "password",
            "set only one of `password`, `password_file` and a password in the URL",
        );
    }
    if username.is_some() && store.username.is_some() {
        section.report("username", "is also in the URL; remove one of the two");
    }
    if ca_file.is_some() && !store.tls {
        section.report("ca_file", "needs TLS: write the URL with rediss://");
    }
    store.username = username.or(store.username);
    store.password = password.or(file).or(store.password);
    store.ca_file = ca_file;
    store.timeout = timeout.unwrap_or(store.timeout);
    store.deployment = deployment.unwrap_or(store.deployment);
    if store.username.is_some() && store.password.is_none() {
        section.report("username", "needs a password");
    }
    LimitsStore::Redis(Box::new(store))
}

fn timeout(text: &str) -> Result<Duration, String> {
    let time = units::positive_duration(text)?;
    if time > Duration::from_secs(5) {
        return Err("must be at most 5s: each call waits this long if the store hangs".to_owned());
    }
    Ok(time)
}

/// Parses the name of a deployment, which becomes part of each key, inside of a Redis hash tag.
fn deployment(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
    if text.is_empty() || text.len() > 128 || !text.chars().all(is_allowed) {
        return Err("must be 1 to 128 characters: letters, digits and . _ : / -".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses `rediss://user:password@host:port/database`. Errors do not contain the URL, because it
/// may contain a password.
fn url(text: &str) -> Result<RedisStore, String> {
    let wrong = |what: &str| format!("{what}; {URL_HINT}");
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("not a URL"))?;
    let tls = match scheme {
        "rediss" | "valkeys" => true,
        "redis" | "valkey" => false,
        _ => return Err(wrong("must begin with rediss:// or redis://")),
    };
    // A password can contain `@`, so the last `@` is its end.
    let (user, server) = match rest.rsplit_once('@') {
        Some((user, server)) => (Some(user), server),
        None => (None, rest),
    };
    let (address, database) = server.split_once('/').unwrap_or((server, ""));
    let database = match database {
        "" => 0,
        number => number
            .parse()
            .map_err(|_| wrong("the path must be the number of a database"))?,
    };
    let (host, port) = match address.rsplit_once(':') {
        // An IPv6 address without a port.
        Some(_) if address.ends_with(']') => (address, None),
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    let port = match port {
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| wrong("the port must be 1 to 65535"))?,
        None => DEFAULT_PORT,
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_valid = if is_bracketed {
        host.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        !host.is_empty() && host.chars().all(is_name)
    };
    if !is_valid {
        return Err(wrong("names no valid host"));
    }
    let mut store = RedisStore {
        tls,
        database,
        ..RedisStore::at(host, port)
    };
    if let Some(user) = user {
        let decode = |text: &str| {
            percent_decode_str(text)
                .decode_utf8()
                .map(String::from)
                .map_err(|_| wrong("user and password must be UTF-8"))
        };
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        store.username = Some(decode(name)?).filter(|name| !name.is_empty());
        store.password = Some(decode(password)?)
            .filter(|password| !password.is_empty())
            .map(StorePassword::Text);
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Config, Problem};

    fn parse(limits: &str) -> Result<LimitsStore, String> {
        let environment = |name: &str| (name == "STORE").then(|| "p@ss/w:rd".to_owned());
        Config::parse(&format!("limits: {limits}"), &environment)
            .map(|config| config.access.store)
            .map_err(|problems| {
                let line = |problem: &Problem| format!("{}: {}", problem.key, problem.message);
                problems.iter().map(line).collect::<Vec<_>>().join("\n")
            })
    }

    fn redis(limits: &str) -> RedisStore {
        match parse(limits) {
            Ok(LimitsStore::Redis(store)) => *store,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_url_names_server_user_and_database() {
        let store = redis("{store: 'rediss://limits:${STORE}@redis.example.com:6380/3'}");
        assert!(store.tls);
        assert_eq!(
            (store.host.as_str(), store.port),
            ("redis.example.com", 6380)
        );
        assert_eq!(store.database, 3);
        assert_eq!(store.username.as_deref(), Some("limits"));
        assert_eq!(store.password().unwrap().as_deref(), Some("p@ss/w:rd"));
        assert_eq!(store.timeout, Duration::from_millis(50));
        let store = redis("{store: 'redis://[::1]', on_store_failure: deny}");
        assert_eq!((store.host.as_str(), store.port), ("::1", 6379));
        assert!(!store.tls && store.password().unwrap().is_none());
        assert_eq!(store.on_failure, OnStoreFailure::Deny);
    }

    #[test]
    fn a_section_sets_what_a_url_can_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "from-file\n").unwrap();
        let store = redis(&format!(
            "{{replicas: 3, store: {{url: 'rediss://h', username: u, password_file: '{}', ca_file: /ca.pem, timeout: 20ms, deployment: prod}}}}",
            file.path().display()
        ));
        assert_eq!(store.password().unwrap().as_deref(), Some("from-file"));
        assert_eq!(store.ca_file, Some(PathBuf::from("/ca.pem")));
        assert_eq!(
            (store.timeout, store.replicas),
            (Duration::from_millis(20), Some(3))
        );
        assert_eq!(store.deployment, "prod");
        fs::write(file.path(), "\n").unwrap();
        assert!(
            store
                .password()
                .unwrap_err()
                .to_string()
                .contains("is empty")
        );
    }

    #[test]
    fn mistakes_have_their_place_and_never_the_password() {
        for (limits, expected) in [
            ("{store: disk}", "must be `memory`"),
            ("{store: 'http://u:canary@h'}", "must begin with rediss://"),
            ("{store: 'redis://u:canary@'}", "no valid host"),
            ("{store: 'redis://u:canary@h:0'}", "the port must be"),
            ("{store: 'redis://u:canary@h/x'}", "number of a database"),
            ("{store: {username: u}}", "limits.store.url: is required"),
            (
                "{store: {url: 'redis://u:canary@h', password: canary}}",
                "set only one of",
            ),
            (
                "{store: {url: 'redis://h', username: u}}",
                "needs a password",
            ),
            ("{store: {url: 'redis://h', ca_file: /ca}}", "needs TLS"),
            ("{store: {url: 'redis://h', timeout: 6s}}", "at most 5s"),
            (
                "{store: {url: 'redis://h', deployment: 'a{b'}}",
                "1 to 128 characters",
            ),
            (
                "{store: {url: 'redis://h', pasword: canary}}",
                "did you mean `password`?",
            ),
            (
                "{store: memory, replicas: 2}",
                "needs a store that replicas share",
            ),
            (
                "{store: 'redis://h', replicas: 2, on_store_failure: deny}",
                "has no effect",
            ),
        ] {
            let problems = parse(limits).unwrap_err();
            assert!(problems.contains(expected), "{limits}: {problems}");
            assert!(!problems.contains("canary"), "{problems}");
        }
        let store = redis("{store: 'redis://u:canary@h'}");
        assert!(!format!("{store:?}").contains("canary"), "{store:?}");
    }
}
