//! The settings that aws-config's chain finds in the environment variables of a process.

use bedrock_grpc::{
    bedrock::{Bedrock, Sdk},
    config::bedrock::BedrockOptions,
};
use bytes::Bytes;

use super::server::{Reply, Server, Setup, event};

const MODEL: &str = "us.amazon.nova-lite-v1:0";

/// Variables belong to a process, so a child process reads them.
#[tokio::test]
async fn the_variables_of_every_aws_sdk_count() {
    for variable in ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"] {
        for token in [None, Some("bedrock-api-key-canary")] {
            let mut server = Server::start(Setup {
                reply: Some(Reply::stream(event("messageStop", "{}"))),
                ..Setup::default()
            })
            .await;
            let mut child = chain_in_a_child();
            child
                .env(variable, format!("http://{}", server.address))
                .env("AWS_REGION", "ap-southeast-2");
            child
                .env("AWS_ACCESS_KEY_ID", "AKIDCHAIN")
                .env("AWS_SECRET_ACCESS_KEY", "canary-secret")
                // An API key takes precedence even over this.
                .env("AWS_AUTH_SCHEME_PREFERENCE", "sigv4");
            child.envs(token.map(|token| ("AWS_BEARER_TOKEN_BEDROCK", token)));
            let output = child.output().await.expect("the test can start itself");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && text.contains("outcome: answered"),
                "{text}"
            );
            let call = server.call().await;
            let authorization = call.header("authorization");
            match token {
                None => assert!(
                    authorization.contains("Credential=AKIDCHAIN/")
                        && authorization.contains("/ap-southeast-2/")
                ),
                Some(token) => assert_eq!(authorization, format!("Bearer {token}")),
            }
        }
    }
}

#[tokio::test]
async fn missing_credentials_are_a_failure_of_the_gateway() {
    let mut child = chain_in_a_child();
    child
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nonexistent");
    let text = String::from_utf8_lossy(
        &child
            .output()
            .await
            .expect("the test can start itself")
            .stdout,
    )
    .into_owned();
    assert!(
        text.contains("outcome: UPSTREAM_CREDENTIALS: the gateway has no AWS credentials"),
        "{text}"
    );
}

fn chain_in_a_child() -> tokio::process::Command {
    child_running("chain::one_call_by_the_chain")
}

/// Returns the command that runs an ignored test in a new process, without variables.
pub(super) fn child_running(test: &str) -> tokio::process::Command {
    let mut child =
        tokio::process::Command::new(std::env::current_exe().expect("a test has a file"));
    child
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_clear();
    child
}

#[tokio::test]
#[ignore = "run by other tests, in a process with its own variables"]
async fn one_call_by_the_chain() {
    let options = BedrockOptions::default();
    let sdk = Sdk::load(&options).await.expect("no extra certificates");
    let region = sdk.default_region().expect("AWS_REGION is set").to_owned();
    let bedrock = Bedrock::new(&sdk);
    match bedrock
        .converse_stream(&region, MODEL, Bytes::from_static(b"{}"))
        .await
    {
        Ok(_) => println!("outcome: answered"),
        Err(failure) => println!("outcome: {failure}"),
    }
}
