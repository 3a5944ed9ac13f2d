//! Callers and their keys.

use bedrock_grpc::{
    access::key::Secret,
    config::{Access, ApiKey, CallerOptions, Config, Problems},
};
use tonic::{IntoRequest, Request};

use super::Gateway;

/// A new key.
pub(crate) fn key_of() -> Secret {
    Secret::generate().unwrap()
}

/// The entry of a key in the configuration.
pub(crate) fn key_options(key: &Secret) -> ApiKey {
    ApiKey {
        sha256: key.sha256(),
        not_after: None,
    }
}

/// The SHA-256 of a key, as in a configuration file.
pub(crate) fn sha256_of(key: &Secret) -> String {
    key.sha256()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Only these callers, with one key each.
pub(crate) fn access_of(callers: &[(&str, &Secret)]) -> Access {
    let callers = callers.iter().map(|(name, key)| {
        let options = CallerOptions {
            keys: vec![key_options(key)],
            ..CallerOptions::default()
        };
        ((*name).to_owned(), options)
    });
    Access {
        required: true,
        callers: callers.collect(),
        ..Access::default()
    }
}

/// The request with this credential.
pub(crate) fn bearer<T>(message: impl IntoRequest<T>, credential: &str) -> Request<T> {
    let mut request = message.into_request();
    let value = format!("Bearer {credential}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// The request with this key.
pub(crate) fn keyed<T>(message: impl IntoRequest<T>, key: &Secret) -> Request<T> {
    bearer(message, key.reveal())
}

/// A gateway with this configuration, and the callers `team-a`, with these settings, and `team-b`.
pub(crate) async fn two_teams(config: &str, team_a: &str) -> (Gateway, Secret, Secret) {
    let text = format!("{config}\ncallers: {{team-a: {team_a}, team-b: {{}}}}");
    let read = Config::parse(&text, &|_| None).map_err(|problems| Problems {
        file: text.clone(),
        problems,
    });
    let read = match read {
        Ok(read) => read,
        Err(problems) => panic!("{problems}"),
    };
    let (a, b) = (key_of(), key_of());
    let gateway = Gateway::with(|config, _| {
        config.targets = read.targets;
        config.access = read.access;
        for (name, key) in [("team-a", &a), ("team-b", &b)] {
            let caller = config.access.callers.get_mut(name).unwrap();
            caller.keys.push(key_options(key));
        }
    })
    .await;
    (gateway, a, b)
}
