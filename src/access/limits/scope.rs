//! Scopes: the callers, groups and targets to which limits apply.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::kind::Limit;
use crate::config::Quota;

/// The kind of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScopeKind {
    /// A single caller.
    Caller,
    /// All callers of a group together.
    Group,
    /// All calls of a target together.
    Target,
}

/// A caller, a group or a target, with its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Whether this is a caller, a group or a target.
    pub kind: ScopeKind,
    /// The name of the caller, group or target.
    pub name: Arc<str>,
    /// The number of the scope in this process. A scope of the same kind and name has the same
    /// number, even after the configuration has changed.
    pub number: usize,
    /// The limits of the scope.
    pub limits: Box<[Limit]>,
}

impl ScopeKind {
    /// Returns the name of the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Group => "group",
            Self::Target => "target",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

/// The numbers of all scopes of this process. Stores find counts by number instead of by name.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashMap<(ScopeKind, Arc<str>), usize>>);

impl Names {
    /// Returns the scope with this name, and with the limits of `quota`. `None` if there are no
    /// limits.
    pub fn scope(&self, kind: ScopeKind, name: &str, quota: &Quota) -> Option<Arc<Scope>> {
        if !quota.is_limited() {
            return None;
        }
        let name: Arc<str> = name.into();
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = numbers.len();
        let number = *numbers.entry((kind, Arc::clone(&name))).or_insert(next);
        Some(Arc::new(Scope {
            kind,
            name,
            number,
            limits: Limit::of(quota),
        }))
    }
}
