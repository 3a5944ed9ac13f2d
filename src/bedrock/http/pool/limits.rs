//! The limits of a pool.

use std::time::Duration;

use crate::config::bedrock::BedrockOptions;

/// The limits of a pool.
#[derive(Clone, Copy, Debug)]
pub(in crate::bedrock::http) struct Limits {
    /// The target number of streams of an HTTP/2 connection. When all connections have reached it,
    /// another one is opened.
    pub(super) target: usize,
    /// The maximum number of HTTP/2 connections.
    pub(super) connections: usize,
    /// How long an unused connection stays open.
    pub(super) idle: Duration,
}

impl Limits {
    pub(in crate::bedrock::http) fn new(options: &BedrockOptions) -> Self {
        Self {
            target: options.streams_per_connection.max(1),
            connections: options.max_connections.max(1),
            idle: options.idle_timeout,
        }
    }

    /// Returns the maximum number of streams of an HTTP/2 connection.
    pub(super) const fn most(&self) -> usize {
        self.target.saturating_mul(2)
    }
}
