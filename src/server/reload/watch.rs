//! Detects that files may have changed.
//!
//! The folders of the files are watched, because a file is often replaced as a whole. For example,
//! an editor renames a new file, or the symbolic link `..data` of a mounted ConfigMap changes. A
//! watch can miss changes, such as those below a bind mount, so the files are also read at
//! intervals.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::sync::Notify;

/// Watches folders for changes.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// The paths of the watched folders, and the identity of each folder.
    folders: BTreeMap<PathBuf, FolderId>,
    /// Paths that were removed or renamed. If one of them is a watched folder, the watch of that
    /// folder has ended.
    removed: Arc<Mutex<BTreeSet<PathBuf>>>,
    changed: Arc<Notify>,
}

impl Watch {
    /// Creates a watcher that watches no folder yet.
    pub(super) fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let noted = Arc::clone(&changed);
        let removed = Arc::<Mutex<BTreeSet<PathBuf>>>::default();
        let gone = Arc::clone(&removed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let Ok(event) = event else { return };
            if is_removal(event.kind) {
                let mut gone = gone.lock().unwrap_or_else(PoisonError::into_inner);
                gone.extend(event.paths);
            }
            if is_change(event.kind) {
                noted.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "files cannot be watched; the gateway checks them at intervals");
        }
        Self {
            watcher: watcher.ok(),
            folders: BTreeMap::new(),
            removed,
            changed,
        }
    }

    /// Watches the folders of these files, and stops watching all other folders.
    pub(super) fn files<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let folders: BTreeSet<_> = files.flat_map(folders).collect();
        let removed = self
            .removed
            .lock()
            .map(|mut removed| std::mem::take(&mut *removed));
        let removed = removed.unwrap_or_default();
        self.folders.retain(|folder, id| {
            let is_same = folders.contains(folder)
                && !removed.contains(folder)
                && FolderId::of(folder).as_ref() == Some(id);
            if !is_same {
                // If the folder was removed, its watch has already ended, and `unwatch` fails.
                let _ended = watcher.unwatch(folder);
            }
            is_same
        });
        for folder in folders {
            if self.folders.contains_key(&folder) {
                continue;
            }
            let id = FolderId::of(&folder);
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.extend(id.map(|id| (folder, id)));
                }
                Err(error) => {
                    tracing::debug!(%error, folder = %folder.display(), "a folder cannot be watched")
                }
            }
        }
    }

    /// Returns the notifier that fires when a file in the folders may have changed.
    pub(super) fn notifier(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }
}

/// The identity of a folder, which distinguishes it from another folder with the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FolderId {
    device: u64,
    inode: u64,
}

impl FolderId {
    /// Returns the identity of a folder. `None` if there is no such folder.
    #[cfg(unix)]
    fn of(folder: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(folder).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    #[cfg(not(unix))]
    fn of(folder: &Path) -> Option<Self> {
        let exists = folder.is_dir();
        exists.then_some(Self {
            device: 0,
            inode: 0,
        })
    }
}

/// Returns the folder of a file and, if the file is a link, the folder of the linked file.
fn folders(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let real = std::fs::canonicalize(file).ok();
    std::iter::once(folder(file)).chain(real.map(|real| folder(&real)))
}

/// Returns whether an event removes or renames something.
fn is_removal(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
    )
}

/// Returns whether an event can mean that a file has changed. Reads, such as the gateway's own,
/// cannot.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    /// Waits until a change is detected.
    async fn noticed(changed: &Notify) {
        let noticed = tokio::time::timeout(Duration::from_secs(30), changed.notified());
        noticed.await.expect("an event");
    }

    /// Waits until earlier changes cause no further events.
    async fn quiet(changed: &Notify) {
        let pause = Duration::from_millis(200);
        while tokio::time::timeout(pause, changed.notified())
            .await
            .is_ok()
        {}
    }

    #[tokio::test]
    async fn a_folder_that_is_created_again_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("config");
        let file = folder.join("config.yaml");
        let files = || std::iter::once(file.as_path());
        let mut watch = Watch::new();
        let changed = watch.notifier();
        fs::create_dir(&folder).unwrap();
        let ways: [fn(&Path); 2] = [
            |folder| fs::remove_dir_all(folder).unwrap(),
            |folder| fs::rename(folder, folder.with_extension("old")).unwrap(),
        ];
        for remove in ways {
            watch.files(files());
            fs::write(&file, "a: 1").unwrap();
            noticed(&changed).await;
            remove(&folder);
            noticed(&changed).await;
            fs::create_dir(&folder).unwrap();
            quiet(&changed).await;
            // The gateway also calls this at intervals and after each event.
            watch.files(files());
            fs::write(&file, "a: 2").unwrap();
            noticed(&changed).await;
        }
    }
}
