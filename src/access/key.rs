//! The format of API keys: `bgrpc_`, 32 random characters, a checksum of 6 characters.
//!
//! The prefix lets secret scanners find leaked keys. The checksum distinguishes a truncated or
//! mistyped key from an unknown one without a lookup. The random part has 190 bits. Only the
//! SHA-256 of a key is stored. A key fits into one block of SHA-256, so hashing it is cheap.

use std::fmt;

use aws_lc_rs::{digest, error::Unspecified, rand};

/// The prefix of every key.
pub const PREFIX: &str = "bgrpc_";
/// The number of random characters of a key. 62^32 is more than 2^190.
const RANDOM: usize = 32;
/// The number of characters of the checksum. 62^6 is more than 2^32.
const CHECKSUM: usize = 6;
const LENGTH: usize = PREFIX.len() + RANDOM + CHECKSUM;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Random bytes from this value on, which is 4 times 62, are discarded, so that all characters are
/// equally likely.
const UNBIASED: u8 = 248;

/// A new key, which is shown only once. `Debug` does not show it.
pub struct Secret(String);

impl Secret {
    /// Generates a new key.
    ///
    /// # Errors
    /// Fails if the operating system provides no random bytes.
    pub fn generate() -> Result<Self, Unspecified> {
        let mut key = PREFIX.to_owned();
        while key.len() < PREFIX.len() + RANDOM {
            let mut bytes = [0; RANDOM];
            rand::fill(&mut bytes)?;
            let drawn = bytes.iter().filter(|byte| **byte < UNBIASED);
            let missing = PREFIX.len() + RANDOM - key.len();
            key.extend(drawn.take(missing).map(|byte| character(u32::from(*byte))));
        }
        let checksum = checksum(key.as_bytes());
        key.extend(checksum.map(char::from));
        Ok(Self(key))
    }

    /// Returns the key itself, to show it to the person who has requested it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the key's SHA-256, which is stored.
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Returns whether a text has the prefix of API keys.
pub fn is_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Returns whether a key is complete: its length, its characters and its checksum are right.
pub fn is_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((body, sum)) = bytes.split_at_checked(PREFIX.len() + RANDOM) else {
        return false;
    };
    bytes.len() == LENGTH && is_key(text) && sum == checksum(body)
}

/// Returns the SHA-256 of a text, in hexadecimal.
pub fn hex_sha256(text: &str) -> String {
    let hash = sha256(text);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the SHA-256 of a key's text.
pub fn sha256(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// Returns the checksum: the CRC-32 of the rest of the key, with the least significant digit first.
fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32fast::hash(body);
    let mut text = [0; CHECKSUM];
    for place in &mut text {
        *place = character(rest) as u8;
        rest /= 62;
    }
    text
}

fn character(number: u32) -> char {
    char::from(ALPHABET[(number % 62) as usize])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_whole_unlike_each_other_and_of_one_length() {
        let mut seen = HashSet::new();
        for _ in 0..1_000 {
            let key = Secret::generate().unwrap();
            assert_eq!(key.reveal().len(), LENGTH);
            assert!(is_whole(key.reveal()), "{}", key.reveal());
            assert!(seen.insert(key.reveal().to_owned()));
        }
    }

    #[test]
    fn all_characters_are_drawn_about_equally_often() {
        let mut counts = [0_u32; 128];
        for _ in 0..2_000 {
            let key = Secret::generate().unwrap();
            for byte in &key.reveal().as_bytes()[PREFIX.len()..PREFIX.len() + RANDOM] {
                counts[usize::from(*byte)] += 1;
            }
        }
        // 64,000 characters are drawn from 62: about 1,032 of each, with a standard deviation of
        // 32.
        for letter in ALPHABET {
            let count = counts[usize::from(*letter)];
            assert!((800..1_264).contains(&count), "{letter}: {count}");
        }
    }

    #[test]
    fn a_key_that_was_cut_lengthened_or_mistyped_is_not_whole() {
        let key = Secret::generate().unwrap();
        let key = key.reveal();
        for cut in 0..key.len() {
            assert!(!is_whole(&key[..cut]), "{cut}");
        }
        assert!(!is_whole(&format!("{key}0")));
        for place in PREFIX.len()..key.len() {
            let mut typed = key.as_bytes().to_vec();
            typed[place] = if typed[place] == b'a' { b'b' } else { b'a' };
            assert!(!is_whole(std::str::from_utf8(&typed).unwrap()), "{place}");
        }
        assert!(!is_whole("é"));
        assert!(!is_whole(&"é".repeat(22)));
    }

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        let key = Secret::generate().unwrap();
        assert!(!format!("{key:?}").contains(&key.reveal()[PREFIX.len()..]));
    }
}
