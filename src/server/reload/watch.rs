//! Notices that files may have changed.
//!
//! The folders of the files are watched, because a file is often replaced as a whole: by an
//! editor's rename, or by the symbolic link `..data` of a mounted ConfigMap. A watch can miss
//! changes, such as those below a bind mount, so the files are also read at intervals.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::Notify;

/// A watch of folders.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Watch {
    /// Creates a watch of no folder.
    pub(super) fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let noted = Arc::clone(&changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                noted.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "files cannot be watched; the gateway looks at them at intervals");
        }
        Self {
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
            changed,
        }
    }

    /// Watches the folders of these files, and no others.
    pub(super) fn files<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let folders: BTreeSet<_> = files.flat_map(folders).collect();
        for gone in self.folders.difference(&folders) {
            // A folder that was removed is no longer watched anyway.
            let _ended = watcher.unwatch(gone);
        }
        let mut watched: BTreeSet<_> = self.folders.intersection(&folders).cloned().collect();
        for folder in folders.difference(&self.folders) {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    watched.insert(folder.clone());
                }
                Err(error) => {
                    tracing::debug!(%error, folder = %folder.display(), "a folder cannot be watched")
                }
            }
        }
        self.folders = watched;
    }

    /// Returns what is notified when a file in the folders may have changed.
    pub(super) fn notifier(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }
}

/// Returns the folder of a file, and that of the file to which it links.
fn folders(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let real = std::fs::canonicalize(file).ok();
    std::iter::once(folder(file)).chain(real.map(|real| folder(&real)))
}

/// Returns whether an event can change a file. The gateway's own reads cannot.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
