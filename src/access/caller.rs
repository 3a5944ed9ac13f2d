//! One caller, as calls see it.

use std::{fmt, sync::Arc};

use super::limits::Scope;
use crate::config::CallerSession;

/// The name in metrics of all callers that are not configured.
const UNLISTED: &str = "unlisted";

/// What the operator decided about one caller, with its groups merged in.
#[derive(Debug)]
pub struct Caller {
    /// The caller's name: from the config, or as a trusted issuer says it.
    pub name: Arc<str>,
    /// Whether the name is from the config. Others are not bounded in number, so they are no
    /// labels of metrics.
    pub is_listed: bool,
    /// The configured groups that the caller belongs to.
    pub groups: Vec<Arc<str>>,
    /// What distinguishes the caller's calls in AWS.
    pub session: Arc<CallerSession>,
    /// What is limited of the caller and its groups. `None`: nothing.
    pub scopes: Option<Arc<[Arc<Scope>]>>,
}

/// Who makes a call. Cheap to clone. It keeps what the operator decided when the call began.
#[derive(Clone)]
pub struct Identity(Arc<Caller>);

impl Identity {
    pub(super) fn new(caller: Arc<Caller>) -> Self {
        Self(caller)
    }

    /// The caller's name. Calls of one name are the same caller's, whatever they prove it by.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The caller's name in metrics: bounded in number.
    pub fn label(&self) -> &str {
        if self.0.is_listed {
            &self.0.name
        } else {
            UNLISTED
        }
    }

    /// What the operator decided about the caller.
    pub fn caller(&self) -> &Caller {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.0.name).finish()
    }
}
