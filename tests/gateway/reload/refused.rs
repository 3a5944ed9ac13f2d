//! Changes that are refused as a whole: the previous configuration stays in use.

use std::fs;

use super::{HEAD, REFUSED, RELOADED, Reloading, alias};
use crate::harness::{MODEL, ask, key_of, keyed, sha256_of};

/// The configuration with one caller.
fn with_caller(hash: &str) -> String {
    format!(
        "{}callers:\n  team-a:\n    keys: [{{sha256: {hash}}}]\n",
        alias("one", MODEL)
    )
}

#[tokio::test]
async fn a_file_with_mistakes_is_refused_with_all_of_them() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    let broken = "targets: {one: {model: x}}\nworkers: 0\n";
    gateway.becomes(broken, REFUSED).await;
    gateway.process.logged(REFUSED).await;
    gateway.process.logged(REFUSED).await;
    let log = gateway.process.log();
    for key in ["targets.one.model_id", "targets.one.model", "workers"] {
        assert!(log.contains(&format!(": {key}: ")), "{key}: {log}");
    }
    assert!(!gateway.last_reload_successful().await);
    gateway.stream(ask("one")).await.is_whole();

    gateway.becomes("targets: {one: [", REFUSED).await;
    gateway.stream(ask("one")).await.is_whole();

    gateway.becomes(&alias("two", MODEL), RELOADED).await;
    assert!(gateway.last_reload_successful().await);
    gateway.stream(ask("two")).await.is_whole();
}

#[tokio::test]
async fn the_previous_text_needs_no_reload() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    gateway.becomes("targets: 1\n", REFUSED).await;
    gateway
        .becomes(&alias("one", MODEL), "read again and has not changed")
        .await;
    assert!(gateway.last_reload_successful().await);
}

#[tokio::test]
async fn an_empty_file_and_a_missing_file_are_refused() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    for empty in ["", "# nothing yet\n\n"] {
        fs::write(gateway.path(), empty).unwrap();
        let line = gateway.process.logged(REFUSED).await;
        assert!(line.contains("the file is empty"), "{line}");
        gateway.stream(ask("one")).await.is_whole();
    }
    fs::remove_file(gateway.path()).unwrap();
    let line = gateway.process.logged(REFUSED).await;
    assert!(line.contains("cannot be read"), "{line}");
    assert!(!gateway.last_reload_successful().await);
    gateway.becomes(&alias("two", MODEL), RELOADED).await;
    gateway.stream(ask("two")).await.is_whole();
}

/// The beginning of a file can be a valid configuration, with less protection.
#[tokio::test]
async fn a_half_written_file_does_not_open_the_gateway() {
    let key = key_of();
    let whole = with_caller(&sha256_of(&key));
    let mut gateway = Reloading::start(&whole).await;
    let half = alias("one", MODEL);
    assert!(whole.starts_with(&half));
    gateway.becomes(&half, REFUSED).await;
    gateway.process.logged(REFUSED).await;
    let log = gateway.process.log();
    assert!(log.contains("callers: no caller is left"), "{log}");
    assert!(log.contains("access.required: "), "{log}");
    assert!(log.contains("allow_weaker: true"), "{log}");
    assert_eq!(
        gateway.stream(ask("one")).await.code(),
        tonic::Code::Unauthenticated
    );
    gateway.stream(keyed(ask("one"), &key)).await.is_whole();

    // The operator can allow the change.
    let meant = format!("allow_weaker: true\n{half}");
    gateway.becomes(&meant, RELOADED).await;
    gateway.stream(ask("one")).await.is_whole();
}

#[tokio::test]
async fn a_fence_does_not_disappear() {
    let fenced = format!("only: [us]\n{}", alias("one", MODEL));
    let mut gateway = Reloading::start(&fenced).await;
    let line = gateway.becomes(&alias("one", MODEL), REFUSED).await;
    assert!(line.contains("only: the region fence is missing"), "{line}");
    let of_alias = |only: &str| format!("targets: {{one: {{model_id: '{MODEL}'{only}}}}}\n");
    let narrower = format!("only: [us]\n{}", of_alias(", only: [us-east-1]"));
    gateway.becomes(&narrower, RELOADED).await;
    let line = gateway
        .becomes(&format!("only: [us]\n{}", of_alias("")), REFUSED)
        .await;
    assert!(line.contains("targets.one.only: "), "{line}");
}

#[tokio::test]
async fn a_restriction_of_a_caller_does_not_disappear() {
    let key = key_of();
    let with = |more: &str, limits: &str| {
        let hash = sha256_of(&key);
        format!(
            "{more}{}callers:\n  team-a:\n    keys: [{{sha256: {hash}}}]\n{limits}",
            alias("one", MODEL)
        )
    };
    let limited = with("", "    limits: {max_tokens: 3}\n");
    let mut gateway = Reloading::start(&limited).await;
    // The beginning of the file is valid.
    let line = gateway.becomes(&with("", ""), REFUSED).await;
    let expected = "callers.team-a.limits.max_tokens: the restriction of the caller is missing";
    assert!(line.contains(expected), "{line}");
    assert!(line.contains("allow_weaker: true"), "{line}");
    let higher = with("", "    limits: {max_tokens: 4}\n");
    gateway.becomes(&higher, RELOADED).await;
    gateway
        .becomes(&with("allow_weaker: true\n", ""), RELOADED)
        .await;
}

/// What counts is the setting that applies to calls, not the place where the file has it.
#[tokio::test]
async fn a_setting_that_still_applies_can_be_removed_or_moved() {
    let hash = sha256_of(&key_of());
    let with = |g: &str, h: &str, caller: &str| {
        format!(
            "{}groups: {{g: {{{g}}}, h: {{{h}}}}}\n\
             callers: {{team-a: {{groups: [g, h], keys: [{{sha256: {hash}}}], {caller}}}}}\n",
            alias("one", MODEL)
        )
    };
    let (mine, other) = ("project: mine", "project: other");
    let mut gateway = Reloading::start(&with("", "", mine)).await;
    gateway.becomes(&with(mine, other, mine), RELOADED).await;
    // The group repeats the value.
    gateway.becomes(&with(mine, other, ""), RELOADED).await;
    // Without it, the project of the second group would apply.
    let line = gateway.becomes(&with("", other, ""), REFUSED).await;
    assert!(line.contains("groups.g.project: "), "{line}");
    gateway.becomes(&with(other, mine, mine), RELOADED).await;
    // In the second group, the value has no effect.
    let line = gateway.becomes(&with(other, mine, ""), REFUSED).await;
    assert!(line.contains("callers.team-a.project: "), "{line}");
    let meant = format!("allow_weaker: true\n{}", with(other, mine, ""));
    gateway.becomes(&meant, RELOADED).await;
}

/// A keys file that is not written yet revokes no key, unless the operator allows that.
#[tokio::test]
async fn an_empty_keys_file_is_refused() {
    let key = key_of();
    let whole = format!("team-a: [{{sha256: {}}}]\n", sha256_of(&key));
    let keys = crate::harness::file(&whole);
    let sections = format!(
        "{}callers: {{team-a: {{}}}}\naccess: {{on_revoke: cut, keys_file: {}}}\n",
        alias("one", MODEL),
        keys.path().display()
    );
    let mut gateway = Reloading::start(&sections).await;
    for empty in ["", "# nothing yet\n", "{}\n", "null\n", "team-a: []\n"] {
        fs::write(keys.path(), empty).unwrap();
        let line = gateway.process.logged(REFUSED).await;
        assert!(line.contains("contains no key"), "{empty}: {line}");
        assert!(line.contains(keys.path().to_str().unwrap()), "{line}");
        assert!(!gateway.last_reload_successful().await);
        gateway.stream(keyed(ask("one"), &key)).await.is_whole();
    }
    // A configuration that does not name the file revokes its keys, too.
    let (without, _) = sections.split_once(", keys_file").unwrap();
    let line = gateway.becomes(&format!("{without}}}\n"), REFUSED).await;
    assert!(
        line.contains("access.keys_file: the keys file is no longer used"),
        "{line}"
    );
    let meant = format!("allow_weaker: true\n{sections}");
    gateway.becomes(&meant, RELOADED).await;
    let refused = gateway.stream(keyed(ask("one"), &key)).await;
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);

    // A file without keys that is in use does not prevent other changes.
    let later = format!("{sections}# later\n");
    gateway.becomes(&later, RELOADED).await;
    fs::write(keys.path(), whole).unwrap();
    gateway.process.logged(RELOADED).await;
    gateway.stream(keyed(ask("one"), &key)).await.is_whole();
}

/// The keys file and the configuration are used together or not at all.
#[tokio::test]
async fn a_keys_file_does_not_bring_back_removed_callers() {
    let (kept, removed) = (key_of(), key_of());
    let entry = |name: &str, hash: &str| format!("{name}:\n  - sha256: {hash}\n");
    let (kept_hash, removed_hash) = (sha256_of(&kept), sha256_of(&removed));
    let keys = crate::harness::file(&format!(
        "{}{}",
        entry("team-a", &kept_hash),
        entry("team-b", &removed_hash)
    ));
    let with = |callers: &str| {
        format!(
            "{}callers: {callers}\naccess: {{keys_file: {}}}\n",
            alias("one", MODEL),
            keys.path().display()
        )
    };
    let mut gateway = Reloading::start(&with("{team-a: {}, team-b: {}}")).await;
    gateway.stream(keyed(ask("one"), &removed)).await.is_whole();
    // The keys of a caller that does not exist are a mistake, so nothing changes.
    let line = gateway.becomes(&with("{team-a: {}}"), REFUSED).await;
    assert!(line.contains("team-b"), "{line}");
    gateway.stream(keyed(ask("one"), &removed)).await.is_whole();
    // With the keys file, both changes take effect, and the key is refused at the next call.
    fs::write(keys.path(), entry("team-a", &kept_hash)).unwrap();
    let line = gateway.process.logged(RELOADED).await;
    assert!(line.contains("access.keys_file (content)"), "{line}");
    assert!(line.contains("callers.team-b"), "{line}");
    assert_eq!(
        gateway.stream(keyed(ask("one"), &removed)).await.code(),
        tonic::Code::Unauthenticated
    );
    gateway.stream(keyed(ask("one"), &kept)).await.is_whole();
    // A later change of the configuration does not restore a removed key.
    let later = format!("{}# later\n", with("{team-a: {}}"));
    gateway.becomes(&later, RELOADED).await;
    assert_eq!(
        gateway.stream(keyed(ask("one"), &removed)).await.code(),
        tonic::Code::Unauthenticated
    );
    let log = gateway.process.log();
    for hash in [&kept_hash, &removed_hash] {
        assert!(!log.contains(hash.as_str()), "{log}");
    }
}

/// A file that changes again and again is not used, and the log says why.
#[tokio::test]
async fn a_file_that_keeps_changing_is_warned_of() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    let path = gateway.path();
    let stop = tokio_util::sync::CancellationToken::new();
    let writer = tokio::spawn({
        let (path, stop) = (path.clone(), stop.clone());
        async move {
            let mut pace = tokio::time::interval(std::time::Duration::from_millis(100));
            for number in 0.. {
                pace.tick().await;
                let text = format!("{HEAD}{}# {number}\n", alias("two", MODEL));
                fs::write(&path, text).unwrap();
                if stop.is_cancelled() {
                    return;
                }
            }
        }
    });
    let line = gateway.process.logged("has been changing for 5s").await;
    assert!(line.contains(path.to_str().unwrap()), "{line}");
    assert!(!gateway.process.log().contains(RELOADED));
    gateway.stream(ask("one")).await.is_whole();
    stop.cancel();
    writer.await.unwrap();
    gateway.process.logged(RELOADED).await;
    gateway.stream(ask("two")).await.is_whole();
}
