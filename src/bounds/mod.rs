//! What all callers share, and how much of it one of them can take.
//!
//! | file | job |
//! |---|---|
//! | [`ShareOwner`] | who a share belongs to |
//! | [`Shares`] | places, connections or bytes, divided fairly when peers compete for them |
//! | [`WorkQueue`] | long work on threads that forward no tokens |
//! | [`Leaving`] | tells the calls of a connection that it should end |
//! | [`Stop`] | tells work that its caller has disconnected |

mod leaving;
mod owner;
mod shares;
mod stop;
mod work;

pub use leaving::Leaving;
pub use owner::ShareOwner;
pub use shares::{Limited, Share, Shares};
pub use stop::Stop;
pub use work::{QueueFull, WorkQueue};
