//! Reads the text of a configuration.

use crate::config::{
    Config, ConfigFile, Found, Problems, ValueFiles, changed_keys, effective, masked,
    needs_restart, weakened,
};

/// The value of all environment variables whose names end with `_SECRET`.
const SECRET: &str = "hunter2-0123456789";

/// The input is the text.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // No file of this machine is read.
    if text.contains("${file:") {
        return;
    }
    let environment = |name: &str| name.ends_with("_SECRET").then(|| SECRET.to_owned());
    let parsed = Config::parse(text, &environment);
    assert_eq!(Config::parse(text, &environment), parsed);
    let file = ConfigFile {
        path: "config.yaml".into(),
        text: text.to_owned(),
        values: ValueFiles::default(),
    };
    assert_eq!(changed_keys(&file, &file), [""; 0]);
    // The files that other processes of this machine can read. The environment is not shown.
    let shown = masked(&file).to_string();
    assert!(text.contains(SECRET) || !shown.contains(SECRET), "{shown}");
    match parsed {
        Ok(config) => {
            // The output that shows a valid configuration to operators.
            for shown in config.exposure().iter().chain(&config.warnings()) {
                assert!(!shown.message.is_empty());
            }
            assert_eq!(needs_restart(&config, &config), [""; 0]);
            let effective = effective(Some(&file), &config, Found::default()).to_string();
            assert!(text.contains(SECRET) || !effective.contains(SECRET));
            assert!(weakened(&config, &config).is_empty());
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            // A carriage return alone ends a line of YAML, too.
            let lines = text.matches(['\n', '\r']).count() as u64 + 1;
            for problem in &problems {
                assert!(!problem.message.is_empty());
                assert!(problem.place.line <= lines, "{problem:?}");
            }
            let problems = Problems {
                file: "x".to_owned(),
                problems,
            };
            // Problems are logged and printed.
            assert!(!problems.to_string().is_empty());
        }
    }
}
