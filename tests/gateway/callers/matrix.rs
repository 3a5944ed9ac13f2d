//! Every kind of identity calls every method of the API with every kind of target. The methods are
//! those of the protos, so a new method fails here until its permission is decided.

use std::collections::BTreeSet;

use bedrock_grpc::{
    access::key::Secret,
    config::{Config, METHODS},
    pb::{
        ApplyGuardrailRequest, CountTokensRequest, FILE_DESCRIPTOR_SET, GetLimitsRequest,
        GetLimitsResponse, GetTargetRequest, GuardrailContentSource, GuardrailConverseContentBlock,
        GuardrailConverseTextBlock, InvokeModelRequest, ListTargetsRequest, ListTargetsResponse,
        guardrail_converse_content_block::Content,
    },
};
use bytes::Bytes;
use http::Request;
use jsonwebtoken::Algorithm;
use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::harness::{
    Details, Frame, Gateway, RawCall, TokenKey, ask, but, claims, file, invoke, key_of, key_set,
    message, question, sha256_of, status,
};

/// A target that allows InvokeModel.
const NATIVE: &str = "native";
/// A target that does not allow InvokeModel.
const PLAIN: &str = "plain";
/// A model ID that the gateway allows, and one that it does not.
const MODEL_ID: &str = "amazon.nova-lite-v1:0";
const OTHER_MODEL_ID: &str = "amazon.nova-pro-v1:0";
const UNKNOWN: &str = "unknown";
const TARGETS: [&str; 5] = [NATIVE, PLAIN, MODEL_ID, OTHER_MODEL_ID, UNKNOWN];

/// What a kind of identity may use.
struct Kind {
    name: &'static str,
    /// `None` if the gateway refuses every call.
    may: Option<May>,
    credential: Option<String>,
}

#[derive(Clone, Copy)]
struct May {
    methods: &'static [&'static str],
    /// Whether only the target `plain` can be used.
    only_plain: bool,
}

const ALL: [&str; 8] = [
    "Invoke",
    "StreamInvoke",
    "CountTokens",
    "ApplyGuardrail",
    "ListTargets",
    "GetTarget",
    "InvokeModel",
    "StreamInvokeModel",
];
/// Without InvokeModel and StreamInvokeModel.
const DEFAULT: &[&str] = ALL.split_at(6).0;

const fn may(methods: &'static [&'static str]) -> May {
    May {
        methods,
        only_plain: false,
    }
}

/// A gateway, and the identities that call it.
struct Setup {
    gateway: Gateway,
    kinds: Vec<Kind>,
    _keys: NamedTempFile,
}

/// A gateway with callers of every kind.
async fn with_callers(required: bool) -> Setup {
    let token_key = TokenKey::new("key-1", Algorithm::ES256);
    let keys = file(&key_set(&[&token_key]).to_string());
    let secrets: [Secret; 3] = std::array::from_fn(|_| key_of());
    let [plain, all, narrow] = secrets.each_ref().map(sha256_of);
    let text = format!(
        "
targets:
  native: {{model_id: '{MODEL_ID}', invoke_model: true}}
  plain: {{model_id: '{MODEL_ID}'}}
allowed_model_ids: ['{MODEL_ID}']
access:
  required: {required}
  failures_per_minute: 1000
  jwt:
    - {{issuer: 'https://login.example.com', audiences: [bedrock-grpc], jwks_file: '{}',
       groups_claim: groups, unlisted: {{}}}}
groups:
  readers: {{methods: [ListTargets, GetTarget], targets: [plain]}}
callers:
  default: {{keys: [{{sha256: '{plain}'}}]}}
  all: {{keys: [{{sha256: '{all}'}}], methods: [{}]}}
  narrow: {{keys: [{{sha256: '{narrow}'}}], methods: [Invoke, InvokeModel], targets: [plain]}}
  by-token: {{}}
",
        keys.path().display(),
        ALL.join(", ")
    );
    let read = Config::parse(&text, &|_| None).unwrap();
    let gateway = Gateway::with(|config, _| {
        config.targets = read.targets;
        config.access = read.access;
    })
    .await;
    let [plain, all, narrow] = secrets.each_ref().map(|key| Some(key.reveal().to_owned()));
    let listed = token_key.sign(&claims("by-token"));
    let member = but(claims("someone"), "groups", json!(["readers"]));
    let kind = |name, methods, credential| Kind {
        name,
        may: Some(may(methods)),
        credential,
    };
    let only_plain = |name, methods, credential| Kind {
        name,
        may: Some(May {
            methods,
            only_plain: true,
        }),
        credential,
    };
    let kinds = vec![
        Kind {
            name: "anonymous",
            may: (!required).then_some(may(DEFAULT)),
            credential: None,
        },
        kind("default", DEFAULT, plain),
        kind("all", &ALL, all),
        kind("by-token", DEFAULT, Some(listed)),
        only_plain("narrow", &["Invoke", "InvokeModel"], narrow),
        only_plain(
            "member of a group",
            &["ListTargets", "GetTarget"],
            Some(token_key.sign(&member)),
        ),
        Kind {
            name: "unknown key",
            may: None,
            credential: Some(key_of().reveal().to_owned()),
        },
    ];
    Setup {
        gateway,
        kinds,
        _keys: keys,
    }
}

/// The path, and the names of all methods of the API.
fn methods() -> Vec<(String, String)> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let files = set.file.into_iter();
    let ours = files.filter(|file| file.package() == "bedrock.inference.v1");
    ours.flat_map(|file| file.service)
        .flat_map(|service| {
            let path = format!("/bedrock.inference.v1.{}/", service.name());
            let of_service = service.method.into_iter();
            of_service.map(move |method| (format!("{path}{}", method.name()), method.name().into()))
        })
        .collect()
}

/// A valid request of a method.
fn request(method: &str, target: &str) -> Vec<u8> {
    let target = target.to_owned();
    match method {
        "Invoke" => invoke(ask(&target)).encode_to_vec(),
        "StreamInvoke" => ask(&target).encode_to_vec(),
        "CountTokens" => CountTokensRequest {
            target,
            input: Some(question("Hello")),
        }
        .encode_to_vec(),
        "ApplyGuardrail" => {
            let text = GuardrailConverseTextBlock {
                text: "Hello".to_owned(),
                qualifiers: Vec::new(),
            };
            ApplyGuardrailRequest {
                target,
                guardrail_identifier: Some("mine1".to_owned()),
                guardrail_version: Some("3".to_owned()),
                source: GuardrailContentSource::Output.into(),
                content: vec![GuardrailConverseContentBlock {
                    content: Some(Content::Text(text)),
                }],
                ..ApplyGuardrailRequest::default()
            }
            .encode_to_vec()
        }
        "InvokeModel" | "StreamInvokeModel" => InvokeModelRequest {
            target,
            body: Bytes::from_static(b"{}").to_vec().into(),
            ..InvokeModelRequest::default()
        }
        .encode_to_vec(),
        "ListTargets" => ListTargetsRequest::default().encode_to_vec(),
        "GetTarget" => GetTargetRequest { target }.encode_to_vec(),
        "GetLimits" => GetLimitsRequest::default().encode_to_vec(),
        new => panic!("{new} is new: add it to `METHODS` if permissions apply to it, and here"),
    }
}

/// The reason of a refusal by the gateway. Calls that were allowed have none, however Bedrock
/// answered them. Also returns the bytes of the answer.
async fn refusal(
    gateway: &Gateway,
    kind: &Kind,
    path: &str,
    request: &[u8],
) -> (Option<String>, Vec<u8>) {
    let mut call = Request::post(format!("http://{}{path}", gateway.address));
    if let Some(credential) = &kind.credential {
        call = call.header("authorization", format!("Bearer {credential}"));
    }
    let frames = RawCall::send(gateway, call, &message(0, request)).await;
    let mut data = Vec::new();
    let mut ended = None;
    for frame in frames.frames().await {
        match frame {
            Frame::Data(bytes) => data.extend_from_slice(&bytes),
            Frame::Headers { headers, end: true } | Frame::Trailers(headers) => {
                ended = Some(status(&headers));
            }
            Frame::Headers { .. } => {}
            Frame::Reset(error) => panic!("{}: {path}: {error}", kind.name),
        }
    }
    let ended = ended.expect("a status");
    if ended.code() == tonic::Code::Ok {
        return (None, data.split_off(5));
    }
    let reason = Details::of(&ended).reason();
    assert_ne!(reason, "INVALID_REQUEST", "{path}: {ended:?}");
    assert_ne!(ended.code(), tonic::Code::Unimplemented, "{path}");
    (
        // Other reasons are about what Bedrock, the model or the body allows.
        Some(reason).filter(|it| it.starts_with("CALLER_") || it.starts_with("TARGET_")),
        data,
    )
}

/// What the documentation says about a call.
fn expected(kind: &Kind, method: &str, target: &str) -> Option<&'static str> {
    let Some(may) = kind.may else {
        return Some("CALLER_UNAUTHENTICATED");
    };
    if method == "GetLimits" {
        return None;
    }
    if !may.methods.contains(&method) {
        return Some("CALLER_NOT_ALLOWED");
    }
    match (method, target) {
        ("ListTargets", _) => None,
        (_, target) if may.only_plain && target != PLAIN => Some("CALLER_NOT_ALLOWED"),
        (_, UNKNOWN) => Some("TARGET_UNKNOWN"),
        (_, OTHER_MODEL_ID) => Some("TARGET_NOT_ALLOWED"),
        ("InvokeModel" | "StreamInvokeModel", PLAIN | MODEL_ID) => Some("TARGET_NOT_ALLOWED"),
        _ => None,
    }
}

/// Makes all calls of an identity, and compares what GetLimits says with what it may do.
async fn check(gateway: &Gateway, kind: &Kind) {
    let mut usable = BTreeSet::new();
    for (path, method) in methods() {
        for target in TARGETS {
            let (reason, _) = refusal(gateway, kind, &path, &request(&method, target)).await;
            let expected = expected(kind, &method, target);
            assert_eq!(
                reason.as_deref(),
                expected,
                "{}: {method} {target}",
                kind.name
            );
            if reason.is_none_or(|reason| !reason.starts_with("CALLER_")) {
                usable.insert(method.clone());
            }
        }
    }
    let Some(may) = kind.may else {
        return;
    };
    let path = "/bedrock.inference.v1.LimitsService/GetLimits";
    let (_, answer) = refusal(gateway, kind, path, &request("GetLimits", "")).await;
    let limits = GetLimitsResponse::decode(&*answer).unwrap();
    usable.remove("GetLimits");
    let told: BTreeSet<_> = limits.methods.iter().cloned().collect();
    assert_eq!(told, usable, "{}", kind.name);
    let (targets, model_ids): (&[&str], &[&str]) = if may.only_plain {
        (&[PLAIN], &[])
    } else {
        (&[NATIVE, PLAIN], &[MODEL_ID])
    };
    assert_eq!(limits.targets, targets, "{}", kind.name);
    assert_eq!(limits.allowed_model_ids, model_ids, "{}", kind.name);
    if !may.methods.contains(&"ListTargets") {
        return;
    }
    let path = "/bedrock.inference.v1.TargetService/ListTargets";
    let (_, answer) = refusal(gateway, kind, path, &request("ListTargets", "")).await;
    let list = ListTargetsResponse::decode(&*answer).unwrap();
    let names: Vec<_> = list.targets.iter().map(|target| &*target.name).collect();
    assert_eq!(names, targets, "{}", kind.name);
    assert_eq!(list.allowed_model_ids, model_ids, "{}", kind.name);
}

#[test]
fn every_method_has_a_permission() {
    let known: BTreeSet<_> = METHODS.into_iter().chain(["GetLimits"]).collect();
    let all = methods();
    let of_api: BTreeSet<_> = all.iter().map(|(_, method)| method.as_str()).collect();
    assert_eq!(of_api, known);
    // No two services have a method of the same name, because a permission names only the method.
    assert_eq!(of_api.len(), all.len());
    assert_eq!(ALL, METHODS);
}

#[tokio::test]
async fn each_identity_may_use_what_its_permission_names() {
    for required in [true, false] {
        let setup = with_callers(required).await;
        for kind in &setup.kinds {
            check(&setup.gateway, kind).await;
        }
    }
}

#[tokio::test]
async fn a_refused_call_does_not_reach_bedrock() {
    let setup = with_callers(false).await;
    for kind in &setup.kinds {
        for (path, method) in methods() {
            for target in TARGETS {
                if expected(kind, &method, target).is_some() {
                    refusal(&setup.gateway, kind, &path, &request(&method, target)).await;
                }
            }
        }
    }
    assert_eq!(setup.gateway.emulator.calls(), []);
}

#[tokio::test]
async fn without_callers_the_target_alone_decides() {
    let setup = with_callers(false).await;
    let targets = "
targets:
  native: {model_id: 'amazon.nova-lite-v1:0', invoke_model: true}
  plain: {model_id: 'amazon.nova-lite-v1:0'}
allowed_model_ids: ['amazon.nova-lite-v1:0']
";
    let read = Config::parse(targets, &|_| None).unwrap();
    let open = Gateway::with(|config, _| config.targets = read.targets).await;
    let anyone = Kind {
        name: "anyone",
        may: Some(may(&ALL)),
        credential: None,
    };
    check(&open, &anyone).await;
    // The credential of another gateway changes nothing.
    let credential = setup.kinds[1].credential.clone();
    check(
        &open,
        &Kind {
            credential,
            ..anyone
        },
    )
    .await;
}
