//! Compares the gateway's client with a plain client of the AWS SDK: the same calls must make the
//! same requests, and the same responses the same errors. So neither an update of the SDK nor a
//! bypass of a part of it can change what Bedrock receives.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
    iter::repeat_n,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{digest, hmac};
use aws_sdk_bedrockruntime::config::Builder;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::{DateTime, date_time::Format};
use bedrock_grpc::{
    bedrock::{Bedrock, ModelGuardrail, ModelOptions, Sdk},
    config::Config,
    error::{Failure, Reason},
    telemetry::metrics::SdkRequest,
};
use bytes::Bytes;
use prometheus_client::metrics::{counter::Counter, family::Family};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::{PrimitiveDateTime, macros::format_description};

use super::{
    chain::child_running,
    plain_sdk::{self, Auth, Operation, Options},
    server::{Call, Reply, Server, Setup, Trust, bedrock, event},
    upstream::proxy,
};

/// The variable with the file of the calls that a child makes.
const CALLS: &str = "TEST_CALLS";
const KEY: Auth = Auth::Signed("AKIDPLAIN", "not-a-real-secret", None);
const SESSION: Auth = Auth::Signed("ASIAPLAIN", "not-a-real-secret", Some("session/token+=="));
const BEARER: Auth = Auth::Bearer("not-a-real-api-key");
const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#;
/// A target of each kind, and characters that are encoded in a path.
const TARGETS: [&str; 8] = [
    "amazon.nova-lite-v1:0",
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123",
    "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123",
    "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1",
    "modell-ä/日本 1+2=3%20~(a)*'b'",
    "us.../..//.",
];
/// How often each call is made: the first time by the SDK, later by repeating its request.
const TIMES: usize = 3;
/// Headers whose values differ from call to call, or name the client. Their presence is compared.
const VARYING: [&str; 4] = [
    "amz-sdk-invocation-id",
    "user-agent",
    "x-amz-date",
    "x-amz-user-agent",
];

/// One call of the gateway's client.
#[derive(Serialize, Deserialize)]
struct OneCall {
    operation: Operation,
    /// The model ID, or the identifier of the guardrail.
    resource: String,
    body: String,
}

impl OneCall {
    fn new(operation: Operation, resource: &str) -> Self {
        Self {
            operation,
            resource: resource.to_owned(),
            body: BODY.to_owned(),
        }
    }

    /// Makes the call with the gateway's client.
    async fn make(&self, bedrock: &Bedrock) -> Result<(), Failure> {
        let (resource, body) = (self.resource.as_str(), Bytes::from(self.body.clone()));
        let region = "us-east-1";
        match &self.operation {
            Operation::ConverseStream => {
                let answer = bedrock.converse_stream(region, resource, body);
                answer.await.map(|_| ())
            }
            Operation::CountTokens => {
                let answer = bedrock.count_tokens(region, resource, body);
                answer.await.map(|_| ())
            }
            Operation::ApplyGuardrail(version) => {
                let answer = bedrock.apply_guardrail(region, resource, version, body);
                answer.await.map(|_| ())
            }
            Operation::InvokeModel(options) => {
                let options = model_options(options);
                let answer = bedrock.invoke_model(region, resource, &options, body);
                answer.await.map(|_| ())
            }
            Operation::InvokeModelWithResponseStream(options) => {
                let options = model_options(options);
                let answer = bedrock.invoke_model_stream(region, resource, &options, body);
                answer.await.map(|_| ())
            }
        }
    }

    /// Returns the parts of the request that a repeated request cannot replace.
    fn kind(&self) -> (Operation, String) {
        let mut operation = self.operation.clone();
        if let Operation::InvokeModel(options) | Operation::InvokeModelWithResponseStream(options) =
            &mut operation
        {
            for value in [&mut options.accept, &mut options.request_metadata] {
                *value = value.take().map(|_| String::new());
            }
        }
        (operation, self.resource.clone())
    }
}

fn model_options(options: &Options) -> ModelOptions {
    let guardrail = |(identifier, version, trace): &(String, String, bool)| ModelGuardrail {
        identifier: identifier.clone(),
        version: version.clone(),
        trace: trace.then(|| "ENABLED".to_owned()),
    };
    ModelOptions {
        accept: options.accept.clone(),
        guardrail: options.guardrail.as_ref().map(guardrail),
        latency: options.is_optimized.then(|| "optimized".to_owned()),
        service_tier: options.is_flex.then(|| "flex".to_owned()),
        request_metadata: options.request_metadata.clone(),
    }
}

/// The parts of a request that are compared.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    method: String,
    host: String,
    path_and_query: String,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

impl Sent {
    fn by_gateway(call: &Call) -> Self {
        let uri = &call.head.uri;
        let host = uri.authority().map(ToString::to_string);
        let headers = call.head.headers.iter().map(|(name, value)| {
            let value = value.to_str().expect("headers are text");
            (name.as_str(), value)
        });
        Self {
            method: call.head.method.to_string(),
            host: host.unwrap_or_else(|| call.header("host").to_owned()),
            path_and_query: path_and_query(uri),
            headers: comparable(headers),
            body: call.body.clone(),
        }
    }

    fn by_sdk(request: &HttpRequest) -> Self {
        let uri: http::Uri = request.uri().parse().expect("a URI");
        Self {
            method: request.method().to_owned(),
            host: uri.authority().expect("an absolute URI").to_string(),
            path_and_query: path_and_query(&uri),
            headers: comparable(request.headers().iter()),
            body: Bytes::copy_from_slice(request.body().bytes().expect("a body in memory")),
        }
    }
}

fn path_and_query(uri: &http::Uri) -> String {
    uri.path_and_query().expect("a path").to_string()
}

fn comparable<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    headers
        .filter(|(name, _)| *name != "host")
        .map(|(name, value)| {
            let value = match name {
                "authorization" => without_signature(value),
                name if VARYING.contains(&name) => String::new(),
                _ => value.to_owned(),
            };
            (name.to_owned(), value)
        })
        .collect()
}

/// Returns the algorithm, the key, the scope without its date, and the signed headers.
fn without_signature(authorization: &str) -> String {
    let Some((signed, _)) = authorization.split_once(", Signature=") else {
        return authorization.to_owned();
    };
    let mut parts: Vec<_> = signed.split('/').collect();
    if parts.len() > 1 {
        parts.remove(1);
    }
    parts.join("/")
}

/// Computes the signature of a request from what arrived, as the documentation of SigV4 describes.
fn signature(call: &Call, secret: &str) -> String {
    let authorization = call.header("authorization");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).expect("a part");
        rest.split(',').next().expect("a value")
    };
    let (_, scope) = part("Credential=").split_once('/').expect("a scope");
    let sent = Sent::by_gateway(call);
    let (path, query) = sent
        .path_and_query
        .split_once('?')
        .unwrap_or((&sent.path_and_query, ""));
    let mut canonical = format!("{}\n", sent.method);
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => canonical.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => canonical.push(byte.into()),
            byte => write!(canonical, "%{byte:02X}").expect("memory"),
        }
    }
    write!(canonical, "\n{query}\n").expect("memory");
    let names = part("SignedHeaders=");
    for name in names.split(';') {
        let value = match name {
            "host" => sent.host.as_str(),
            name => call.header(name),
        };
        let words: Vec<_> = value.split_whitespace().collect();
        writeln!(canonical, "{name}:{}", words.join(" ")).expect("memory");
    }
    write!(canonical, "\n{names}\n{}", sha256(&call.body)).expect("memory");
    let date = call.header("x-amz-date");
    let hash = sha256(canonical.as_bytes());
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let first = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(first, |key, part| hmac(&key, part));
    hex(&hmac(&key, &to_sign))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the calls with the gateway's client in a child process with these variables and with a
/// plain client, and compares them. The public endpoint is reached through a proxy.
async fn compare(
    auth: Auth,
    path: Option<&str>,
    variables: &[(&str, &str)],
    set: impl Fn(Builder) -> Builder,
    host: &str,
    calls: &[OneCall],
) {
    let reply = Reply::stream(event("messageStop", "{}"));
    let setup = Setup {
        tls: path.is_none(),
        reply: Some(reply.clone()),
        ..Setup::default()
    };
    let mut server = match path {
        Some(_) => Server::start(setup).await,
        None => Server::trusted(setup, Trust::of(&[host])).await,
    };
    let file = tempfile::NamedTempFile::new().expect("a file");
    let json = serde_json::to_vec(calls).expect("JSON");
    std::fs::write(file.path(), json).expect("a file can be written");
    let mut child = child_running("differential::the_calls_of_the_gateway");
    child
        .env(CALLS, file.path())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied());
    match auth {
        Auth::Bearer(token) => child.env("AWS_BEARER_TOKEN_BEDROCK", token),
        Auth::Signed(id, secret, session) => child
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .envs(session.map(|session| ("AWS_SESSION_TOKEN", session))),
    };
    let mut url = None;
    match path {
        Some(path) => {
            let own = format!("http://{}{path}", server.address);
            child.env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &own);
            url = Some(own);
        }
        None => {
            let (address, _) = proxy(Some(server.address)).await;
            let bundle = server.options().extra_ca_file.expect("a file");
            child
                .env("HTTPS_PROXY", format!("http://{address}"))
                .env("AWS_CA_BUNDLE", bundle);
        }
    }
    let output = child.output().await.expect("the test can start itself");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let mut ids = HashSet::new();
    for one in calls.iter().flat_map(|call| repeat_n(call, TIMES)) {
        let call = server.call().await;
        assert!(ids.insert(call.header("amz-sdk-invocation-id").to_owned()));
        let set = |builder| {
            let mut builder: Builder = set(builder);
            builder.set_endpoint_url(url.clone());
            builder
        };
        let (operation, resource) = (&one.operation, one.resource.as_str());
        let body = Bytes::from(one.body.clone());
        let plain = plain_sdk::call(auth, set, reply.clone(), operation, resource, body).await;
        let sent = Sent::by_gateway(&call);
        assert_eq!(sent, Sent::by_sdk(&plain.0), "{operation:?} {resource}");
        if path.is_none() {
            assert_eq!(sent.host, host);
        }
        match auth {
            Auth::Bearer(token) => {
                assert_eq!(call.header("authorization"), format!("Bearer {token}"));
            }
            Auth::Signed(_, secret, session) => {
                let authorization = call.header("authorization");
                let signature = signature(&call, secret);
                assert!(authorization.ends_with(&format!("Signature={signature}")));
                assert_eq!(
                    call.header("x-amz-security-token"),
                    session.unwrap_or_default()
                );
            }
        }
    }
}

/// Returns calls of every operation, to every kind of target, with and without options.
fn calls() -> Vec<OneCall> {
    let plain = [
        Operation::ConverseStream,
        Operation::CountTokens,
        Operation::InvokeModel(Options::default()),
        Operation::InvokeModelWithResponseStream(Options::default()),
    ];
    let mut calls: Vec<_> = plain
        .iter()
        .flat_map(|operation| TARGETS.map(|target| OneCall::new(operation.clone(), target)))
        .collect();
    let metadata = |text: &str| Options {
        request_metadata: Some(text.to_owned()),
        ..Options::default()
    };
    let all = Options {
        accept: Some("application/json".to_owned()),
        guardrail: Some(("gr-1".to_owned(), "DRAFT".to_owned(), true)),
        is_optimized: true,
        is_flex: true,
        request_metadata: Some(r#"{"team":"a"}"#.to_owned()),
    };
    let accepting = |media_type: &str| Options {
        accept: Some(media_type.to_owned()),
        ..Options::default()
    };
    let no_trace = Options {
        guardrail: Some(("gr-1".to_owned(), "2".to_owned(), false)),
        ..Options::default()
    };
    // Calls with different metadata or media types are made from the same request of the SDK.
    for options in [
        all,
        no_trace,
        metadata(r#"{"team":"a","cost":"1  2   3"}"#),
        metadata(r#"{"team":"another"}"#),
        accepting("application/json"),
        accepting("image/png,  */*"),
    ] {
        for operation in [
            Operation::InvokeModel(options.clone()),
            Operation::InvokeModelWithResponseStream(options),
        ] {
            calls.push(OneCall::new(operation, TARGETS[0]));
        }
    }
    for (identifier, version) in [
        ("gr-1", "1"),
        ("gr-1", "DRAFT"),
        ("arn:aws:bedrock:us-east-1:123456789012:guardrail/abc", "1"),
    ] {
        let operation = Operation::ApplyGuardrail(version.to_owned());
        calls.push(OneCall::new(operation, identifier));
    }
    calls
}

/// Makes the calls, and checks that the SDK made only the first request of each kind.
#[tokio::test]
#[ignore = "run by other tests, in a process with its own variables"]
async fn the_calls_of_the_gateway() {
    let file = std::env::var_os(CALLS).expect("the variable is set");
    let calls = std::fs::read(file).expect("a file");
    let calls: Vec<OneCall> = serde_json::from_slice(&calls).expect("calls");
    let options = Config::without_file().expect("variables").bedrock;
    let sdk = Sdk::load(&options).await.expect("certificates");
    let by_sdk = Family::<SdkRequest, Counter>::default();
    let bedrock = Bedrock::counting(&sdk, by_sdk.clone());
    let mut kinds = HashMap::<_, HashSet<_>>::new();
    for call in calls.iter().flat_map(|call| repeat_n(call, TIMES)) {
        let outcome = call.make(&bedrock).await;
        // Other operations do not accept the server's answer, which is a stream of ConverseStream.
        if let Operation::ConverseStream = call.operation {
            outcome.expect("an answer");
        }
        let operation = match &call.operation {
            Operation::ConverseStream => "ConverseStream",
            Operation::CountTokens => "CountTokens",
            Operation::ApplyGuardrail(_) => "ApplyGuardrail",
            Operation::InvokeModel(_) => "InvokeModel",
            Operation::InvokeModelWithResponseStream(_) => "InvokeModelWithResponseStream",
        };
        kinds.entry(operation).or_default().insert(call.kind());
    }
    for (operation, kinds) in kinds {
        let count = |reason| {
            by_sdk
                .get_or_create(&SdkRequest { operation, reason })
                .get()
        };
        let counts = ["first", "credentials", "unrepeatable"].map(count);
        assert_eq!(counts, [kinds.len() as u64, 0, 0], "{operation}");
    }
}

#[tokio::test]
async fn requests_to_a_custom_endpoint_are_those_of_the_sdk() {
    for auth in [KEY, SESSION, BEARER] {
        for path in ["", "/behind/a proxy"] {
            let path = path.replace(' ', "%20");
            compare(auth, Some(&path), &[], |builder| builder, "", &calls()).await;
        }
    }
}

#[tokio::test]
async fn requests_to_public_endpoints_are_those_of_the_sdk() {
    let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
    let dual_stack = ("AWS_USE_DUALSTACK_ENDPOINT", "true");
    for (variables, host) in [
        (&[][..], "bedrock-runtime.us-east-1.amazonaws.com"),
        (&[fips][..], "bedrock-runtime-fips.us-east-1.amazonaws.com"),
        (&[dual_stack][..], "bedrock-runtime.us-east-1.api.aws"),
        (
            &[fips, dual_stack][..],
            "bedrock-runtime-fips.us-east-1.api.aws",
        ),
    ] {
        let set = |builder: Builder| {
            builder
                .use_fips(variables.contains(&fips))
                .use_dual_stack(variables.contains(&dual_stack))
        };
        for auth in [SESSION, BEARER] {
            compare(auth, None, variables, set, host, &calls()).await;
        }
    }
}

/// A signature covers the path without its empty segments, which the gateway does not compute.
#[tokio::test]
async fn requests_that_cannot_be_repeated_are_made_by_the_sdk_and_counted() {
    let mut server = Server::start(Setup {
        reply: Some(Reply::stream(event("messageStop", "{}"))),
        ..Setup::default()
    })
    .await;
    let mut options = server.options();
    options.endpoint_url = options
        .endpoint_url
        .map(|url| format!("{url}/behind//a-proxy"));
    let sdk = Sdk::with_credentials("AKIDPLAIN", "not-a-real-secret", &options);
    let by_sdk = Family::<SdkRequest, Counter>::default();
    let bedrock = Bedrock::counting(&sdk.expect("certificates"), by_sdk.clone());
    for _ in 0..TIMES {
        let call = OneCall::new(Operation::ConverseStream, TARGETS[0]);
        call.make(&bedrock).await.expect("an answer");
        assert!(server.call().await.head.uri.path().contains("//a-proxy"));
    }
    let operation = "ConverseStream";
    let count = |reason| {
        by_sdk
            .get_or_create(&SdkRequest { operation, reason })
            .get()
    };
    let counts = ["first", "credentials", "unrepeatable"].map(count);
    assert_eq!(counts, [1, 0, TIMES as u64 - 1]);
}

/// Bedrock rejects signatures whose time differs too much from its own.
#[tokio::test]
async fn requests_have_the_time_of_bedrock_after_its_first_answer() {
    let ahead = Duration::from_secs(60 * 60);
    let date = DateTime::from(SystemTime::now() + ahead).fmt(Format::HttpDate);
    let reply = Reply {
        status: 403,
        headers: vec![
            ("date", date.expect("a date")),
            ("x-amzn-errortype", "InvalidSignatureException".to_owned()),
        ],
        body: Bytes::from_static(b"{}"),
    };
    let mut server = Server::start(Setup {
        reply: Some(reply),
        ..Setup::default()
    })
    .await;
    let client = bedrock(&server.options());
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    for earlier in 0..TIMES {
        let answer = client.converse_stream("us-east-1", TARGETS[0], Bytes::from_static(b"{}"));
        let failure = answer.await.expect_err("an error");
        assert_eq!(failure.reason, Reason::UpstreamCredentials);
        let call = server.call().await;
        let signed = PrimitiveDateTime::parse(call.header("x-amz-date"), format);
        let signed = SystemTime::from(signed.expect("a time").assume_utc());
        let expected = SystemTime::now() + ahead * u32::from(earlier > 0);
        let difference = signed
            .duration_since(expected)
            .unwrap_or_else(|error| error.duration());
        assert!(difference < ahead / 2, "{earlier}: {difference:?}");
    }
}

/// Returns the cases of recorded traffic in a folder.
fn cases(folder: &str) -> Vec<PathBuf> {
    let root = std::env::var_os("BEDROCK_GRPC_RECORDED").expect("the variable is set");
    let cases = std::fs::read_dir(PathBuf::from(root).join(folder)).expect("recorded cases");
    let cases: Vec<_> = cases
        .map(|case| case.expect("a folder can be listed").path())
        .collect();
    assert!(!cases.is_empty());
    cases
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn recorded_requests_are_those_of_the_sdk() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Recorded {
        model_id: String,
        body: Box<RawValue>,
    }
    let calls: Vec<_> = ["stream", "json", "error"]
        .into_iter()
        .flat_map(cases)
        .map(|case| {
            let text = std::fs::read(case.join("request.json")).expect("a case is whole");
            let Recorded { model_id, body } = serde_json::from_slice(&text).expect("JSON");
            OneCall {
                body: body.get().to_owned(),
                ..OneCall::new(Operation::ConverseStream, &model_id)
            }
        })
        .collect();
    compare(SESSION, Some(""), &[], |builder| builder, "", &calls).await;
}

/// Lets both clients receive an error, and compares their results.
async fn compare_error(status: u16, error_type: Option<&str>, body: &str) {
    let mut headers = vec![("x-amzn-requestid", "req-7".to_owned())];
    headers.extend(error_type.map(|name| ("x-amzn-errortype", name.to_owned())));
    let reply = Reply {
        status,
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    let server = Server::start(Setup {
        reply: Some(reply.clone()),
        ..Setup::default()
    })
    .await;
    let client = bedrock(&server.options());
    for operation in [
        Operation::ConverseStream,
        Operation::CountTokens,
        Operation::ApplyGuardrail("1".to_owned()),
        Operation::InvokeModel(Options::default()),
        Operation::InvokeModelWithResponseStream(Options::default()),
    ] {
        let call = OneCall::new(operation, TARGETS[0]);
        let body = Bytes::from(call.body.clone());
        let plain = plain_sdk::call(
            KEY,
            |builder| builder,
            reply.clone(),
            &call.operation,
            &call.resource,
            body,
        );
        let error = plain.await.1.expect("an error");
        for _ in 0..TIMES {
            let failure = call.make(&client).await.expect_err("an error");
            let upstream = failure.upstream.expect("Bedrock's part");
            assert_eq!(Some(&upstream.exception), error.code.as_ref(), "{error:?}");
            let request_id = error.request_id.as_ref();
            assert_eq!(Some(&upstream.request_id), request_id, "{error:?}");
            assert_eq!(upstream.http_status, error.status, "{error:?}");
            // Messages about credentials quote the signed request, so the gateway removes them.
            if failure.reason != Reason::UpstreamCredentials {
                assert_eq!(Some(&upstream.message), error.message.as_ref(), "{error:?}");
            }
            assert_ne!(failure.reason, Reason::UpstreamUnknown, "{error:?}");
        }
    }
}

#[tokio::test]
async fn errors_are_classified_as_by_the_sdk() {
    for (status, name) in [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (403, "UnrecognizedClientException"),
        (404, "ResourceNotFoundException"),
        (408, "ModelTimeoutException"),
        (424, "ModelErrorException"),
        (429, "ModelNotReadyException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ] {
        let namespaced = format!("{name}:http://internal.amazon.com/coral/com.amazon.bedrock/");
        compare_error(status, Some(&namespaced), r#"{"message":"m"}"#).await;
        compare_error(status, Some(name), r#"{"message":"m"}"#).await;
        let typed = format!(r#"{{"__type":"com.amazon.bedrock#{name}","message":"m"}}"#);
        compare_error(status, None, &typed).await;
    }
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn recorded_errors_are_classified_as_by_the_sdk() {
    #[derive(Deserialize)]
    struct Meta {
        status: u16,
        error_type: Option<String>,
    }
    for case in cases("error") {
        let read = |name| std::fs::read_to_string(case.join(name)).expect("a case is whole");
        let meta: Meta = serde_json::from_str(&read("meta.json")).expect("JSON");
        let body = read("response.body");
        compare_error(meta.status, meta.error_type.as_deref(), &body).await;
    }
}
