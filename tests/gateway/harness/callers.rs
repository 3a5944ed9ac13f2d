//! Callers and their keys.

use bedrock_grpc::{
    access::key::Secret,
    config::{Access, ApiKey, CallerOptions},
};
use tonic::{IntoRequest, Request};

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
