//! Reads API keys from the configuration or from a separate file. Only the SHA-256 of a key is
//! configured.

use std::{collections::BTreeMap, fmt, path::Path, time::SystemTime};

use time::{Date, OffsetDateTime, Time, format_description::well_known::Rfc3339};

use super::name::{NAME_RULE, is_name};
use crate::config::{
    problem::{ConfigLocation, Problem, Problems},
    read_file::{MAX_LIST, read_regular},
    section::{Reading, Section},
    value_files::ValueFiles,
    yaml::{self, Node, Value},
};

/// The maximum number of a caller's keys in the configuration, and in the keys file: the current
/// key, and the next one while clients change to it.
pub const KEYS_PER_CALLER: usize = 2;

/// An API key of a caller, identified by its hash. The gateway does not accept the hash itself as a
/// key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The SHA-256 of the key's text. `sha256`, in hexadecimal. Required.
    pub sha256: [u8; 32],
    /// The time from which the key is refused. `not_after`, default: never.
    pub not_after: Option<SystemTime>,
}

impl ApiKey {
    /// Returns the first characters of the hash, which identify the key in logs.
    pub fn id(&self) -> String {
        self.sha256
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Returns the time from which the key is refused as text, such as `2027-01-31T12:00:00Z`.
    pub fn expiry(&self) -> Option<String> {
        let time = OffsetDateTime::from(self.not_after?);
        time.format(&Rfc3339).ok()
    }

    /// Parses a point in time such as `2027-01-31T12:00:00Z`, or a date such as `2027-01-31`, which
    /// means the beginning of that day in UTC.
    ///
    /// # Errors
    /// Returns a message that says what to write instead.
    pub fn read_time(text: &str) -> Result<SystemTime, String> {
        let day = time::macros::format_description!("[year]-[month]-[day]");
        OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| {
                let date = Date::parse(text, day)?;
                Ok::<_, time::error::Parse>(date.with_time(Time::MIDNIGHT).assume_utc())
            })
            .map(SystemTime::from)
            .map_err(|_| {
                format!("`{text}` is not a point in time; write 2027-01-31 or 2027-01-31T12:00:00Z")
            })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id())
            .field("not_after", &self.not_after)
            .finish()
    }
}

/// The keys of each caller, by the caller's name.
pub type KeysByCaller = BTreeMap<String, Vec<ApiKey>>;

/// Reads the list of keys under `name`, a key of the configuration.
pub(super) fn read(section: &mut Section<'_>, name: &'static str) -> Vec<ApiKey> {
    let sections = section.list_of_sections(name).unwrap_or_default();
    if sections.len() > KEYS_PER_CALLER {
        section.report(
            name,
            format!(
                "at most {KEYS_PER_CALLER} keys: the current key, and the next one during a rotation; remove the others"
            ),
        );
    }
    sections.into_iter().filter_map(read_key).collect()
}

fn read_key(mut section: Section<'_>) -> Option<ApiKey> {
    let sha256 = section.value("sha256", sha256);
    let not_after = section.value("not_after", ApiKey::read_time);
    if !section.has_had("sha256") {
        section.report(
            "sha256",
            "required: the key's SHA-256, as `bedrock-grpc keys new` prints it",
        );
    }
    section.finish();
    Some(ApiKey {
        sha256: sha256?,
        not_after,
    })
}

/// Reads and checks a keys file: a map from callers' names to lists of keys.
///
/// # Errors
/// Returns all problems of the file.
pub fn load(path: &Path) -> Result<KeysByCaller, Problems> {
    check(path, read_regular(path, MAX_LIST))
}

/// Checks the content of a keys file. `content` is an error if the file could not be read.
///
/// # Errors
/// Returns all problems of the file.
pub fn check(
    path: &Path,
    content: Result<impl AsRef<[u8]>, String>,
) -> Result<KeysByCaller, Problems> {
    let whole = |message: String| {
        let key = "access.keys_file";
        vec![Problem::new(key, ConfigLocation::default(), message)]
    };
    let keys = content.map_err(whole).and_then(|content| {
        let text = std::str::from_utf8(content.as_ref())
            .map_err(|error| whole(format!("is not UTF-8 text: {error}")))?;
        parse(text)
    });
    keys.map_err(|problems| Problems {
        file: path.display().to_string(),
        problems,
    })
}

fn parse(text: &str) -> Result<KeysByCaller, Vec<Problem>> {
    let tree = yaml::parse(text).map_err(|problem| vec![problem])?;
    // References are not replaced in the keys file: it contains only hashes, and it is often
    // written by programs.
    let files = ValueFiles::default();
    let reading = Reading::new(&|_| None, &files);
    let mut keys = KeysByCaller::new();
    let entries = match tree.value {
        Value::Map(entries) => entries,
        Value::Null => Vec::new(),
        _ => {
            let message = "expected a map from the names of callers to lists of keys";
            return Err(vec![Problem::new("", tree.place, message)]);
        }
    };
    for (key, node) in entries {
        if !is_name(&key.name) {
            reading.report(key.name.clone(), key.place, NAME_RULE);
        }
        // The problems of one key are reported under the caller's name.
        let list = Node {
            place: node.place,
            value: Value::Map(vec![(
                yaml::Key {
                    name: "keys".to_owned(),
                    place: key.place,
                },
                node,
            )]),
        };
        let mut section = Section::of(key.name.clone(), list, &reading);
        keys.insert(key.name, read(&mut section, "keys"));
    }
    let problems = reading.into_problems();
    if problems.is_empty() {
        Ok(keys)
    } else {
        Err(problems)
    }
}

/// Reports API keys that several callers have: such a key would not identify one caller.
pub(super) fn check_unique<'a>(
    callers: impl Iterator<Item = (&'a str, &'a [ApiKey])>,
    reading: &Reading<'_>,
) {
    let mut owners = BTreeMap::new();
    for (name, keys) in callers {
        for key in keys {
            if let Some(other) = owners.insert(key.sha256, name) {
                reading.report(
                    format!("callers.{name}.keys"),
                    ConfigLocation::default(),
                    format!(
                        "the key {} is listed twice, here and for `{other}`; create another one with `bedrock-grpc keys new`",
                        key.id()
                    ),
                );
            }
        }
    }
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    // The text may be a key that was pasted by mistake, so the error does not repeat it.
    let wrong = || {
        "not a SHA-256 in 64 hexadecimal digits; write the hash that `bedrock-grpc keys new` prints, not the key itself"
            .to_owned()
    };
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or_else(wrong)?;
    }
    Ok(hash)
}
