//! Divides shared resources (calls, connections, memory, threads) fairly among callers.
//!
//! | file | job |
//! |---|---|
//! | [`ShareOwner`] | the client that a share is counted for |
//! | [`Shares`] | calls, connections or bytes, divided fairly when clients compete for them |
//! | [`WorkQueue`] | runs long work on separate threads, which forward no tokens |
//! | [`Leaving`] | tells the calls of a connection that the connection should end |
//! | [`Stop`] | tells work on another thread that its result is not needed any more |

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
