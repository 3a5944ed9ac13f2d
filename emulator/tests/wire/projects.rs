//! Projects: the calls that may name one, and what each project can see.

use bedrock_emulator::{DEV_BEARER_TOKEN, Emulator, Options, Project};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{MODEL, http1, own, start};

const SEARCH: &str = "arn:aws:bedrock:us-east-1:123456789012:project/search";
const OLD: &str = "arn:aws:bedrock:us-east-1:123456789012:project/old";
const ELSEWHERE: &str = "arn:aws:bedrock:us-west-2:123456789012:project/west";
const FOREIGN: &str = "arn:aws:bedrock:us-east-1:111122223333:project/foreign";
const PROFILE: &str = "us.amazon.nova-lite-v1:0";
const APPLICATION: &str =
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/emulator0001";
const TITAN: &str = "amazon.titan-embed-text-v2:0";
const CLAUDE: &str = "us.anthropic.claude-sonnet-5";

/// An emulator with three projects in us-east-1 and one elsewhere. Only `search` can see Claude.
fn with_projects() -> Emulator {
    let project = |arn: &str| arn.parse::<Project>().expect("an ARN");
    let search = Project {
        trusted_access: vec![CLAUDE.to_owned(), TITAN.to_owned()],
        ..project(SEARCH)
    };
    let old = Project {
        is_archived: true,
        ..project(OLD)
    };
    start(Options {
        projects: vec![search, old, project(ELSEWHERE), project(FOREIGN)],
        ..Options::default()
    })
}

/// Sends a request. Returns the status with the error's message, or with the body of a success.
async fn send(
    emulator: &Emulator,
    method: Method,
    path: &str,
    project: Option<&str>,
    body: &Value,
) -> (u16, Value) {
    let mut request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {DEV_BEARER_TOKEN}"))
        .header("content-type", "application/json");
    if let Some(project) = project {
        request = request.header("X-Amzn-Bedrock-ProjectIdentifier", project);
    }
    let body = if method == Method::GET {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    let request = request.body(Full::new(body)).expect("a request");
    let response = http1(emulator, request).await;
    let status = response.status().as_u16();
    (status, crate::support::json(response).await)
}

async fn converse(emulator: &Emulator, model: &str, project: Value) -> (u16, String) {
    let path = format!("/model/{}/converse", model.replace('/', "%2F"));
    let body = json!({
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "projectIdentifier": project,
    });
    let (status, answer) = send(emulator, Method::POST, &path, None, &body).await;
    (status, message(&answer))
}

async fn embed(emulator: &Emulator, project: Option<&str>) -> (u16, String) {
    let path = format!("/model/{TITAN}/invoke");
    let body = json!({"inputText": "hi"});
    let (status, answer) = send(emulator, Method::POST, &path, project, &body).await;
    (status, message(&answer))
}

async fn get(emulator: &Emulator, path: &str) -> (u16, Value) {
    send(emulator, Method::GET, path, None, &Value::Null).await
}

fn message(answer: &Value) -> String {
    answer["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn converse_names_an_active_project_of_its_account_and_region() {
    let emulator = with_projects();
    for project in [
        json!("search"),
        json!(SEARCH),
        json!("default"),
        Value::Null,
    ] {
        let answered = converse(&emulator, MODEL, project.clone()).await;
        assert_eq!(answered, (200, String::new()), "{project}");
    }
    let named: Vec<_> = emulator
        .calls()
        .into_iter()
        .map(|call| call.project)
        .collect();
    let of = |name: &str| Some(name.to_owned());
    assert_eq!(named, [of("search"), of(SEARCH), of("default"), None]);
    for (project, why) in [
        (json!("unknown"), "doesn't exist"),
        (json!("west"), "doesn't exist"),
        (json!("foreign"), "doesn't exist"),
        (json!("old"), "is not active"),
        (json!(OLD), "is not active"),
        (json!(ELSEWHERE), "does not belong to your account"),
        (json!(FOREIGN), "does not belong to your account"),
        (json!("a.b"), "regular expression pattern"),
        (json!(""), "length greater than or equal to 1"),
        (json!(7), "projectIdentifier"),
    ] {
        let (status, message) = converse(&emulator, MODEL, project.clone()).await;
        assert_eq!(status, 400, "{project}");
        assert!(message.contains(why), "{project}: {message}");
    }
}

#[tokio::test]
async fn application_profiles_and_own_models_have_no_project() {
    let emulator = with_projects();
    let units = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/any";
    for model in [APPLICATION, units] {
        let (status, message) = converse(&emulator, model, json!("search")).await;
        assert_eq!(status, 400, "{model}");
        assert!(
            message.contains("must resolve to a foundation model"),
            "{message}"
        );
        for default in [json!("default"), Value::Null] {
            let answered = converse(&emulator, model, default).await;
            assert_eq!(answered, (200, String::new()), "{model}");
        }
    }
    let answered = converse(&emulator, PROFILE, json!("search")).await;
    assert_eq!(answered.0, 200, "{answered:?}");
}

#[tokio::test]
async fn invoke_model_names_the_project_in_a_header() {
    let emulator = with_projects();
    assert_eq!(embed(&emulator, Some("search")).await, (200, String::new()));
    assert_eq!(emulator.calls()[0].project.as_deref(), Some("search"));
    for (project, why) in [
        (None, "model identifier is invalid"),
        (Some("default"), "model identifier is invalid"),
        (Some("unknown"), "doesn't exist"),
        (Some("old"), "is not active"),
        (Some("a b"), "regular expression pattern"),
    ] {
        let (status, message) = embed(&emulator, project).await;
        assert_eq!(status, 400, "{project:?}");
        assert!(message.contains(why), "{project:?}: {message}");
    }
}

#[tokio::test]
async fn what_one_project_can_see_is_hidden_from_others() {
    let emulator = with_projects();
    let ids = async |query: &str| {
        let (status, list) = get(&emulator, &format!("/inference-profiles?{query}")).await;
        assert_eq!(status, 200, "{list}");
        let list = list["inferenceProfileSummaries"].as_array().cloned();
        let id = |profile: Value| profile["inferenceProfileId"].as_str().map(str::to_owned);
        list.into_iter()
            .flatten()
            .filter_map(id)
            .collect::<Vec<_>>()
    };
    let (of_search, of_account) = (ids("projectIdentifier=search").await, ids("").await);
    assert!(of_search.iter().any(|id| id == CLAUDE));
    assert!(!of_account.iter().any(|id| id == CLAUDE));
    assert!(of_account.iter().any(|id| id == "emulator0001"));
    assert!(!of_search.iter().any(|id| id == "emulator0001"));
    assert_eq!(ids("projectIdentifier=default").await, of_account);

    for (path, status) in [
        (format!("/inference-profiles/{CLAUDE}"), 404),
        (
            format!("/inference-profiles/{CLAUDE}?projectIdentifier=search"),
            200,
        ),
        (
            format!("/inference-profiles/{CLAUDE}?projectIdentifier=unknown"),
            400,
        ),
        (
            "/inference-profiles/emulator0001?projectIdentifier=search".to_owned(),
            400,
        ),
        (
            "/inference-profiles?type=APPLICATION&projectIdentifier=search".to_owned(),
            400,
        ),
        (format!("/foundation-models/{TITAN}"), 404),
        (
            format!("/foundation-models/{TITAN}?projectIdentifier=search"),
            200,
        ),
        ("/foundation-models?projectIdentifier=old".to_owned(), 400),
    ] {
        let (answered, body) = get(&emulator, &path).await;
        assert_eq!(answered, status, "{path}: {body}");
    }
    for (project, status) in [(json!("search"), 200), (Value::Null, 400)] {
        let (answered, message) = converse(&emulator, CLAUDE, project).await;
        assert_eq!(answered, status, "{message}");
    }
}

#[tokio::test]
async fn projects_are_declared_over_http() {
    let emulator = start(Options::default());
    assert_eq!(converse(&emulator, MODEL, json!("search")).await.0, 400);
    let path = format!("projects/{SEARCH}");
    let body = json!({"trustedAccess": [CLAUDE]}).to_string();
    let (status, list) = own(&emulator, "PUT", &path, &body).await;
    let expected = json!({"projects": [
        {"arn": SEARCH, "archived": false, "trustedAccess": [CLAUDE]},
    ]});
    assert_eq!((status, &list), (200, &expected));
    assert_eq!(converse(&emulator, CLAUDE, json!("search")).await.0, 200);
    own(&emulator, "PUT", &path, r#"{"archived": true}"#).await;
    assert_eq!(converse(&emulator, MODEL, json!("search")).await.0, 400);
    own(&emulator, "PUT", &path, "").await;
    assert_eq!(converse(&emulator, MODEL, json!("search")).await.0, 200);
    let (_, list) = own(&emulator, "DELETE", &path, "").await;
    assert_eq!(list, json!({"projects": []}));
    let (status, refused) = own(&emulator, "PUT", "projects/search", "").await;
    assert_eq!(status, 400);
    assert!(message(&refused).contains("arn:aws:bedrock:REGION:ACCOUNT:project/ID"));
    assert_eq!(own(&emulator, "POST", "projects", "").await.0, 405);
}
