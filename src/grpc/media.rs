//! Counts the media in JSON of a caller: in raw members, and in bodies in a model's own format.
//!
//! Where the meaning is ambiguous, the higher count applies, because a call reserves its maximum.

use crate::{config::Estimates, translate::visit_json::Leaf};

/// The number of media that were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MediaCounts {
    images: u64,
    videos: u64,
    audios: u64,
    documents: u64,
}

impl MediaCounts {
    /// Counts a value. `name` is as `visit_json::plain` writes it.
    pub(super) fn see(&mut self, name: &str, leaf: Leaf<'_>) {
        let kind = match leaf {
            // Converse and Amazon Nova name a block by its kind. Meta has a list of images.
            Leaf::Nested => name,
            Leaf::Text(_) if name == "images" => "image",
            // Anthropic and OpenAI have blocks with a type.
            Leaf::Text(kind) if name == "type" => kind,
            _ => return,
        };
        let count = match kind {
            "image" | "imageurl" | "image_url" | "input_image" => &mut self.images,
            "video" | "videourl" | "video_url" => &mut self.videos,
            "audio" | "inputaudio" | "input_audio" => &mut self.audios,
            "document" | "file" => &mut self.documents,
            _ => return,
        };
        *count = count.saturating_add(1);
    }

    /// Returns the input tokens of these media, as the operator has configured.
    pub(super) fn tokens(&self, estimates: &Estimates) -> u64 {
        let of = |count: u64, tokens: u64| count.saturating_mul(tokens);
        of(self.images, estimates.image)
            .saturating_add(of(self.videos, estimates.video))
            .saturating_add(of(self.audios, estimates.audio))
            .saturating_add(of(self.documents, estimates.document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::visit_json;

    #[test]
    fn media_of_each_format_are_counted() {
        let counted = |json: &str| {
            let mut media = MediaCounts::default();
            visit_json::visit(json, "", &mut |name, leaf| media.see(name, leaf));
            let MediaCounts {
                images,
                videos,
                audios,
                documents,
            } = media;
            [images, videos, audios, documents]
        };
        for (json, expected) in [
            (
                r#"{"video":{"source":{"s3Location":{"uri":"s3://b/v"}}}}"#,
                [0, 1, 0, 0],
            ),
            (
                r#"{"messages":[{"content":[{"image":{}},{"toolResult":{"content":[{"document":{}}]}},{"audio":{}}]}]}"#,
                [1, 0, 1, 1],
            ),
            (
                r#"{"content":[{"type":"image","source":{}},{"type":"document"}]}"#,
                [1, 0, 0, 1],
            ),
            (r#"{"images":["aGk=","aGk="]}"#, [2, 0, 0, 0]),
            (r#"{"type":"video_url"}"#, [0, 1, 0, 0]),
            (r#"{"text":"image","type":"text"}"#, [0, 0, 0, 0]),
        ] {
            assert_eq!(counted(json), expected, "{json}");
        }
    }
}
