//! A store with TLS, an ACL user, and a password that changes.

use std::{fs, net::TcpListener};

use bedrock_emulator::{Emulator, Options};
use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::harness::{RedisServer, Serve, ask, file, key_of, keyed};

/// What docs/limits-store.md allows the user.
const RULES: &str = "resetkeys ~{bedrock-grpc}:* resetchannels -@all +evalsha +eval +info +time +hget +hmget +hset +hdel +hlen +hexists +hgetall +exists +set +del +pexpire +persist +zadd +zrem +zscore +zrangebyscore";

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn tls_a_user_and_a_password_that_changes() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, private_key) = (file(&cert.pem()), file(&signing_key.serialize_pem()));
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let redis = RedisServer::with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        certificate.path().to_str().unwrap(),
        "--tls-key-file",
        private_key.path().to_str().unwrap(),
        "--tls-auth-clients",
        "no",
    ])
    .await;
    let _: String = redis
        .ask(&format!("ACL SETUSER limits on >canary-one {RULES}"))
        .await;
    let password = file("canary-one\n");
    let key = key_of();
    let hash: String = key.sha256().iter().map(|b| format!("{b:02x}")).collect();
    let sections = format!(
        "
targets: {{nova: {{model_id: 'amazon.nova-lite-v1:0'}}}}
log: {{level: debug}}
limits:
  on_store_failure: deny
  store:
    url: rediss://localhost:{port}
    username: limits
    password_file: {}
    ca_file: {}
    timeout: 5s
callers:
  team-a:
    keys: [{{sha256: '{hash}'}}]
    limits: {{open_streams: 5, tokens_per_day: 100000}}
",
        password.path().display(),
        certificate.path().display()
    );
    let emulator = Emulator::start(Options::default()).unwrap();
    let mut serve = Serve::with_keys(&emulator, &sections, &[]).await;
    let call = async |serve: &Serve| serve.open(keyed(ask("nova"), &key)).await.end().await;
    call(&serve).await.is_whole();

    // The old password is still in the file: the gateway cannot connect again.
    let _: String = redis.ask("ACL SETUSER limits resetpass >canary-two").await;
    let _: i64 = redis.ask("CLIENT KILL USER limits").await;
    serve.process.logged("cannot connect to the store").await;
    let refused = call(&serve).await;
    assert_eq!(refused.details().reason(), "LIMIT_STORE_UNAVAILABLE");
    fs::write(password.path(), "canary-two").unwrap();
    // Calls in a loop would fill the pipe of the log, which nothing reads meanwhile.
    serve.process.logged("connected to the store").await;
    call(&serve).await.is_whole();

    serve.process.terminate().await;
    let log = serve.process.log().to_owned();
    let ended = serve.process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // The ACL user has all permissions that the gateway needs, and no call was left open when the
    // gateway ended.
    let denied: Vec<redis::Value> = redis.ask("ACL LOG").await;
    let denied = format!("{denied:?}");
    assert!(!denied.contains("command"), "{denied}");
    let open: Vec<String> = redis.ask("KEYS {bedrock-grpc}:open:*").await;
    assert!(open.is_empty(), "{open:?}");
    let told = format!("{log}{}{}", ended.stderr, ended.stdout);
    assert!(!told.contains("canary"), "{told}");
}
