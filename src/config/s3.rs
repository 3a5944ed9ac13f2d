//! `s3_locations`: the objects in Amazon S3 that requests may name.
//!
//! Bedrock reads these objects with the permissions of the gateway's role. A caller that can name
//! any object can therefore read everything that the role can read.

/// The scheme with which every location begins.
pub const SCHEME: &str = "s3://";

/// The objects that requests may name: all of them, or those below some prefixes. Default: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3Locations {
    everywhere: bool,
    prefixes: Vec<S3Prefix>,
}

/// A bucket, or the objects below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
struct S3Prefix {
    bucket: String,
    /// The prefix of object keys, empty for the whole bucket. It matches the object with exactly
    /// this key, and objects whose key continues with a `/`.
    key: String,
}

/// An item of `s3_locations`. `None` means `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Pattern(Option<S3Prefix>);

impl S3Pattern {
    /// Parses `s3://bucket`, `s3://bucket/prefix`, or `*` for every object.
    ///
    /// # Errors
    /// Returns what is wrong, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self(None));
        }
        let prefix = S3Prefix::split(text)
            .filter(|(bucket, key)| is_bucket(bucket) && !key.contains('*'))
            .map(|(bucket, key)| S3Prefix {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            });
        match prefix {
            Some(prefix) if !leaves_its_place(&prefix.key) => Ok(Self(Some(prefix))),
            _ => Err(format!(
                "`{text}` is not an Amazon S3 location; write s3://bucket or s3://bucket/prefix/ without wildcards, or * for all objects"
            )),
        }
    }
}

impl FromIterator<S3Pattern> for S3Locations {
    fn from_iter<I: IntoIterator<Item = S3Pattern>>(patterns: I) -> Self {
        let mut locations = Self::default();
        for S3Pattern(prefix) in patterns {
            match prefix {
                Some(prefix) => locations.prefixes.push(prefix),
                None => locations.everywhere = true,
            }
        }
        locations
    }
}

impl S3Locations {
    /// Returns locations that allow every object.
    pub const fn everywhere() -> Self {
        Self {
            everywhere: true,
            prefixes: Vec::new(),
        }
    }

    /// Returns whether every object is allowed.
    pub const fn is_everywhere(&self) -> bool {
        self.everywhere
    }

    /// Returns whether a request may name an object, given as `s3://bucket/key`. Bucket and key are
    /// compared byte by byte, because a key in S3 has only one spelling. Below a prefix, a key that
    /// contains a segment `..`, even percent-encoded, is refused: an intermediary between the
    /// gateway and S3 could resolve it.
    pub fn admit(&self, uri: &str) -> bool {
        self.everywhere
            || S3Prefix::split(uri).is_some_and(|(bucket, key)| {
                self.prefixes
                    .iter()
                    .any(|prefix| prefix.admits(bucket, key))
            })
    }

    /// Returns whether `outer` allows every object that `self` allows.
    pub(super) fn is_within(&self, outer: &Self) -> bool {
        let is_covered = |inner: &S3Prefix| {
            let mut prefixes = outer.prefixes.iter();
            prefixes.any(|outer| outer.admits(&inner.bucket, &inner.key))
        };
        outer.everywhere || !self.everywhere && self.prefixes.iter().all(is_covered)
    }

    /// Returns the ARN patterns of the allowed objects, for IAM policies.
    pub fn arn_patterns(&self, partition: &str) -> Vec<String> {
        let arn = |path: String| format!("arn:{partition}:s3:::{path}");
        if self.everywhere {
            return vec![arn("*".to_owned())];
        }
        let patterns = self.prefixes.iter().flat_map(|S3Prefix { bucket, key }| {
            if key.is_empty() || key.ends_with('/') {
                vec![format!("{bucket}/{key}*")]
            } else {
                vec![format!("{bucket}/{key}"), format!("{bucket}/{key}/*")]
            }
        });
        patterns.map(arn).collect()
    }

    /// Returns the locations that both `self` and `other` allow.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self.everywhere, other.everywhere) {
            (true, _) => return other.clone(),
            (_, true) => return self.clone(),
            (false, false) => {}
        }
        let mut prefixes = Vec::new();
        for a in &self.prefixes {
            for b in &other.prefixes {
                let narrower = if a.admits(&b.bucket, &b.key) {
                    Some(b)
                } else if b.admits(&a.bucket, &a.key) {
                    Some(a)
                } else {
                    None
                };
                prefixes.extend(narrower.filter(|prefix| !prefixes.contains(prefix)));
            }
        }
        Self {
            everywhere: false,
            prefixes: prefixes.into_iter().cloned().collect(),
        }
    }
}

impl S3Locations {
    /// Returns the locations that `self` or `other` allows.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let further = other.prefixes.iter();
        let further = further.filter(|prefix| !self.prefixes.contains(prefix));
        Self {
            everywhere: self.everywhere || other.everywhere,
            prefixes: self.prefixes.iter().chain(further).cloned().collect(),
        }
    }
}

impl S3Prefix {
    fn split(uri: &str) -> Option<(&str, &str)> {
        let rest = uri.strip_prefix(SCHEME)?;
        Some(rest.split_once('/').unwrap_or((rest, "")))
    }

    fn admits(&self, bucket: &str, key: &str) -> bool {
        if self.bucket != bucket {
            return false;
        }
        if self.key.is_empty() {
            return true;
        }
        let Some(rest) = key.strip_prefix(self.key.as_str()) else {
            return false;
        };
        let at_a_segment = rest.is_empty() || self.key.ends_with('/') || rest.starts_with('/');
        at_a_segment && !leaves_its_place(key)
    }
}

/// Returns whether a segment of the key is `..`, or becomes `..` when it is percent-decoded once or
/// twice.
fn leaves_its_place(key: &str) -> bool {
    let decoded = |text: &str| {
        text.to_ascii_lowercase()
            .replace("%25", "%")
            .replace("%2e", ".")
            .replace("%2f", "/")
            .replace("%5c", "\\")
    };
    let key = decoded(&decoded(key));
    key.split(['/', '\\']).any(|segment| segment == "..")
}

/// Returns whether a text is the name of a bucket.
///
/// Source: Bedrock's service model, `[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9]`.
fn is_bucket(bucket: &str) -> bool {
    let at_the_ends = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = bucket.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| at_the_ends(byte) || matches!(byte, b'.' | b'-'))
        && bytes.first().is_some_and(at_the_ends)
        && bytes.last().is_some_and(at_the_ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locations(patterns: &[&str]) -> S3Locations {
        let parsed = patterns.iter().map(|pattern| S3Pattern::parse(pattern));
        parsed.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_location_is_matched_by_bucket_and_key() {
        let allowed = locations(&["s3://media", "s3://shared/team-a", "s3://shared/logs/"]);
        for uri in [
            "s3://media/x",
            "s3://media/../x",
            "s3://media",
            "s3://shared/team-a",
            "s3://shared/team-a/x/y.pdf",
            "s3://shared/logs/1",
        ] {
            assert!(allowed.admit(uri), "{uri}");
        }
        for uri in [
            "s3://media-secret/x",
            "s3://medi",
            "s3://media@secret/x",
            "s3://media:80/x",
            "s3://media?/x",
            "s3://MEDIA/x",
            "S3://media/x",
            " s3://media/x",
            "s3:/media/x",
            "https://media/x",
            "s3://shared",
            "s3://shared/",
            "s3://shared/team-ab/x",
            "s3://shared/team-b/x",
            "s3://shared/Team-a/x",
            "s3://shared//team-a/x",
            "s3://shared/team-a/../team-b/x",
            "s3://shared/team-a/%2e%2E/x",
            "s3://shared/team-a/%252e./x",
            "s3://shared/team-a/x%2f..%2f..%2fteam-b",
            "s3://shared/logs",
            "",
        ] {
            assert!(!allowed.admit(uri), "{uri}");
        }
        assert!(!S3Locations::default().admit("s3://media/x"));
        assert!(S3Locations::everywhere().admit("s3://media/x"));
    }

    #[test]
    fn what_two_levels_admit_is_what_both_admit() {
        let outer = locations(&["s3://shared/team-a/", "s3://media"]);
        let inner = locations(&["s3://shared", "s3://media/x", "s3://other"]);
        let both = outer.and(&inner);
        assert_eq!(both, locations(&["s3://shared/team-a/", "s3://media/x"]));
        assert_eq!(both.and(&S3Locations::everywhere()), both);
        assert_eq!(S3Locations::everywhere().and(&both), both);
        assert_eq!(both.and(&S3Locations::default()), S3Locations::default());
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for bad in [
            "",
            "media",
            "s3://",
            "s3://ab",
            "s3://media/*",
            "s3://me*",
            "s3://Media/x",
            "https://media/x",
            "s3://media/../x",
            "**",
        ] {
            assert!(S3Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
