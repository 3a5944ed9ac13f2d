//! Parses AWS's identifiers: model IDs, ARNs, Regions, and the geographies of inference profiles.

mod fence;
mod geography;
pub mod model_id;
mod native_format;
pub mod pattern;
pub mod project;
mod redact;
pub mod role;
mod sampling;

pub use fence::{Fence, FencePart, Side};
pub use geography::Geography;
pub use model_id::ModelIdKind;
pub use native_format::{Billed, BilledMedia, EndMarker, MaxTokens, NativeFormat};
pub use redact::{without_accounts, without_hosts, without_internals};
pub use sampling::Sampling;
