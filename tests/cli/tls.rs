//! Gateways behind TLS.

use std::io::Write;

use tonic::transport::Identity;

use super::{gateway::Gateway, process::Process};

#[tokio::test]
async fn a_certificate_authority_of_ones_own_is_trusted_when_named() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = certified.cert.pem();
    let identity = Identity::from_pem(&pem, certified.signing_key.serialize_pem());
    let gateway = Gateway::start_tls(identity).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    let ca = file.path().to_str().unwrap();
    let address = format!("https://localhost:{}", gateway.address.port());
    let probe = async |args: &[&str]| {
        let args = [&["--address", &address], args].concat();
        Process::start(gateway.address, &[&["health"], &args[..]].concat())
            .end()
            .await
    };

    let ended = probe(&["--ca", ca]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "SERVING\n"),
        "{ended:?}"
    );

    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(other.cert.pem().as_bytes()).unwrap();
    let ended = probe(&["--ca", file.path().to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("invalid peer certificate"),
        "{}",
        ended.stderr
    );
    let targets = |address: String| {
        let args = ["targets", "--address", &address];
        let started = Process::start(gateway.address, &args);
        async move { started.end().await.stderr }
    };
    let said = targets(address.clone()).await;
    assert!(said.contains("by --ca"), "{said}");
    let said = targets(format!("http://localhost:{}", gateway.address.port())).await;
    assert!(said.contains("use https:// in --address"), "{said}");
    let plain = Gateway::start().await;
    let said = targets(format!("https://localhost:{}", plain.address.port())).await;
    assert!(said.contains("use http:// in --address"), "{said}");

    let ended = probe(&["--ca", "/does/not/exist.pem"]).await;
    assert_eq!(ended.code, Some(64));
    assert!(
        ended.stderr.contains("--ca /does/not/exist.pem: "),
        "{}",
        ended.stderr
    );
}
