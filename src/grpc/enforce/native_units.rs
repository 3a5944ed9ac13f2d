//! Counts what Bedrock bills, apart from tokens, in a body in the model's own format. Where the
//! meaning of a body is ambiguous, the higher count applies, because a call reserves its maximum.

use crate::{
    access::limits::ModelUnits,
    aws::{Billed, BilledMedia, NativeFormat},
    config::ImageQuality,
    grpc::media::MediaCounts,
    translate::{
        json::{MAX_DEPTH, Reader, Syntax, ValueKind},
        visit_json::Leaf,
    },
};

/// The names of parameters for the number of images, as `visit_json::plain` writes them.
const IMAGES: [&str; 4] = ["numberofimages", "numimages", "samples", "n"];
/// The maximum number of documents that Bedrock bills as one query. Source: Bedrock's price list,
/// which also says that a longer document counts as several.
const DOCUMENTS_PER_QUERY: u64 = 100;

/// The members of the output's width and height.
const SIDES: [&str; 2] = ["width", "height"];
/// The tasks of Amazon's models whose output has the requested size. The output of the others has
/// the size of the input image.
const SIZED_TASKS: [&str; 3] = ["TEXT_IMAGE", "COLOR_GUIDED_GENERATION", "IMAGE_VARIATION"];
/// The members of Stability AI's formats with an input image, whose size the output has.
const INPUT_IMAGES: [&str; 2] = ["image", "init_image"];

/// What was found in a body so far.
#[derive(Debug, Default)]
pub(in crate::grpc) struct BodyUnits {
    format: Option<NativeFormat>,
    /// The media of the request, whose tokens are estimated.
    pub(in crate::grpc) media: MediaCounts,
    images: u64,
    /// The larger of all widths and heights in the body.
    side: f64,
    /// How often the width and the height are where the model reads them.
    sides: [u32; 2],
    /// How often the body has the member that contains them, or the task.
    size_members: [u32; 2],
    /// Whether the output can have another size than the requested one.
    unsized_output: bool,
    qualities: Vec<Option<ImageQuality>>,
    input_images: u64,
    timed: bool,
    /// The sizes of the documents and of the query, in bytes of JSON.
    documents: Vec<u64>,
    query: u64,
}

impl BodyUnits {
    pub(super) fn new(format: Option<NativeFormat>) -> Self {
        Self {
            format,
            ..Self::default()
        }
    }

    /// Returns whether a value asks for several results, or may do so.
    pub(super) fn asks_for_several(name: &str, leaf: Leaf<'_>) -> bool {
        let is_several =
            matches!(leaf, Leaf::Number(number) if number > 1.0) || matches!(leaf, Leaf::Text(_));
        is_several && IMAGES.contains(&name)
    }

    /// Counts a value that can be a parameter. `name` is as `visit_json::plain` writes it.
    pub(super) fn value(&mut self, name: &str, leaf: Leaf<'_>) {
        let Some(format) = self.format else {
            return;
        };
        match format.billed() {
            Billed::Images => self.of_image(name, leaf),
            Billed::Tokens => {
                let is_media = |media: &BilledMedia| {
                    let is_kind = match leaf {
                        Leaf::Text(_) => !media.is_object,
                        Leaf::Nested => media.is_object,
                        Leaf::Number(_) | Leaf::Boolean | Leaf::Null => false,
                    };
                    is_kind && media.name == name
                };
                self.input_images += u64::from(format.billed_media().iter().any(is_media));
                self.timed |= leaf == Leaf::Nested && format.timed_media().contains(&name);
            }
            Billed::Queries => {}
        }
    }

    fn of_image(&mut self, name: &str, leaf: Leaf<'_>) {
        let number = match leaf {
            Leaf::Number(number) => number,
            Leaf::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
            Leaf::Boolean | Leaf::Null | Leaf::Nested => return,
        };
        // Casts from a number saturate, and that of NaN is 0.
        match name {
            _ if IMAGES.contains(&name) => self.images = self.images.max(number.ceil() as u64),
            // `max` ignores NaN. A model could read a similar name, so all of them count.
            _ if SIDES.contains(&name) => self.side = self.side.max(number),
            "quality" => {
                let named = match leaf {
                    Leaf::Text(text) => ImageQuality::named(text),
                    _ => None,
                };
                self.qualities.push(named);
            }
            _ => {}
        }
    }

    /// Counts a member of the body, given its value as JSON.
    pub(super) fn member(&mut self, name: &str, json: &str) -> Result<(), Syntax> {
        match self.format {
            Some(format) if format.billed() == Billed::Images => {
                return self.image_member(format, name, json);
            }
            Some(format) if format.billed() == Billed::Queries => {}
            _ => return Ok(()),
        }
        match name {
            "query" => self.query = self.query.max(json.len() as u64),
            "documents" => {
                let mut reader = Reader::with_limit(json, MAX_DEPTH);
                if reader.peek()? != ValueKind::Array {
                    self.documents.push(json.len() as u64);
                    return Ok(());
                }
                reader.enter_array()?;
                let mut first = true;
                while reader.element(&mut first)? {
                    self.documents.push(reader.skip()?.len() as u64);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Looks for the size of the output where the model reads it. Names are compared exactly, as
    /// models compare them.
    fn image_member(&mut self, format: NativeFormat, name: &str, json: &str) -> Result<(), Syntax> {
        let mut reader = Reader::with_limit(json, MAX_DEPTH);
        match (format, name) {
            (NativeFormat::StabilityImage, name) if INPUT_IMAGES.contains(&name) => {
                self.unsized_output = true;
            }
            (NativeFormat::StabilityImage, name) => self.size(name, reader.peek()?),
            (_, "taskType") => {
                self.size_members[0] += 1;
                let is_sized = reader.peek()? == ValueKind::String
                    && SIZED_TASKS.contains(&reader.string()?.as_ref());
                self.unsized_output |= !is_sized;
            }
            (_, "imageGenerationConfig") if reader.peek()? == ValueKind::Object => {
                self.size_members[1] += 1;
                reader.enter_object()?;
                let mut first = true;
                while let Some(name) = reader.member(&mut first)? {
                    self.size(&name, reader.peek()?);
                    reader.skip()?;
                }
            }
            (_, "imageGenerationConfig") => self.unsized_output = true,
            _ => {}
        }
        Ok(())
    }

    /// Notes the width or the height, where the model reads it.
    fn size(&mut self, name: &str, kind: ValueKind) {
        if let Some(index) = SIDES.iter().position(|side| *side == name) {
            self.sides[index] += 1;
            self.unsized_output |= kind != ValueKind::Number;
        }
    }

    /// Returns the units. `document_bytes` is the number of bytes that count as one document.
    pub(in crate::grpc) fn units(&self, document_bytes: u64) -> ModelUnits {
        let Some(format) = self.format else {
            return ModelUnits::default();
        };
        match format.billed() {
            Billed::Images => ModelUnits {
                images: self.images.max(1),
                image_side: self.side(),
                image_quality: self.quality(),
                ..ModelUnits::default()
            },
            Billed::Queries => ModelUnits {
                queries: self.queries(document_bytes),
                ..ModelUnits::default()
            },
            Billed::Tokens => ModelUnits {
                input_images: self.input_images,
                ..ModelUnits::default()
            },
        }
    }

    /// Returns whether the body has media that Bedrock bills by duration.
    pub(in crate::grpc) const fn has_timed_media(&self) -> bool {
        self.timed
    }

    /// Returns the larger of the output's width and height. `None` if the body does not say it
    /// without doubt: then the price without a tier applies, which is the highest.
    fn side(&self) -> Option<u32> {
        let has_size = self.sides == [1, 1] && !self.unsized_output;
        let has_members = match self.format {
            Some(NativeFormat::StabilityImage) => true,
            // Of two members, the model may read the other one.
            _ => self.size_members == [1, 1],
        };
        (has_size && has_members && self.side >= 1.0).then(|| self.side.ceil() as u32)
    }

    /// Returns the quality, if the body names one that is known. Models make images of the quality
    /// `standard` by default.
    fn quality(&self) -> Option<ImageQuality> {
        let (first, others) = match self.qualities.split_first() {
            Some(found) => found,
            None => return Some(ImageQuality::Standard),
        };
        let is_clear = others.iter().all(|other| other == first);
        first.filter(|_| is_clear)
    }

    fn queries(&self, document_bytes: u64) -> u64 {
        let counted = self.documents.iter().map(|bytes| {
            let bytes = bytes.saturating_add(self.query);
            bytes.div_ceil(document_bytes.max(1)).max(1)
        });
        let documents = counted.fold(0_u64, u64::saturating_add);
        documents.div_ceil(DOCUMENTS_PER_QUERY).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the side of the output for which a body of this format is charged.
    fn side(format: NativeFormat, body: &str) -> Option<u32> {
        let mut units = BodyUnits::new(Some(format));
        crate::translate::visit_json::visit(body, "", &mut |name, leaf| units.value(name, leaf));
        let mut reader = Reader::with_limit(body, MAX_DEPTH);
        reader.enter_object().unwrap();
        let mut first = true;
        while let Some(name) = reader.member(&mut first).unwrap() {
            reader.peek().unwrap();
            units.member(&name, reader.skip().unwrap()).unwrap();
        }
        units.units(1).image_side
    }

    #[test]
    fn only_a_size_that_the_model_reads_makes_an_image_cheaper() {
        let task = |task: &str, config: &str, more: &str| {
            format!(r#"{{"taskType":"{task}","imageGenerationConfig":{{{config}}}{more}}}"#)
        };
        let text = |config: &str, more: &str| task("TEXT_IMAGE", config, more);
        let small = r#""width":512,"height":320"#;
        let large = r#""width":2048,"height":320"#;
        for (body, expected) in [
            (text(small, ""), Some(512)),
            (text(large, ""), Some(2048)),
            (task("IMAGE_VARIATION", small, ""), Some(512)),
            // A size at another place is not that of the output.
            (text("", &format!(",{small}")), None),
            (
                text("", &format!(r#","textToImageParams":{{{small}}}"#)),
                None,
            ),
            (text(r#""width":512"#, r#","height":320"#), None),
            (text(&format!(r#""cfgScale":{{{small}}}"#), ""), None),
            (text(r#""Width":512,"Height":320"#, ""), None),
            (
                format!(r#"{{"taskType":"TEXT_IMAGE","imagegenerationconfig":{{{small}}}}}"#),
                None,
            ),
            // A larger one, wherever it is, counts.
            (text(small, r#","x":{"width":4096}"#), Some(4096)),
            // Two values contradict each other.
            (text(&format!("{small},{large}"), ""), None),
            (text(small, r#","imageGenerationConfig":{}"#), None),
            (text(small, r#","imageGenerationConfig":null"#), None),
            (text(small, r#","taskType":"INPAINTING""#), None),
            (text(r#""width":512,"height":null"#, ""), None),
            (text(r#""width":"512","height":320"#, ""), None),
            (text(r#""width":0,"height":0"#, ""), None),
            // The output has the size of the input image.
            (task("INPAINTING", small, ""), None),
            (task("BACKGROUND_REMOVAL", small, ""), None),
            (format!(r#"{{"imageGenerationConfig":{{{small}}}}}"#), None),
        ] {
            assert_eq!(side(NativeFormat::AmazonImage, &body), expected, "{body}");
        }
        for (body, expected) in [
            (format!("{{{small}}}"), Some(512)),
            (format!(r#"{{"imageGenerationConfig":{{{small}}}}}"#), None),
            (format!(r#"{{{small},"init_image":"aGk="}}"#), None),
            (format!(r#"{{{small},"image":"aGk="}}"#), None),
            (format!(r#"{{{small},"width":256}}"#), None),
            ("{}".to_owned(), None),
        ] {
            assert_eq!(
                side(NativeFormat::StabilityImage, &body),
                expected,
                "{body}"
            );
        }
    }
}
