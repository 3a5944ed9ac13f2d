//! Creates embeddings of Amazon Titan. A vector consists of hashed words and parts of words, so
//! texts with common words have similar vectors. The same text always has the same vector.

use serde_json::{Value, json};

use super::native_answer::{NativeAnswer, Used, malformed};
use crate::script::ApiError;

const CHARACTERS_PER_TOKEN: usize = 4;
/// The maximum length of a text, in characters.
const MAX_TEXT: usize = 50_000;
const DIMENSIONS: [usize; 3] = [256, 512, 1024];
const MEMBERS: [&str; 4] = ["inputText", "dimensions", "normalize", "embeddingTypes"];
/// The number of characters of a part of a word.
const PART: usize = 3;
/// The weight of a whole word. Each part of a word has the weight 1.
const WHOLE_WORD: f64 = 2.0;
/// The weight of short words. It is low, because they tell little about the subject of a text.
const SHORT_WORD: f64 = 0.25;

pub(super) fn answer(request: &Value) -> Result<NativeAnswer, ApiError> {
    let members = request
        .as_object()
        .ok_or_else(|| malformed("expected type: JSONObject"))?;
    if let Some(unknown) = members
        .keys()
        .find(|name| !MEMBERS.contains(&name.as_str()))
    {
        return Err(malformed(&format!(
            "#: extraneous key [{unknown}] is not permitted"
        )));
    }
    let text = members
        .get("inputText")
        .ok_or_else(|| malformed("#: required key [inputText] not found"))?;
    let text = text
        .as_str()
        .ok_or_else(|| malformed("#/inputText: expected type: String"))?;
    let length = text.chars().count();
    if length == 0 || length > MAX_TEXT {
        return Err(malformed(&format!(
            "#/inputText: expected length 1 to {MAX_TEXT}, actual: {length}"
        )));
    }
    let dimensions = members.get("dimensions").map_or(Some(1024), Value::as_u64);
    let dimensions = DIMENSIONS
        .into_iter()
        .find(|known| u64::try_from(*known).ok() == dimensions)
        .ok_or_else(|| malformed("#/dimensions: is not one of 256, 512 and 1024"))?;
    let normalize = members.get("normalize").map_or(Some(true), Value::as_bool);
    let normalize = normalize.ok_or_else(|| malformed("#/normalize: expected type: Boolean"))?;
    let types = types(members.get("embeddingTypes"))?;
    let vector = vector(text, dimensions, normalize);
    let mut by_type = json!({});
    if types.binary {
        let bits: Vec<_> = vector.iter().map(|value| u8::from(*value > 0.0)).collect();
        by_type["binary"] = json!(bits);
    }
    if types.float {
        by_type["float"] = json!(vector);
    }
    let tokens = u64::try_from(length.div_ceil(CHARACTERS_PER_TOKEN)).unwrap_or(u64::MAX);
    let mut body = json!({"embeddingsByType": by_type, "inputTextTokenCount": tokens});
    if types.float {
        body["embedding"] = json!(vector);
    }
    Ok(NativeAnswer {
        body,
        used: Used {
            input: tokens,
            output: 0,
            max_tokens: 0,
        },
        reports_tokens: true,
    })
}

/// The types of vectors that a request asks for.
struct Types {
    float: bool,
    binary: bool,
}

fn types(asked: Option<&Value>) -> Result<Types, ApiError> {
    let Some(asked) = asked else {
        return Ok(Types {
            float: true,
            binary: false,
        });
    };
    let invalid = || malformed("#/embeddingTypes: is not a list of float and binary");
    let names = asked.as_array().ok_or_else(invalid)?;
    let has = |name: &str| names.iter().any(|asked| asked == name);
    let types = Types {
        float: has("float"),
        binary: has("binary"),
    };
    let known = usize::from(types.float) + usize::from(types.binary);
    if known == 0 || known != names.len() {
        return Err(invalid());
    }
    Ok(types)
}

/// Returns the similarity of two texts, from 0 to 1.
pub(super) fn similarity(one: &str, other: &str) -> f64 {
    let [one, other] = [one, other].map(|text| vector(text, 1024, true));
    let product: f64 = one.iter().zip(&other).map(|(a, b)| a * b).sum();
    product.clamp(0.0, 1.0)
}

/// Returns the vector of a text.
fn vector(text: &str, dimensions: usize, normalize: bool) -> Vec<f64> {
    let mut vector = vec![0.0; dimensions];
    let mut add = |feature: &str, weight: f64| {
        let hash = hash(feature);
        // The lowest bits select the dimension, and the highest bit selects the sign.
        let place = usize::try_from(hash & 0xffff_ffff).unwrap_or_default() % dimensions;
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        if let Some(value) = vector.get_mut(place) {
            *value += sign * weight;
        }
    };
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        let padded: Vec<char> = format!("^{word}$").chars().collect();
        let weight = if padded.len() <= PART + 2 {
            SHORT_WORD
        } else {
            1.0
        };
        add(word, WHOLE_WORD * weight);
        for part in padded.windows(PART) {
            add(&part.iter().collect::<String>(), weight);
        }
    }
    // A text without words must have a vector, too.
    if vector.iter().all(|value| *value == 0.0) {
        add_text(&mut vector, &text);
    }
    if normalize {
        let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        for value in &mut vector {
            *value /= length;
        }
    }
    vector
}

fn add_text(vector: &mut [f64], text: &str) {
    let place = usize::try_from(hash(text) & 0xffff_ffff).unwrap_or_default() % vector.len();
    if let Some(value) = vector.get_mut(place) {
        *value = 1.0;
    }
}

/// Returns the 64-bit FNV-1a hash, mixed so that every bit depends on all bytes.
pub(super) fn hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearness(one: &str, other: &str, dimensions: usize) -> f64 {
        let (one, other) = (
            vector(one, dimensions, true),
            vector(other, dimensions, true),
        );
        one.iter().zip(&other).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn near_texts_have_near_vectors() {
        let question = "How do I reset my password?";
        for dimensions in DIMENSIONS {
            let near = nearness(question, "Resetting a forgotten password", dimensions);
            let far = nearness(question, "Opening hours of the canteen", dimensions);
            assert!(near > far + 0.2, "{dimensions}: {near} {far}");
            let same = nearness(question, "how do i RESET my password", dimensions);
            assert!((same - 1.0).abs() < 1e-9, "{same}");
        }
    }

    #[test]
    fn every_text_has_a_vector_of_length_one() {
        for text in ["?!", " ", "a", "日本語"] {
            let length: f64 = vector(text, 256, true).iter().map(|v| v * v).sum();
            assert!((length - 1.0).abs() < 1e-9, "{text}: {length}");
        }
        assert_ne!(vector("a a a", 256, false), vector("a a a", 256, true));
    }
}
