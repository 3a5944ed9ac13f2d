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

/// What was found in a body so far.
#[derive(Debug, Default)]
pub(in crate::grpc) struct BodyUnits {
    format: Option<NativeFormat>,
    /// The media of the request, whose tokens are estimated.
    pub(in crate::grpc) media: MediaCounts,
    images: u64,
    width: Option<f64>,
    height: Option<f64>,
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
        // Comparisons with NaN are false. Casts from a number saturate.
        let larger = |known: Option<f64>| Some(known.map_or(number, |known| known.max(number)));
        match name {
            _ if IMAGES.contains(&name) => self.images = self.images.max(number.ceil() as u64),
            "width" => self.width = larger(self.width),
            "height" => self.height = larger(self.height),
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
        if self.format.map(NativeFormat::billed) != Some(Billed::Queries) {
            return Ok(());
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

    fn side(&self) -> Option<u32> {
        let side = self.width?.max(self.height?);
        (side >= 1.0).then(|| side.ceil() as u32)
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
