//! AWS's names: what a model ID or an ARN says about itself, and which Regions a geography covers.

mod fence;
mod geography;
pub mod model_id;
pub mod pattern;
mod redact;
mod sampling;

pub use fence::{Fence, FencePart, Side};
pub use geography::Geography;
pub use model_id::ModelIdKind;
pub use redact::without_accounts;
pub use sampling::Sampling;
