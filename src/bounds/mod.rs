//! Divides shared resources (calls, connections, memory, threads) fairly among clients.
//!
//! | file | job |
//! |---|---|
//! | [`ShareOwner`] | the client to which a share belongs |
//! | [`Shares`] | calls, connections or bytes, divided fairly when clients compete for them |
//! | [`WorkQueue`] | runs long work on separate threads, which forward no tokens |
//! | [`Leaving`] | signals to the calls of a connection that the connection should end |
//! | [`Stop`] | signals to work on another thread that its result is no longer needed |
//!

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
