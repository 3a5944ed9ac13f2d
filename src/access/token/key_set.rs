//! A JSON Web Key Set (JWKS): the public keys of an issuer.

use std::{collections::BTreeSet, fmt};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// The maximum number of keys that are used from a set.
const MAX_KEYS: usize = 100;

/// The public keys of an issuer.
pub struct KeySet {
    keys: Vec<Key>,
    /// The keys in a canonical order, by which changes are detected.
    canonical: BTreeSet<String>,
}

struct Key {
    id: Option<String>,
    /// The only algorithm for which the key may be used, if the set specifies one.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Parses a JSON Web Key Set. Symmetric keys, keys for encryption and keys of unknown types are
    /// ignored.
    ///
    /// # Errors
    /// Fails if the JSON is not a key set, or contains no usable key. The message does not contain
    /// any of the JSON.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(json).map_err(|error| {
            format!(
                "not a JSON Web Key Set, which is an object with a list of `keys` (line {}, column {})",
                error.line(),
                error.column()
            )
        })?;
        let mut set = Self {
            keys: Vec::new(),
            canonical: BTreeSet::new(),
        };
        for value in document.keys.into_iter().take(MAX_KEYS) {
            let text = value.to_string();
            if let Some(key) = read(value) {
                set.keys.push(key);
                set.canonical.insert(text);
            }
        }
        if set.keys.is_empty() {
            return Err(
                "no key can be used: RSA, EC or Ed25519 keys for signatures are needed".to_owned(),
            );
        }
        Ok(set)
    }

    /// Returns the key for a token, which its key ID identifies. If the token has no key ID,
    /// returns the only suitable key.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.key.family() == algorithm.family()
                && key.algorithm.is_none_or(|only| only == algorithm)
                && (id.is_none() || key.id.as_deref() == id)
        });
        let first = fitting.next()?;
        (id.is_some() || fitting.next().is_none()).then_some(&first.key)
    }
}

fn read(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if jwk
        .common
        .public_key_use
        .as_ref()
        .is_some_and(|own| *own != PublicKeyUse::Signature)
    {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    // With a symmetric key, everyone who can read the set could sign tokens.
    if key.family() == AlgorithmFamily::Hmac {
        return None;
    }
    let algorithm = match jwk.common.key_algorithm {
        None => None,
        Some(named) => Some(Algorithm::try_from(named).ok()?),
    };
    Some(Key {
        id: jwk.common.key_id,
        algorithm,
        key,
    })
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("keys", &self.keys.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(keys: &Value) -> Result<KeySet, String> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn ed(id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": id})
    }

    fn ec(id: &str, algorithm: &str) -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": id, "alg": algorithm,
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
    }

    #[test]
    fn keys_are_found_by_id_and_algorithm() {
        let set = set(&json!([ed("a"), ec("b", "ES256")])).unwrap();
        assert!(set.find(Some("a"), Algorithm::EdDSA).is_some());
        assert!(set.find(Some("b"), Algorithm::ES256).is_some());
        assert!(set.find(Some("b"), Algorithm::ES384).is_none());
        assert!(set.find(Some("a"), Algorithm::ES256).is_none());
        assert!(set.find(Some("c"), Algorithm::EdDSA).is_none());
        assert!(set.find(None, Algorithm::EdDSA).is_some());
        assert!(set.find(None, Algorithm::RS256).is_none());
    }

    #[test]
    fn a_token_without_a_key_id_needs_a_single_key() {
        let set = set(&json!([ed("a"), ed("b")])).unwrap();
        assert!(set.find(None, Algorithm::EdDSA).is_none());
    }

    #[test]
    fn keys_that_do_not_belong_here_are_left_out() {
        let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "a"});
        let mut encryption = ed("a");
        encryption["use"] = json!("enc");
        let unknown = json!({"kty": "AKP", "kid": "a", "pub": "abc"});
        let unknown_curve =
            json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "a"});
        let strange = [
            secret,
            encryption,
            unknown,
            unknown_curve,
            json!(7),
            json!(null),
        ];
        for key in &strange {
            assert!(set(&json!([key])).is_err(), "{key}");
        }
        let mut several = strange.to_vec();
        several.push(ed("b"));
        let set = set(&json!(several)).unwrap();
        assert!(set.find(Some("b"), Algorithm::EdDSA).is_some());
        assert!(set.find(Some("a"), Algorithm::EdDSA).is_none());
    }

    #[test]
    fn the_order_of_keys_makes_no_difference() {
        let (one, other) = (json!([ed("a"), ed("b")]), json!([ed("b"), ed("a")]));
        assert!(set(&one).unwrap() == set(&other).unwrap());
        assert!(set(&one).unwrap() != set(&json!([ed("a")])).unwrap());
    }

    #[test]
    fn what_is_no_key_set_is_refused_without_repeating_it() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"keys": 7}"#,
            "canary",
            r#"{"keys": []}"#,
        ] {
            let message = KeySet::parse(text.as_bytes()).unwrap_err();
            assert!(!message.contains("canary"), "{message}");
        }
    }
}
