//! AWS's names: what a model ID or an ARN says about itself, and which Regions a geography covers.

mod geography;
pub mod model_id;
pub mod pattern;
mod redact;
mod sampling;

pub use geography::{Fence, Geography, Place, Side};
pub use model_id::Kind;
pub use redact::without_accounts;
pub use sampling::Sampling;
