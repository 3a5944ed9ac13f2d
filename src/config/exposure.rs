//! Finds settings that expose the gateway, for the warnings that `serve` logs when it starts.

use std::net::SocketAddr;

use super::{Config, Hosts, LimitsStore, OnStoreFailure, Problem, problem::ConfigLocation};

impl Config {
    /// Returns the interfaces that other machines, unidentified callers or web pages can use. Each
    /// entry names the key that can prevent this.
    pub fn exposure(&self) -> Vec<Problem> {
        exposure(self)
    }
}

fn exposure(config: &Config) -> Vec<Problem> {
    let server = &config.server;
    let is_reachable = is_reachable(server.listen);
    let mut open = Vec::new();
    let mut warn = |key: &str, message: String| {
        open.push(Problem::new(key, ConfigLocation::default(), message));
    };
    if is_reachable && server.tls.is_none() {
        warn(
            "tls",
            format!(
                "{} is reachable from other machines and serves no TLS: prompts, answers and API \
                 keys are readable on the network; configure `tls`, or terminate TLS in a proxy on \
                 the same host or pod",
                server.listen
            ),
        );
    }
    if !config.access.is_configured() {
        warn(
            "callers",
            format!(
                "callers are not identified: every client that can reach {} can spend this AWS account's money; add `callers` (docs/callers.md)",
                server.listen
            ),
        );
    } else if !config.access.required {
        warn(
            "access.required",
            "calls without a credential are accepted, too; set access.required to true".to_owned(),
        );
    }
    let is_reflection_open = !config.access.is_configured() || config.access.open_reflection;
    if is_reachable && is_reflection_open {
        warn(
            "access.open_reflection",
            "every client that can reach the port can read the API by reflection; set access.open_reflection to false".to_owned(),
        );
    }
    if is_reachable && server.playground {
        warn(
            "playground",
            "every client that can reach the port can use the playground; set it to false"
                .to_owned(),
        );
    }
    if server
        .cors
        .allowed_origins
        .iter()
        .any(|origin| origin == "*")
    {
        warn(
            "cors.allowed_origins",
            "every web page can call the gateway from its visitors' browsers; list the origins of your pages instead of *"
                .to_owned(),
        );
    }
    if is_reachable_admin(config) {
        warn(
            "admin.listen",
            format!(
                "{} serves metrics and readiness to other machines, without TLS or credentials; \
                 restrict it by a network policy, or listen on 127.0.0.1",
                server.admin
            ),
        );
    }
    if config
        .targets
        .allowed_model_ids
        .iter()
        .any(|pattern| pattern == "*")
    {
        warn(
            "allowed_model_ids",
            "callers can name every model that the gateway's AWS identity may call; list patterns \
             instead of *"
                .to_owned(),
        );
    }
    let s3_locations = config.targets.policy.s3_locations.as_ref();
    if s3_locations.is_some_and(|locations| locations.is_everywhere()) {
        warn(
            "s3_locations",
            "callers can have Bedrock read every object in Amazon S3 that the gateway's AWS \
             identity may read; list buckets or prefixes instead of *"
                .to_owned(),
        );
    }
    let proxies = &server.trusted_proxies;
    for (key, networks) in [
        ("proxy_protocol_from", &proxies.proxy_protocol_from),
        ("forwarded_for_from", &proxies.forwarded_for_from),
    ] {
        if networks.iter().any(|network| network.is_everything()) {
            warn(
                &format!("trusted_proxies.{key}"),
                "every client can claim any address, and so avoid its share of connections and \
                 calls; list the networks of your proxies only"
                    .to_owned(),
            );
        }
    }
    if config.allow_weaker {
        warn(
            "allow_weaker",
            "a changed configuration file can remove callers, client certificates, fences and \
             guardrails; remove the key after the change for which you set it"
                .to_owned(),
        );
    }
    if let LimitsStore::Redis(store) = &config.access.store
        && store.on_failure == OnStoreFailure::Allow
    {
        warn(
            "limits.on_store_failure",
            "calls have no limits while the store does not answer; use local or deny".to_owned(),
        );
    }
    for (key, url, what) in plain_connections(config) {
        warn(
            &key,
            format!("{url} has no TLS: {what} are readable on the network; use TLS"),
        );
    }
    open
}

/// Returns whether other machines can reach a listener with this address.
fn is_reachable(address: SocketAddr) -> bool {
    !address.ip().is_loopback()
}

fn is_reachable_admin(config: &Config) -> bool {
    is_reachable(config.server.admin) && config.server.hosts == Hosts::Any
}

/// Returns the connections to other machines without TLS: the key, the address, and what others on
/// the network can read.
fn plain_connections(config: &Config) -> Vec<(String, String, &'static str)> {
    let mut plain: Vec<_> = plain_endpoints(config)
        .into_iter()
        .map(|(key, url)| (key, url.to_owned(), "prompts and answers"))
        .collect();
    for (key, endpoint) in [
        ("traces.otlp_endpoint", &config.traces.otlp_endpoint),
        (
            "usage_records.otlp_endpoint",
            &config.usage_records.otlp_endpoint,
        ),
    ] {
        let url = endpoint.as_deref().filter(|url| is_plain(url));
        let what = "names, token counts and the headers for the collector";
        plain.extend(url.map(|url| (key.to_owned(), url.to_owned(), what)));
    }
    if let LimitsStore::Redis(store) = &config.access.store {
        // The address without the user and the password that the URL can contain.
        let url = format!("{}:{}", store.host, store.port);
        if !store.tls && !Hosts::Loopback.allow(Some(&url)) {
            let what = "the password of the store and the names of callers";
            plain.push(("limits.store".to_owned(), url, what));
        }
    }
    plain
}

/// Returns whether a URL leads to another machine without TLS.
fn is_plain(url: &str) -> bool {
    let authority = url
        .strip_prefix("http://")
        .map(|rest| rest.split('/').next());
    authority.is_some_and(|authority| !Hosts::Loopback.allow(authority))
}

/// Returns the endpoints of Bedrock that are on other machines and have no TLS.
fn plain_endpoints(config: &Config) -> Vec<(String, &str)> {
    let bedrock = &config.bedrock;
    let mut urls = vec![
        ("bedrock.endpoint_url".to_owned(), &bedrock.endpoint_url),
        (
            "bedrock.control_endpoint_url".to_owned(),
            &bedrock.control_endpoint_url,
        ),
    ];
    for (region, endpoints) in &bedrock.endpoints {
        let key = |name| format!("bedrock.endpoints.{region}.{name}");
        urls.push((key("endpoint_url"), &endpoints.endpoint_url));
        urls.push((key("control_endpoint_url"), &endpoints.control_endpoint_url));
    }
    urls.into_iter()
        .filter_map(|(key, url)| Some((key, url.as_deref()?)))
        .filter(|(_, url)| is_plain(url))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let config = Config::parse(text, &|_| None).unwrap();
        config.exposure().into_iter().map(|open| open.key).collect()
    }

    #[test]
    fn everything_that_is_open_is_named() {
        let all = "
playground: true
cors: {allowed_origins: ['*']}
allowed_model_ids: ['*']
s3_locations: ['*']
trusted_proxies: {proxy_protocol_from: [10.0.0.0/8, '::/0'], forwarded_for_from: [0.0.0.0/0]}
allow_weaker: true
limits: {store: 'redis://:secret@redis.internal', on_store_failure: allow}
traces: {otlp_endpoint: 'http://collector.internal:4317'}
usage_records: {otlp_endpoint: 'http://collector.internal:4317'}
bedrock:
  endpoint_url: http://proxy.internal
  endpoints: {us-west-2: {control_endpoint_url: 'http://10.0.0.1:80/x'}}
";
        let expected = [
            "tls",
            "callers",
            "access.open_reflection",
            "playground",
            "cors.allowed_origins",
            "admin.listen",
            "allowed_model_ids",
            "s3_locations",
            "trusted_proxies.proxy_protocol_from",
            "trusted_proxies.forwarded_for_from",
            "allow_weaker",
            "limits.on_store_failure",
            "bedrock.endpoint_url",
            "bedrock.endpoints.us-west-2.control_endpoint_url",
            "traces.otlp_endpoint",
            "usage_records.otlp_endpoint",
            "limits.store",
        ];
        assert_eq!(keys(all), expected);
        let config = Config::parse(all, &|_| None).unwrap();
        let shown = format!("{:?}", config.exposure());
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn what_is_closed_is_not() {
        let closed = "
listen: 0.0.0.0:50051
admin: {listen: 127.0.0.1:9090}
tls: {certificate_file: a, key_file: b}
access: {keys_file: keys.yaml}
bedrock: {endpoint_url: 'http://localhost:8900'}
allowed_model_ids: ['eu.*']
s3_locations: ['s3://bucket']
trusted_proxies: {proxy_protocol_from: [10.0.0.0/8]}
limits: {store: 'rediss://redis.internal'}
traces: {otlp_endpoint: 'https://collector.internal:4317'}
usage_records: {otlp_endpoint: 'http://127.0.0.1:4317'}
";
        assert_eq!(keys(closed), [""; 0]);
        let local = "
listen: 127.0.0.1:1
admin: {listen: '[::1]:2'}
";
        assert_eq!(keys(local), ["callers"]);
    }
}
