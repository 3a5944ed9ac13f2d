//! Divides shared resources (calls, connections, memory, threads) fairly among clients.
//!
//! | file | job |
//! |---|---|
//! | [`ShareOwner`] | the client to which a share belongs |
//! | [`Shares`] | calls, connections or bytes, divided fairly when clients compete for them |
//! | [`WorkQueue`] | runs long work on separate threads, which forward no tokens |
//! | [`Leaving`] | signals to the calls of a connection that the connection should end |
//! | [`LogInterval`] | limits how often log lines of the same kind are written |
//! | [`Stop`] | signals to work on another thread that its result is no longer needed |
//!

mod leaving;
mod log_interval;
mod owner;
mod shares;
mod stop;
mod work_queue;

pub use leaving::Leaving;
pub use log_interval::LogInterval;
pub use owner::ShareOwner;
pub use shares::{Limited, Share, Shares};
pub use stop::Stop;
pub use work_queue::{QueueFull, WorkQueue};
