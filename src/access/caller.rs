//! The caller of a call, with the settings that apply to it.

use std::{fmt, sync::Arc};

use super::{limits::Scope, permission::Permission};
use crate::config::CallerSession;

/// The label in metrics for all callers that are not configured.
const UNLISTED: &str = "unlisted";

/// The operator's settings for one caller, merged with those of its groups.
#[derive(Debug)]
pub struct Caller {
    /// The caller's name, from the configuration or from a trusted issuer.
    pub name: Arc<str>,
    /// Whether the name is from the configuration. Other names are unlimited in number, so metrics
    /// do not use them as labels.
    pub is_listed: bool,
    /// The configured groups that the caller belongs to.
    pub groups: Vec<Arc<str>>,
    /// The session name and tags that identify the caller's calls in AWS.
    pub session: Arc<CallerSession>,
    /// What the caller may do. `None` if it may do everything that the gateway allows.
    pub permission: Option<Arc<Permission>>,
    /// The limits of the caller and its groups. `None` if there are none.
    pub scopes: Option<Arc<[Arc<Scope>]>>,
}

/// The identity of a caller. Cheap to clone. It keeps the settings that applied when the call
/// began.
#[derive(Clone)]
pub struct Identity(Arc<Caller>);

impl Identity {
    pub(super) fn new(caller: Arc<Caller>) -> Self {
        Self(caller)
    }

    /// Returns the caller's name. Calls with the same name belong to the same caller, whichever
    /// credentials they have.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Returns the label of the caller in metrics. The number of labels is limited.
    pub fn label(&self) -> &str {
        if self.0.is_listed {
            &self.0.name
        } else {
            UNLISTED
        }
    }

    /// Returns what the caller may do. `None` if it may do everything that the gateway allows.
    pub fn permission(&self) -> Option<&Arc<Permission>> {
        self.0.permission.as_ref()
    }

    /// Returns the operator's settings for the caller.
    pub fn caller(&self) -> &Caller {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.0.name).finish()
    }
}
