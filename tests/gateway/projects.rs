//! Projects of Bedrock: those of the operator, and those that requests may name.

use std::collections::BTreeSet;

use bedrock_emulator::{Call, Project};
use bedrock_grpc::{
    access::key::Secret,
    config::Config,
    pb::{
        InvokeModelRequest, ListTargetsRequest, RawMember, StreamInvokeModelRequest,
        StreamInvokeRequest,
    },
};
use tonic::{Code, Status};

use crate::{
    harness::{Answer, Details, Gateway, ask, keyed, route, soon, two_teams},
    models::header,
    routes::until,
};

const ACCOUNT: &str = "123456789012";
const SEARCH: &str = "arn:aws:bedrock:us-east-1:123456789012:project/search";
const WEST: &str = "arn:aws:bedrock:us-west-2:123456789012:project/west";
const APPLICATION: &str =
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/emulator0001";
const HEADER: &str = "x-amzn-bedrock-projectidentifier";
const TITAN: &str = "amazon.titan-embed-text-v2:0";
const TARGETS: &str = "
allowed_model_ids: ['*']
targets:
  plain: {model_id: 'amazon.nova-lite-v1:0'}
  search: {model_id: 'us.amazon.nova-lite-v1:0', project: search}
  embed: {model_id: 'amazon.titan-embed-text-v2:0', invoke_model: true, project: search}
  any: {model_id: 'amazon.titan-embed-text-v2:0', invoke_model: true}
";
const METHODS: &str =
    "methods: [Invoke, StreamInvoke, CountTokens, InvokeModel, StreamInvokeModel]";

/// A gateway with these targets and settings of `team-a`. The emulator has the projects `search`,
/// `team-a` and `team-b` in us-east-1, and `west` in us-west-2.
async fn gateway(targets: &str, team_a: &str) -> (Gateway, Secret, Secret) {
    let (gateway, a, b) = two_teams(targets, &format!("{{{METHODS}, {team_a}}}")).await;
    declare(&gateway);
    (gateway, a, b)
}

fn declare(gateway: &Gateway) {
    for (region, id) in [
        ("us-east-1", "search"),
        ("us-east-1", "team-a"),
        ("us-east-1", "team-b"),
        ("us-west-2", "west"),
    ] {
        let arn = format!("arn:aws:bedrock:{region}:{ACCOUNT}:project/{id}");
        gateway
            .emulator
            .set_project(arn.parse::<Project>().unwrap());
    }
}

fn named(target: &str, project: &str) -> StreamInvokeRequest {
    let mut request = ask(target);
    let input = request.input.get_or_insert_default();
    input.project_identifier = Some(project.to_owned());
    request
}

fn embed(target: &str, project: Option<&str>) -> InvokeModelRequest {
    InvokeModelRequest {
        target: target.to_owned(),
        body: r#"{"inputText":"hi"}"#.into(),
        project_identifier: project.map(str::to_owned),
        ..InvokeModelRequest::default()
    }
}

/// Makes a call, which must succeed, and returns it as it reached Bedrock.
async fn sent(gateway: &Gateway, request: StreamInvokeRequest, key: &Secret) -> Call {
    let before = gateway.emulator.calls().len();
    gateway.stream(keyed(request, key)).await.is_whole();
    gateway.ended(before + 1).await.pop().unwrap()
}

async fn embedded(
    gateway: &Gateway,
    request: InvokeModelRequest,
    key: &Secret,
) -> Result<Call, Status> {
    let before = gateway.emulator.calls().len();
    soon(gateway.models().invoke_model(keyed(request, key))).await?;
    Ok(gateway.ended(before + 1).await.pop().unwrap())
}

/// Asserts that a call is refused because of this field, with these words, and that Bedrock is not
/// called.
async fn refused(
    gateway: &Gateway,
    request: StreamInvokeRequest,
    key: &Secret,
    (field, words): (&str, &str),
) {
    let before = gateway.emulator.calls().len();
    let answer = gateway.stream(keyed(request, key)).await;
    assert_eq!(answer.code(), Code::InvalidArgument, "{answer:?}");
    assert_eq!(answer.details().fields(), [field]);
    let shown = format!("{answer:?}");
    assert!(shown.contains(words), "{words}: {shown}");
    assert_eq!(gateway.emulator.calls().len(), before);
}

#[track_caller]
fn assert_no_target(answer: &Answer, words: &str) {
    assert_eq!(
        answer.details().reason(),
        "TARGET_NOT_ALLOWED",
        "{answer:?}"
    );
    let shown = format!("{answer:?}");
    assert!(shown.contains(words), "{words}: {shown}");
}

#[tokio::test]
async fn the_most_specific_project_of_the_operator_is_sent() {
    let groups = "groups: {g: {project: team-b}, h: {}}";
    let all = format!("{TARGETS}\n{groups}");
    for (team_a, target, expected) in [
        ("limits: {}", "plain", None),
        ("limits: {}", "search", Some("search")),
        ("project: team-a", "plain", Some("team-a")),
        ("project: team-a", "search", Some("team-a")),
        (
            "project: team-a",
            "us.amazon.nova-lite-v1:0",
            Some("team-a"),
        ),
        ("groups: [g]", "search", Some("team-b")),
        ("groups: [g], project: team-a", "search", Some("team-a")),
        ("project: default", "search", None),
    ] {
        let (gateway, a, _) = gateway(&all, team_a).await;
        let call = sent(&gateway, ask(target), &a).await;
        assert_eq!(call.project.as_deref(), expected, "{team_a} {target}");
    }
    let (gateway, _, b) = gateway(&format!("project: search\n{TARGETS}"), "project: team-a").await;
    let call = sent(&gateway, ask("plain"), &b).await;
    assert_eq!(call.project.as_deref(), Some("search"));
}

#[tokio::test]
async fn invoke_model_sends_the_project_in_a_signed_header() {
    let (gateway, a, _) = gateway(TARGETS, "projects: [team-*]").await;
    for (request, expected) in [
        (embed("embed", None), Some("search")),
        (embed("embed", Some("search")), Some("search")),
        (embed("embed", Some("team-a")), Some("team-a")),
        (embed("any", None), None),
        (embed("any", Some("default")), None),
        (embed("any", Some("team-b")), Some("team-b")),
    ] {
        let call = embedded(&gateway, request, &a).await.unwrap();
        assert_eq!(header(&call, HEADER), expected);
        assert_eq!(call.project.as_deref(), expected);
        assert_eq!(call.model_id, TITAN);
    }
    let request = StreamInvokeModelRequest {
        target: "embed".to_owned(),
        body: r#"{"inputText":"hi"}"#.into(),
        ..StreamInvokeModelRequest::default()
    };
    // The emulator's embeddings are not streamed, but the request reaches it.
    let streamed = soon(gateway.models().stream_invoke_model(keyed(request, &a))).await;
    assert!(streamed.is_err());
    let call = gateway.emulator.calls().pop().unwrap();
    assert_eq!(
        (call.operation, header(&call, HEADER)),
        ("InvokeModelWithResponseStream", Some("search"))
    );
}

#[tokio::test]
async fn a_caller_names_only_the_projects_that_it_may_use() {
    let listed = format!("projects: ['team-*', search]\n{TARGETS}");
    let (gateway, a, b) = gateway(
        &listed,
        "projects: [team-a, 'arn:aws:bedrock:us-west-2:*:project/*']",
    )
    .await;
    // `team-b` has only the list for all calls.
    for (key, target, project) in [
        (&a, "plain", "team-a"),
        (&a, "search", "team-a"),
        (&a, "search", "search"),
        (&b, "plain", "team-b"),
        (&b, "plain", "search"),
    ] {
        let call = sent(&gateway, named(target, project), key).await;
        assert_eq!(call.project.as_deref(), Some(project));
    }
    let call = sent(&gateway, named("plain", "default"), &a).await;
    assert_eq!(call.project, None);
    let field = "input.project_identifier";
    for (key, target, project) in [
        (&a, "plain", "team-b"),
        (&a, "plain", "search"),
        (&a, "plain", SEARCH),
        (&a, "search", "default"),
        (&b, "search", "other"),
    ] {
        let words = "ask the operator to add the project to `projects`";
        refused(&gateway, named(target, project), key, (field, words)).await;
    }
    for project in [
        "",
        "a b",
        "a.b",
        "arn:aws:bedrock:us-east-1:1:project/a",
        "a\"b",
    ] {
        refused(
            &gateway,
            named("plain", project),
            &a,
            (field, "is not a project"),
        )
        .await;
    }
    let failed = embedded(&gateway, embed("any", Some("team-b")), &a).await;
    let failed = failed.expect_err("a refusal");
    assert_eq!(Details::of(&failed).fields(), ["project_identifier"]);
}

#[tokio::test]
async fn no_other_spelling_undoes_the_project() {
    let (gateway, a, _) = gateway(TARGETS, "project: team-a, projects: [search]").await;
    let with = |pointer: &str, json: &str| {
        let mut request = ask("plain");
        request.input.get_or_insert_default().raw_members = vec![RawMember {
            pointer: pointer.to_owned(),
            json: json.to_owned(),
        }];
        request
    };
    for (pointer, json, field) in [
        ("/projectIdentifier", "\"search\"", "pointer"),
        ("/project_identifier", "\"search\"", "pointer"),
        ("/ProjectIdentifier", "null", "pointer"),
        ("/projectIdentifier/x", "1", "pointer"),
        (
            "/additionalModelRequestFields",
            "{\"projectIdentifier\":\"default\"}",
            "json",
        ),
        (
            "/additionalModelRequestFields/project_identifier",
            "\"default\"",
            "json",
        ),
    ] {
        let field = format!("input.raw_members[0].{field}");
        let expected = (field.as_str(), "set project_identifier instead");
        refused(&gateway, with(pointer, json), &a, expected).await;
    }
    let body = r#"{"inputText":"hi","projectIdentifier":"default"}"#;
    let request = InvokeModelRequest {
        body: body.into(),
        ..embed("any", None)
    };
    let failed = embedded(&gateway, request, &a)
        .await
        .expect_err("a refusal");
    assert_eq!(Details::of(&failed).fields(), ["body"]);
    assert_eq!(gateway.emulator.calls().len(), 0);
    // A permitted member of another name is sent, together with the project.
    let call = sent(&gateway, with("/projectIdentifiers", "1"), &a).await;
    let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(
        (&body["projectIdentifiers"], &body["projectIdentifier"]),
        (&1.into(), &"team-a".into())
    );
    let mut metadata = keyed(embed("any", None), &a);
    metadata
        .metadata_mut()
        .insert(HEADER, "search".parse().unwrap());
    soon(gateway.models().invoke_model(metadata)).await.unwrap();
    let call = gateway.ended(2).await.pop().unwrap();
    assert_eq!(header(&call, HEADER), Some("team-a"));
}

#[tokio::test]
async fn what_cannot_be_called_with_a_project_is_refused() {
    let (gateway, a, b) =
        gateway(TARGETS, "project: team-a, projects: ['*', 'arn:*:*:*:*:*']").await;
    let answer = gateway.stream(keyed(ask(APPLICATION), &a)).await;
    assert_no_target(
        &answer,
        "an application inference profile cannot be called with the project `team-a`",
    );
    let field = "input.project_identifier";
    refused(
        &gateway,
        named(APPLICATION, "search"),
        &a,
        (field, "an application inference profile cannot be called"),
    )
    .await;
    refused(
        &gateway,
        named("plain", WEST),
        &a,
        (field, "is in us-west-2, not in us-east-1"),
    )
    .await;
    for (key, project) in [(&a, Some("default")), (&b, None)] {
        let request = match project {
            Some(project) => named(APPLICATION, project),
            None => ask(APPLICATION),
        };
        assert_eq!(sent(&gateway, request, key).await.project, None);
    }
    // Bedrock refuses a project that does not exist.
    let answer = gateway.stream(keyed(named("plain", "unknown"), &a)).await;
    assert_eq!(
        answer.details().reason(),
        "UPSTREAM_VALIDATION",
        "{answer:?}"
    );
    assert!(format!("{answer:?}").contains("Project unknown doesn't exist."));
}

#[tokio::test]
async fn a_request_that_names_the_project_of_a_region_stays_in_it() {
    let (gateway, key, _) = gateway(
        "targets: {t: {routes: [{model_id: 'amazon.nova-lite-v1:0', regions: [us-east-1, us-west-2]}],
          project: {us-east-1: search, us-west-2: west}}}",
        "limits: {}",
    )
    .await;
    for (project, region) in [("west", "us-west-2"), ("search", "us-east-1")] {
        let call = sent(&gateway, named("t", project), &key).await;
        assert_eq!(
            (call.region.as_str(), call.project.as_deref()),
            (region, Some(project))
        );
        let down = bedrock_emulator::Condition::Fault("throttling".parse().unwrap());
        gateway.emulator.set_region(region, down);
        let before = gateway.emulator.calls().len();
        let answer = gateway.stream(keyed(named("t", project), &key)).await;
        assert_eq!(answer.code(), Code::ResourceExhausted, "{answer:?}");
        let calls = gateway.emulator.calls().split_off(before);
        assert!(calls.iter().all(|call| call.region == region), "{calls:?}");
        gateway.emulator.clear_region(region);
    }
    for project in ["default", "team-a", WEST] {
        refused(
            &gateway,
            named("t", project),
            &key,
            ("input.project_identifier", "project"),
        )
        .await;
    }
}

#[tokio::test]
async fn each_region_has_its_own_project() {
    let text = "targets: {t: {model_id: 'amazon.nova-lite-v1:0', project: {us-east-1: search, us-west-2: west}}}";
    let config = Config::parse(text, &|_| None).unwrap();
    let policy = config.targets.aliases["t"].policy.clone();
    let gateway = Gateway::with(|config, _| {
        let mut alias = crate::harness::over(vec![
            route("amazon.nova-lite-v1:0", "us-east-1", 1),
            route("amazon.nova-lite-v1:0", "us-west-2", 2),
        ]);
        alias.policy = policy;
        config.targets.aliases.insert("t".to_owned(), alias);
    })
    .await;
    declare(&gateway);
    // A large body is hashed in advance, and the project is added to it for each attempt.
    let mut large = ask("t");
    let input = large.input.get_or_insert_default();
    input.messages = crate::harness::question(&"x ".repeat(100_000)).messages;
    for request in [ask("t"), large] {
        gateway.stream(request.clone()).await.is_whole();
        let down = bedrock_emulator::Condition::Fault("throttling".parse().unwrap());
        gateway.emulator.set_region("us-east-1", down);
        gateway.stream(request).await.is_whole();
        gateway.emulator.clear_region("us-east-1");
    }
    let calls = gateway.emulator.calls();
    let answered = calls.iter().filter(|call| call.status == Some(200));
    let answered: Vec<_> = answered
        .map(|call| (call.region.as_str(), call.project.as_deref().unwrap_or("")))
        .collect();
    let (east, west) = (("us-east-1", "search"), ("us-west-2", "west"));
    assert_eq!(answered[..2], [east, west]);
    assert!(
        answered.contains(&west) && answered.len() == 4,
        "{answered:?}"
    );
    for call in calls {
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        let expected = if call.region == "us-east-1" {
            "search"
        } else {
            "west"
        };
        assert_eq!(body["projectIdentifier"], expected);
    }
}

#[tokio::test]
async fn profiles_are_looked_up_with_each_project() {
    const TRUSTED: &str = "us.anthropic.claude-sonnet-5";
    let text = format!(
        "targets: {{t: {{model_id: {TRUSTED}, project: {{us-east-1: search, us-west-2: west}}}}, u: {{model_id: {TRUSTED}, project: default}}}}"
    );
    let read = Config::parse(&text, &|_| None).unwrap();
    let gateway = Gateway::with(|config, options| {
        config.discovery.enabled = true;
        config.targets.aliases.extend(read.targets.aliases);
        config.targets.allowed_model_ids = vec!["*".to_owned()];
        options.projects = vec![Project {
            trusted_access: vec![TRUSTED.to_owned()],
            ..SEARCH.parse().unwrap()
        }];
    })
    .await;
    let routes = until(&gateway, "t", |routes| !routes[0].status.is_empty()).await;
    assert_eq!(routes[0].model, "anthropic.claude-sonnet-5");
    let calls = gateway.emulator.calls();
    let lists = calls
        .iter()
        .filter(|call| call.operation == "ListInferenceProfiles");
    let projects: BTreeSet<_> = lists.map(|call| call.project.clone()).collect();
    let expected = BTreeSet::from([None, Some("search".to_owned())]);
    assert_eq!(projects, expected);
    // Models are listed after profiles.
    let listed = |calls: &[Call]| -> BTreeSet<_> {
        let lists = calls
            .iter()
            .filter(|call| call.operation == "ListFoundationModels");
        lists.map(|call| call.project.clone()).collect()
    };
    let waited = gateway.emulator.wait_for(|calls| listed(calls) == expected);
    soon(waited).await;
    gateway.stream(ask("t")).await.is_whole();
    // Callers of other projects cannot use the profile, so it is not listed.
    let request = ListTargetsRequest {
        include_inference_profiles: true,
        ..ListTargetsRequest::default()
    };
    let list = soon(gateway.targets().list_targets(request)).await.unwrap();
    let list = list.into_inner();
    let names: Vec<_> = list
        .targets
        .iter()
        .map(|target| target.name.as_str())
        .collect();
    assert!(names.contains(&"us.amazon.nova-lite-v1:0"), "{names:?}");
    assert!(!names.contains(&TRUSTED), "{names:?}");
    assert_eq!(gateway.stream(ask("u")).await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn tokens_are_counted_without_the_project() {
    use bedrock_grpc::pb::CountTokensRequest;
    let (gateway, a, _) = gateway(TARGETS, "projects: [team-a]").await;
    let count = |project: &str| {
        let asked = named("anthropic.claude-sonnet-4-20250514-v1:0", project);
        CountTokensRequest {
            target: asked.target,
            input: asked.input,
        }
    };
    let mut client = gateway.inference();
    soon(client.count_tokens(keyed(count("team-a"), &a)))
        .await
        .unwrap();
    let call = gateway.emulator.calls().pop().unwrap();
    assert!(!String::from_utf8_lossy(&call.body).contains("project"));
    let failed = soon(client.count_tokens(keyed(count("team-b"), &a))).await;
    let failed = failed.expect_err("a refusal");
    assert_eq!(Details::of(&failed).fields(), ["input.project_identifier"]);
}
