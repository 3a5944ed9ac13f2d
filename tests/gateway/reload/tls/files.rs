//! The ways in which TLS files are replaced.

use std::os::unix::fs::symlink;

use super::*;
use crate::harness::MODEL;

/// cert-manager updates a Secret, and kubelet swaps all its files by one symbolic link.
#[tokio::test]
async fn kubelet_replaces_all_files_of_a_secret_at_once() {
    let mounted = TempDir::new().unwrap();
    let root = mounted.path();
    let files = Files::new();
    let version = |name: &str| {
        let certificate = files.renew();
        fs::create_dir(root.join(name)).unwrap();
        for file in ["tls.crt", "tls.key"] {
            fs::copy(files.path(file), root.join(name).join(file)).unwrap();
        }
        certificate
    };
    let mut certificate = version("..1");
    symlink("..1", root.join("..data")).unwrap();
    for file in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{file}"), root.join(file)).unwrap();
    }
    let sections = format!("{}{}", Files::section_in(root, ""), alias("one", MODEL));
    let mut gateway = Reloading::start(&sections).await;
    let raw = files.raw_client(None);
    for (before, now) in [("..1", "..2"), ("..2", "..3")] {
        let seen = handshake(gateway.address, &raw).await.unwrap();
        assert_eq!(seen.certificate, certificate);
        certificate = version(now);
        symlink(now, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        fs::remove_dir_all(root.join(before)).unwrap();
        gateway.process.logged(RELOADED).await;
    }
    let seen = handshake(gateway.address, &raw).await.unwrap();
    assert_eq!(seen.certificate, certificate);
    let log = gateway.process.log();
    assert!(!log.contains(REFUSED), "{log}");
    assert_eq!(log.matches(RELOADED).count(), 2, "{log}");
}

/// The configuration can name files that are written after it.
#[tokio::test]
async fn other_paths_are_used_once_their_files_exist() {
    let files = Files::new();
    let first = files.renew();
    let sections = format!("{}{}", files.section(), alias("one", MODEL));
    let mut gateway = Reloading::start(&sections).await;
    let raw = files.raw_client(None);
    let other = files.path("other");
    let elsewhere = format!("{}{}", Files::section_in(&other, ""), alias("two", MODEL));
    let line = gateway.becomes(&elsewhere, REFUSED).await;
    assert!(line.contains("other/tls.crt cannot be read"), "{line}");
    gateway.process.logged("other/tls.key cannot be read").await;
    let seen = handshake(gateway.address, &raw).await.unwrap();
    assert_eq!(seen.certificate, first);

    fs::create_dir(&other).unwrap();
    let second = files.renew();
    for file in ["tls.crt", "tls.key"] {
        fs::copy(files.path(file), other.join(file)).unwrap();
    }
    let line = gateway.process.logged(RELOADED).await;
    assert!(line.contains("tls.certificate_file"), "{line}");
    let seen = handshake(gateway.address, &raw).await.unwrap();
    assert_eq!(seen.certificate, second);
    assert!(gateway.last_reload_successful().await);
}
