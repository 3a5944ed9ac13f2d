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

/// Returns a body like [`held`], which also holds the memory for one copy of it.
pub(crate) fn held_twice(body: Vec<u8>, memory: Arc<Share>) -> Result<Bytes, Failure> {
    let body = held(body, Arc::clone(&memory))?;
    memory.grow(body.len()).map_err(saturated)?;
    Ok(body)
}
