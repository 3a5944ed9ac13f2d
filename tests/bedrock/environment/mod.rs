//! The environment of an AWS SDK: proxies, certificates, profiles and sources of credentials. All
//! threads of a process share its variables, so each test makes its calls in a child process.

mod credentials;
mod network;
mod tokens;

use std::{path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{
    chain::child_running,
    server::{SOON, event},
    upstream::answer,
};

type Variables<'a> = &'a [(&'a str, &'a str)];

/// The variable with a configuration whose first account is called.
const ACCOUNTS: &str = "TEST_ACCOUNTS";
const STREAM: &str = "content-type: application/vnd.amazon.eventstream\r\n";
const RUNTIME: &str = "bedrock-runtime.us-east-1.amazonaws.com";

/// A child process that makes a call for each line of its standard input.
struct Caller {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    home: tempfile::TempDir,
}

impl Caller {
    fn start(home: tempfile::TempDir, variables: &[(&str, &str)]) -> Self {
        let mut command = caller(&home, variables);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the test can start itself");
        Self {
            stdin: child.stdin.take().expect("a pipe"),
            stdout: BufReader::new(child.stdout.take().expect("a pipe")).lines(),
            _child: child,
            home,
        }
    }

    /// Makes a call, and returns its result.
    async fn call(&mut self) -> String {
        self.stdin.write_all(b"\n").await.expect("the child runs");
        loop {
            let line = timeout(SOON, self.stdout.next_line()).await;
            let line = line.expect("an outcome in time").expect("a pipe");
            let line = line.expect("the child runs");
            if let Some((_, outcome)) = line.split_once("outcome: ") {
                return outcome.to_owned();
            }
        }
    }
}

fn caller(home: &tempfile::TempDir, variables: &[(&str, &str)]) -> Command {
    let mut command = child_running("environment::calls_by_the_environment");
    command
        .env("HOME", home.path())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_MAX_ATTEMPTS", "1")
        .envs(variables.iter().copied());
    command
}

#[tokio::test]
#[ignore = "run by other tests, in a process with its own variables"]
async fn calls_by_the_environment() {
    use bedrock_grpc::{
        bedrock::{Bedrock, Sdk},
        config::Config,
    };
    let options = Config::without_file().expect("variables").bedrock;
    let sdk = match Sdk::load(&options).await {
        Ok(sdk) => sdk,
        Err(error) => return println!("outcome: {error}"),
    };
    let accounts = std::env::var(ACCOUNTS).unwrap_or_default();
    let accounts = Config::parse(&accounts, &|_| None).expect("accounts");
    let sdk = sdk.configured(&options, &accounts.accounts);
    let mut bedrock = Bedrock::new(&sdk);
    if let Some(name) = accounts.accounts.keys().next() {
        bedrock = bedrock.in_account(&name.as_str().into(), None);
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(_)) = lines.next_line().await {
        let body = bytes::Bytes::from_static(b"{}");
        match bedrock
            .open("us-east-1", "amazon.nova-lite-v1:0", body)
            .await
        {
            Ok(_) => println!("outcome: answered"),
            Err(failure) => println!(
                "outcome: {failure}; retry_after {:?}; detail: {}",
                failure.retry_after, failure.detail
            ),
        }
    }
}

fn home(config: &str, credentials: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    let aws = home.path().join(".aws");
    std::fs::create_dir(&aws).expect("a folder");
    std::fs::write(aws.join("config"), config).expect("a file");
    std::fs::write(aws.join("credentials"), credentials).expect("a file");
    home
}

fn keys(id: &str) -> String {
    format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = secret\n")
}

fn write_keys(home: &Path, id: &str) {
    std::fs::write(home.join(".aws/credentials"), keys(id)).expect("a file");
}

fn whole() -> Vec<u8> {
    answer(
        "200 OK",
        STREAM,
        event("messageStart", r#"{"role":"assistant"}"#),
    )
}
