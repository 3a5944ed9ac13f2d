//! Creates a body that continues to hold the memory budget of the message from which it was made.

use std::sync::Arc;

use bytes::Bytes;

use super::failures::saturated;
use crate::{bounds::Share, error::Failure};

/// Returns a body that holds exactly its own size of the budget, until the body is dropped.
pub(crate) fn held(body: Vec<u8>, memory: Arc<Share>) -> Result<Bytes, Failure> {
    struct Held {
        body: Vec<u8>,
        _memory: Arc<Share>,
    }

    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.body
        }
    }

    memory.resize(body.capacity()).map_err(saturated)?;
    Ok(Bytes::from_owner(Held {
        body,
        _memory: memory,
    }))
}
