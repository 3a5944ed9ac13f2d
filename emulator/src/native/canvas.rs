//! Creates images of Amazon Nova Canvas. An image has one colour, which depends on the prompt and
//! the seed, so the same request always has the same answer.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    native_answer::{NativeAnswer, malformed},
    png, titan,
};
use crate::script::ApiError;

const MAX_IMAGES: u64 = 5;
const MAX_PROMPT: usize = 1_024;
/// The width and height of an image if the request sets none, in pixels.
const SIDE: u64 = 1_024;
const MIN_SIDE: u64 = 320;
const MAX_SIDE: u64 = 4_096;
/// The maximum number of pixels of an image.
const MAX_PIXELS: u64 = 4_194_304;

pub(super) fn answer(request: &Value) -> Result<NativeAnswer, ApiError> {
    if request["taskType"] != "TEXT_IMAGE" {
        return Err(malformed("#/taskType: the emulator has only TEXT_IMAGE"));
    }
    let prompt = request["textToImageParams"]["text"].as_str();
    let prompt = prompt
        .filter(|text| (1..=MAX_PROMPT).contains(&text.chars().count()))
        .ok_or_else(|| {
            malformed(&format!(
                "#/textToImageParams/text: expected length 1 to {MAX_PROMPT}"
            ))
        })?;
    let config = &request["imageGenerationConfig"];
    let count = number(config, "numberOfImages", 1, 1, MAX_IMAGES)?;
    let width = number(config, "width", SIDE, MIN_SIDE, MAX_SIDE)?;
    let height = number(config, "height", SIDE, MIN_SIDE, MAX_SIDE)?;
    if width * height > MAX_PIXELS {
        return Err(malformed(&format!(
            "#/imageGenerationConfig: more than {MAX_PIXELS} pixels"
        )));
    }
    let quality = config.get("quality").and_then(Value::as_str);
    if !matches!(quality, None | Some("standard" | "premium")) {
        return Err(malformed(
            "#/imageGenerationConfig/quality: is not standard or premium",
        ));
    }
    let seed = config.get("seed").and_then(Value::as_u64).unwrap_or(12);
    let images: Vec<_> = (0..count)
        .map(|index| {
            let [.., red, green, blue] =
                titan::hash(&format!("{seed} {index} {prompt}")).to_be_bytes();
            let image = png::plain(width, height, [red, green, blue]);
            STANDARD.encode(image)
        })
        .collect();
    Ok(NativeAnswer::without_tokens(json!({ "images": images })))
}

fn number(
    config: &Value,
    name: &str,
    default: u64,
    least: u64,
    most: u64,
) -> Result<u64, ApiError> {
    let Some(value) = config.get(name) else {
        return Ok(default);
    };
    value
        .as_u64()
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| {
            malformed(&format!(
                "#/imageGenerationConfig/{name}: expected {least} to {most}"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(config: &Value) -> Value {
        json!({
            "taskType": "TEXT_IMAGE",
            "textToImageParams": {"text": "a lighthouse"},
            "imageGenerationConfig": config,
        })
    }

    #[test]
    fn the_same_request_has_the_same_images_of_the_requested_size() {
        let asked = request(&json!({"numberOfImages": 2, "width": 320, "height": 640}));
        let body = answer(&asked).unwrap().body;
        assert_eq!(body, answer(&asked).unwrap().body);
        let images = body["images"].as_array().unwrap();
        assert_eq!(images.len(), 2);
        assert_ne!(images[0], images[1]);
        let image = STANDARD.decode(images[0].as_str().unwrap()).unwrap();
        assert_eq!(image[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(image[16..24], [0, 0, 1, 64, 0, 0, 2, 128]);
    }

    #[test]
    fn other_bodies_are_refused() {
        for config in [
            json!({"numberOfImages": 6}),
            json!({"numberOfImages": "2"}),
            json!({"width": 10}),
            json!({"width": 4096, "height": 4096}),
            json!({"quality": "best"}),
        ] {
            answer(&request(&config)).expect_err(&config.to_string());
        }
        answer(&json!({"taskType": "TEXT_IMAGE"})).expect_err("no prompt");
    }
}
