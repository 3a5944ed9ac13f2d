//! Repeats requests of the SDK. The SDK makes the first request of each client and model. Further
//! requests differ from it only in the body, the time, the signature and the invocation ID, so they
//! are created from it. This costs only a small part of the time that the SDK needs for a request.
//!
//! The SDK decides everything else: endpoint, path, headers, user agent, authentication scheme and
//! credentials. A template is used only if it can reproduce the SDK's own request, including its
//! signature.

use aws_credential_types::{Credentials, Token, credential_feature::AwsCredentialFeature};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{AuthScheme as _, AuthSchemeId},
        identity::{
            Identity, IdentityCacheLocation, ResolveCachedIdentity as _, ResolveIdentity as _,
            SharedIdentityCache, SharedIdentityResolver,
        },
        orchestrator::HttpRequest,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HOST},
    request::Parts,
};

use super::{
    RequestBody,
    request_key::CallHeaders,
    signature::{ALGORITHM, Scope, Signable, SignedHeaders, canonical_path},
};
use crate::telemetry::trace::{TRACEPARENT, TraceContext};

/// The name of `accept` in requests of InvokeModelWithResponseStream.
const BEDROCK_ACCEPT: HeaderName = HeaderName::from_static("x-amzn-bedrock-accept");
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const INVOCATION_ID: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");
const REQUEST_METADATA: HeaderName = HeaderName::from_static("x-amzn-bedrock-request-metadata");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// The headers whose values differ from request to request.
const VARYING: [HeaderName; 8] = [
    ACCEPT,
    AUTHORIZATION,
    BEDROCK_ACCEPT,
    CONTENT_LENGTH,
    DATE,
    INVOCATION_ID,
    REQUEST_METADATA,
    SECURITY_TOKEN,
];
const BEARER: &str = "Bearer ";

/// Why a request of the SDK cannot be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unrepeatable {
    #[error("the endpoint's URL has a query, or no host")]
    Url,
    #[error("the path has an empty segment or a segment of dots, which the signature normalizes")]
    Path,
    #[error("the authorization scheme is neither a signature nor a bearer token")]
    Scheme,
    #[error("the identity that authorized the request is not available any more")]
    Identity,
    #[error("the repeated request differs from the SDK's request")]
    Differs,
}

/// A request that the SDK has sent.
pub(super) struct SentRequest {
    head: Parts,
    components: RuntimeComponents,
}

impl SentRequest {
    /// Copies a request without its body. `None` if its body is not in memory.
    pub(super) fn of(request: &HttpRequest, components: &RuntimeComponents) -> Option<Self> {
        let request = request.try_clone()?.try_into_http1x().ok()?;
        Some(Self {
            head: request.into_parts().0,
            components: components.clone(),
        })
    }
}

/// A request of the SDK that can be repeated with another body.
pub(super) struct RequestTemplate {
    /// The request without its body. The headers that differ from request to request are empty. It
    /// also has the headers that are not signed by name: `host` and an empty `traceparent`, so that
    /// copies of the headers do not grow.
    head: Parts,
    host: String,
    authentication: Authentication,
    /// The features of the credentials, which the user agent names.
    features: Features,
    identities: Identities,
}

type Features = (Vec<AwsCredentialFeature>, bool);

enum Authentication {
    Signature {
        scope: Scope,
        /// The path, percent-encoded twice.
        path: String,
        /// The signed headers for credentials without a session token.
        signed: SignedHeaders,
        signed_with_token: SignedHeaders,
    },
    Bearer,
}

/// The parts of the SDK from which it gets identities.
struct Identities {
    components: RuntimeComponents,
    resolver: SharedIdentityResolver,
    cache: Option<SharedIdentityCache>,
    no_config: ConfigBag,
}

impl Identities {
    fn new(components: RuntimeComponents, scheme: AuthSchemeId) -> Option<Self> {
        let scheme = components.auth_scheme(scheme)?;
        let resolver = scheme.identity_resolver(&components)?;
        let is_cached = resolver.cache_location() == IdentityCacheLocation::RuntimeComponents;
        Some(Self {
            cache: is_cached.then(|| components.identity_cache()),
            components,
            resolver,
            no_config: ConfigBag::base(),
        })
    }

    async fn resolve(&self) -> Result<Identity, BoxError> {
        let (components, config) = (&self.components, &self.no_config);
        match &self.cache {
            Some(cache) => {
                let resolver = self.resolver.clone();
                cache
                    .resolve_cached_identity(resolver, components, config)
                    .await
            }
            None => self.resolver.resolve_identity(components, config).await,
        }
    }
}

impl RequestTemplate {
    /// Creates a template from a request with these headers and this body.
    ///
    /// # Errors
    ///
    /// Fails if the request cannot be repeated, or if its identity is not available at once.
    pub(super) fn new(
        sent: SentRequest,
        call_headers: CallHeaders<'_>,
        body: &RequestBody,
    ) -> Result<Self, Unrepeatable> {
        let SentRequest {
            mut head,
            components,
        } = sent;
        if head.uri.query().is_some() {
            return Err(Unrepeatable::Url);
        }
        let original = std::mem::take(&mut head.headers);
        let text = |name: HeaderName| original.get(name).map(HeaderValue::to_str);
        let authorization = text(AUTHORIZATION).transpose().ok().flatten();
        let authorization = authorization.ok_or(Unrepeatable::Scheme)?;
        let (authentication, scheme) = if authorization.starts_with(BEARER) {
            (Authentication::Bearer, "httpBearerAuth")
        } else {
            let path = canonical_path(head.uri.path()).ok_or(Unrepeatable::Path)?;
            let signature = signature_of(authorization, path);
            (signature.ok_or(Unrepeatable::Scheme)?, "sigv4")
        };
        let identities = Identities::new(components, AuthSchemeId::from(scheme));
        let identities = identities.ok_or(Unrepeatable::Scheme)?;
        let identity = identities.resolve().now_or_never();
        let Some(Ok(identity)) = identity else {
            return Err(Unrepeatable::Identity);
        };
        head.headers = original.clone();
        for name in VARYING {
            if let Some(value) = head.headers.get_mut(name) {
                *value = HeaderValue::from_static("");
            }
        }
        let host = host_of(&head.uri).ok_or(Unrepeatable::Url)?;
        let value = HeaderValue::from_str(&host).map_err(|_| Unrepeatable::Url)?;
        head.headers.insert(HOST, value);
        head.headers
            .insert(TRACEPARENT, HeaderValue::from_static(""));
        let template = Self {
            host,
            head,
            authentication,
            features: identity.data().map(features_of).unwrap_or_default(),
            identities,
        };
        let again = template.repeated(&identity, &original, call_headers, body);
        if again == Some(original) {
            Ok(template)
        } else {
            Err(Unrepeatable::Differs)
        }
    }

    /// Returns the headers of the original request, as the template makes them.
    fn repeated(
        &self,
        identity: &Identity,
        original: &HeaderMap,
        call_headers: CallHeaders<'_>,
        body: &RequestBody,
    ) -> Option<HeaderMap> {
        let text = |name: HeaderName| original.get(name).map(HeaderValue::to_str);
        let time = text(DATE).transpose().ok()?.unwrap_or_default();
        let mut headers = self.headers(identity, time, call_headers, body)?;
        headers.insert(INVOCATION_ID, original.get(INVOCATION_ID)?.clone());
        for added in [HOST, HeaderName::from_static(TRACEPARENT)] {
            if !original.contains_key(&added) {
                headers.remove(added);
            }
        }
        Some(headers)
    }

    /// Returns the identity for a request that is sent now.
    ///
    /// # Errors
    ///
    /// Fails like the SDK if there is no identity.
    pub(super) async fn identity(&self) -> Result<Identity, BoxError> {
        self.identities.resolve().await
    }

    /// Returns the request with another body and other headers of the call, signed by an identity
    /// from [`Self::identity`]. It carries the trace context. `None` if the SDK must make this
    /// request, because its user agent would differ.
    pub(super) fn request(
        &self,
        identity: &Identity,
        time: &str,
        call_headers: CallHeaders<'_>,
        trace: Option<&TraceContext>,
        body: &RequestBody,
    ) -> Option<Request<Bytes>> {
        if identity.data().map(features_of).unwrap_or_default() != self.features {
            return None;
        }
        let mut headers = self.headers(identity, time, call_headers, body)?;
        headers.insert(INVOCATION_ID, invocation_id()?);
        match trace {
            Some(span) => {
                for (name, value) in span.headers() {
                    // Trace contexts consist of characters that headers may have.
                    if let Ok(value) = HeaderValue::try_from(value) {
                        headers.insert(name, value);
                    }
                }
            }
            None => {
                headers.remove(TRACEPARENT);
            }
        }
        let mut request = Request::new(body.bytes().clone());
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.uri.clone();
        *request.headers_mut() = headers;
        Some(request)
    }

    /// Returns all headers except the invocation ID.
    fn headers(
        &self,
        identity: &Identity,
        time: &str,
        call_headers: CallHeaders<'_>,
        body: &RequestBody,
    ) -> Option<HeaderMap> {
        let mut headers = self.head.headers.clone();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.bytes().len()));
        if let Some(metadata) = call_headers.request_metadata {
            headers.insert(REQUEST_METADATA, HeaderValue::from_str(metadata).ok()?);
        }
        if let Some(accept) = call_headers.accept {
            // The template has one of the two.
            for name in [ACCEPT, BEDROCK_ACCEPT] {
                if let Some(value) = headers.get_mut(name) {
                    *value = HeaderValue::from_str(accept).ok()?;
                }
            }
        }
        let authorization = match &self.authentication {
            Authentication::Bearer => {
                format!("{BEARER}{}", identity.data::<Token>()?.token())
            }
            Authentication::Signature {
                scope,
                path,
                signed,
                signed_with_token,
            } => {
                let credentials: &Credentials = identity.data()?;
                headers.insert(DATE, HeaderValue::try_from(time).ok()?);
                let signed = match credentials.session_token() {
                    Some(token) => {
                        let mut value = HeaderValue::try_from(token).ok()?;
                        value.set_sensitive(true);
                        headers.insert(SECURITY_TOKEN, value);
                        signed_with_token
                    }
                    None => {
                        headers.remove(SECURITY_TOKEN);
                        signed
                    }
                };
                let request = Signable {
                    method: self.head.method.as_str(),
                    path,
                    host: &self.host,
                    headers: &headers,
                    signed,
                    body_sha256: &body.sha256(),
                };
                request.authorization(scope, credentials, time)
            }
        };
        let mut authorization = HeaderValue::try_from(authorization).ok()?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        Some(headers)
    }
}

/// Reads the scope and the names of the signed headers from the SDK's `authorization` header. Its
/// format is `AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…,
/// Signature=…`. `path` is the canonical path.
fn signature_of(authorization: &str, path: String) -> Option<Authentication> {
    let mut parts = authorization.strip_prefix(ALGORITHM)?.split(',');
    let credential = parts.next()?.trim().strip_prefix("Credential=")?;
    let mut scope = credential.rsplit('/').skip(1);
    let (service, region) = (scope.next()?.to_owned(), scope.next()?.to_owned());
    let names = parts.next()?.trim().strip_prefix("SignedHeaders=")?;
    let names: Result<Vec<HeaderName>, _> = names.split(';').map(str::parse).collect();
    let mut names = names.ok()?;
    names.retain(|name| *name != SECURITY_TOKEN);
    Some(Authentication::Signature {
        scope: Scope { region, service },
        path,
        signed: SignedHeaders::new(names.clone()),
        signed_with_token: SignedHeaders::new(names.into_iter().chain([SECURITY_TOKEN])),
    })
}

/// Returns the value of the header `host` for a URL.
fn host_of(uri: &http::Uri) -> Option<String> {
    let is_default = matches!(
        (uri.scheme_str(), uri.port_u16()),
        (Some("http"), Some(80)) | (Some("https"), Some(443))
    );
    let host = if is_default {
        uri.host()?
    } else {
        uri.authority()?.as_str()
    };
    Some(host.to_owned())
}

fn features_of(credentials: &Credentials) -> Features {
    let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
    let has_account = credentials.account_id().is_some();
    (features.cloned().unwrap_or_default(), has_account)
}

/// Returns a random UUID. The SDK sends such an ID with each call.
fn invocation_id() -> Option<HeaderValue> {
    let random = fastrand::u128(..);
    // These bits are the version (4) and the variant of RFC 9562.
    let random = (random & !(0xf << 76)) | (4 << 76);
    let random = (random & !(0b11 << 62)) | (0b10 << 62);
    let digits = format!("{random:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts: Option<Vec<_>> = parts.into_iter().map(|part| digits.get(part)).collect();
    HeaderValue::try_from(parts?.join("-")).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options};

    use super::*;
    use crate::{
        bedrock::{
            Bedrock, Sdk,
            request_key::{RequestKey, SdkOperation},
        },
        config::bedrock::BedrockOptions,
    };

    const BODY: &[u8] = br#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#;

    /// Checks that further requests are created from the first one. The emulator verifies their
    /// signatures.
    #[tokio::test]
    async fn further_requests_are_made_from_the_first_one() {
        let emulator = Emulator::start(Options::default()).unwrap();
        let options = BedrockOptions {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(emulator.endpoint_url()),
            ..BedrockOptions::default()
        };
        let sdk =
            Sdk::with_credentials(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, &options).unwrap();
        let client = Bedrock::new(&sdk);
        let model_id = "amazon.nova-lite-v1:0";
        let known = || {
            let key = RequestKey::new(SdkOperation::ConverseStream, model_id);
            let regional = client.regional("us-east-1").unwrap();
            regional.templates.get(&key).ok()
        };
        assert!(known().is_none());
        let mut first = None;
        for text in ["hi", "a longer text", ""] {
            let body =
                format!(r#"{{"messages":[{{"role":"user","content":[{{"text":"{text}."}}]}}]}}"#);
            let answer = client.converse_stream("us-east-1", model_id, Bytes::from(body));
            answer.await.unwrap();
            let template = known().expect("the request can be repeated");
            let first = first.get_or_insert_with(|| Arc::clone(&template));
            assert!(Arc::ptr_eq(first, &template));
        }
        let template = known().unwrap();
        let body = RequestBody::from(Bytes::from_static(BODY));
        let request = |credentials: Credentials| {
            template.request(
                &Identity::from(credentials),
                "20260102T030405Z",
                CallHeaders::default(),
                None,
                &body,
            )
        };
        let credentials = Credentials::new("AKID", "secret", Some("token".to_owned()), None, "");
        let with_token = request(credentials.clone()).unwrap();
        let authorization = with_token.headers()[AUTHORIZATION].to_str().unwrap();
        assert!(authorization.contains(";x-amz-date;x-amz-security-token;"));
        assert_eq!(with_token.headers()[SECURITY_TOKEN], "token");
        let mut elsewhere = credentials;
        elsewhere.set_property(vec![AwsCredentialFeature::CredentialsProcess]);
        assert!(request(elsewhere).is_none());
    }

    #[test]
    fn invocation_ids_are_random_uuids() {
        let one = invocation_id().unwrap();
        let text = one.to_str().unwrap();
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "4");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
        assert_ne!(invocation_id().unwrap(), one);
    }
}
