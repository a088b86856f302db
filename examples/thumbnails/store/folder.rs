//! The store in a folder: objects are files, and the parts of a key are folders.
//!
//! **Invariants.** Nothing outside the folder is read or written through a key, also not through a
//! symbolic link that is in the folder when the call starts. (Someone who swaps links *during* a
//! call could win a race; who can do that can already write to the folder.) An object is complete
//! from the moment it has its name, because it is written under another one and then renamed.
//!
//! Files are not synchronised to the disk: a thumbnail lost with the power is made again, and the
//! wait would be paid for every photo.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Object;
use super::error::{Call, StoreError};
use super::key::{self, KeyFault};
use super::location::Location;

/// An open folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// Without symbolic links, so that a path can be compared with it.
    root: PathBuf,
    /// As the user named it.
    location: Location,
}

impl Folder {
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let location = Location::Folder(path.to_owned());
        let path = path.to_owned();
        blocking(Call::Open, location.clone(), move || {
            let root = path.canonicalize().map_err(|error| fault(Call::Open, &location, error))?;
            if !root.is_dir() {
                return Err(Call::Open.other(&location, "it is a file, not a folder"));
            }
            Ok(Self { root, location })
        })
        .await
    }

    pub(super) async fn get(&self, key: &str, bytes_max: u64) -> Result<Bytes, StoreError> {
        let (folder, name) = (self.clone(), key.to_owned());
        blocking(Call::Get(key), self.location.clone(), move || folder.read(&name, bytes_max)).await
    }

    /// The type is not kept: a file has only its name to tell.
    pub(super) async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        _content_type: &str,
    ) -> Result<(), StoreError> {
        let (folder, name) = (self.clone(), key.to_owned());
        blocking(Call::Put(key), self.location.clone(), move || folder.write(&name, &bytes)).await
    }

    pub(super) async fn list(&self, object_max: usize) -> Result<Vec<Object>, StoreError> {
        let folder = self.clone();
        blocking(Call::List, self.location.clone(), move || {
            let mut objects = Vec::new();
            folder
                .walk(&folder.root, "", object_max, &mut objects)
                .map_err(|error| fault(Call::List, &folder.location, error))?;
            Ok(objects)
        })
        .await
    }

    fn read(&self, key: &str, bytes_max: u64) -> Result<Bytes, StoreError> {
        let call = Call::Get(key);
        let failed = |error| self.fault(call, error);
        key::check(key).map_err(|fault| call.invalid(&self.location, fault))?;
        let path = self.root.join(key).canonicalize().map_err(failed)?;
        if !path.starts_with(&self.root) {
            return Err(call.invalid(&self.location, KeyFault::Leaves));
        }
        // Before it is opened: opening a pipe waits for someone to write to it.
        let metadata = path.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(call.missing(&self.location));
        }
        self.check_size(key, metadata.len(), bytes_max)?;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        // The file may have grown since; one byte more than allowed shows it.
        File::open(&path)
            .and_then(|file| file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(failed)?;
        self.check_size(key, bytes.len() as u64, bytes_max)?;
        Ok(bytes.into())
    }

    fn check_size(&self, key: &str, bytes: u64, bytes_max: u64) -> Result<(), StoreError> {
        if bytes <= bytes_max {
            return Ok(());
        }
        let location = self.location.to_string();
        Err(StoreError::TooLarge { location, key: key.to_owned(), bytes, bytes_max })
    }

    fn write(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let call = Call::Put(key);
        let failed = |error| self.fault(call, error);
        key::check(key).map_err(|fault| call.invalid(&self.location, fault))?;
        if !self.root.is_dir() {
            return Err(StoreError::LocationMissing { location: self.location.to_string() });
        }
        let target = self.root.join(key);
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(call.invalid(&self.location, KeyFault::Empty));
        };
        // Folders are made only below one that is inside.
        for ancestor in parent.ancestors() {
            if ancestor.symlink_metadata().is_ok() {
                self.inside(call, ancestor)?;
                break;
            }
        }
        fs::create_dir_all(parent).map_err(failed)?;
        let parent = self.inside(call, parent)?;
        let mut partial = Partial::create(&parent).map_err(failed)?;
        partial.file.write_all(bytes).map_err(failed)?;
        partial.rename(&parent.join(name)).map_err(failed)
    }

    /// The path without symbolic links, if it is in the folder.
    fn inside(&self, call: Call<'_>, path: &Path) -> Result<PathBuf, StoreError> {
        let path = path.canonicalize().map_err(|error| match error.kind() {
            // It exists, so it is a link to something that does not.
            ErrorKind::NotFound => call.invalid(&self.location, KeyFault::Leaves),
            _ => self.fault(call, error),
        })?;
        if path.starts_with(&self.root) {
            Ok(path)
        } else {
            Err(call.invalid(&self.location, KeyFault::Leaves))
        }
    }

    /// Adds the objects below `folder` in the order of their keys, and stops at `object_max`. What
    /// cannot be looked at below it is listed with the reason; only `folder` itself is an error.
    fn walk(
        &self,
        folder: &Path,
        prefix: &str,
        object_max: usize,
        objects: &mut Vec<Object>,
    ) -> io::Result<()> {
        for Entry { name, path, kind } in self.entries(folder)? {
            if objects.len() >= object_max {
                break;
            }
            let key = format!("{prefix}{name}");
            let bytes = match kind {
                Kind::File(bytes) => Ok(bytes),
                Kind::Folder => match self.walk(&path, &key, object_max, objects) {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
                Kind::Unknown(error) => Err(error),
            };
            // Otherwise deleted while we looked.
            if !matches!(&bytes, Err(error) if error.kind() == ErrorKind::NotFound) {
                let bytes = bytes.map_err(|error| self.fault(Call::Look(&key), error));
                objects.push(Object { key, bytes });
            }
        }
        Ok(())
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // A name that is not UTF-8 stays in the listing, so that nobody wonders where it went;
            // getting it fails.
            let name = entry.file_name().to_string_lossy().into_owned();
            if !key::is_partial(&name) {
                entries.extend(self.entry(name, entry.path()));
            }
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    /// None for what is no object: a pipe, a link out of the folder.
    fn entry(&self, name: String, path: PathBuf) -> Option<Entry> {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) => return Some(Entry { name, path, kind: Kind::Unknown(error) }),
        };
        if metadata.is_dir() {
            return Some(Entry { name: name + "/", path, kind: Kind::Folder });
        }
        // A link to a folder is not followed even inside: it could lead round in a circle.
        let inner = if metadata.is_symlink() {
            let target = path.canonicalize().ok().filter(|path| path.starts_with(&self.root))?;
            target.metadata().ok()?
        } else {
            metadata
        };
        inner.is_file().then_some(Entry { name, path, kind: Kind::File(inner.len()) })
    }

    fn fault(&self, call: Call<'_>, error: io::Error) -> StoreError {
        if error.kind() == ErrorKind::NotFound && !self.root.is_dir() {
            return StoreError::LocationMissing { location: self.location.to_string() };
        }
        fault(call, &self.location, error)
    }
}

/// What a folder holds.
struct Entry {
    /// A folder's ends with `/`: keys are compared with it, and `a-b` comes before `a/b`.
    name: String,
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    /// Of so many bytes.
    File(u64),
    Folder,
    /// The folder that holds it may be read and not entered, or its path is too long.
    Unknown(io::Error),
}

/// A file being written, removed unless it gets its final name.
struct Partial {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Partial {
    const ATTEMPTS_MAX: usize = 16;

    fn create(parent: &Path) -> io::Result<Self> {
        let mut outcome = Err(ErrorKind::AlreadyExists.into());
        for _ in 0..Self::ATTEMPTS_MAX {
            // The keys of a new hasher are random, which is all that is needed: `create_new` makes
            // sure that a name is nobody else's, on a shared file system too.
            let path = parent.join(key::partial(RandomState::new().hash_one(std::process::id())));
            outcome = File::create_new(&path).map(|file| Self { path, file, renamed: false });
            if !matches!(&outcome, Err(error) if error.kind() == ErrorKind::AlreadyExists) {
                break;
            }
        }
        outcome
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing can be done when this fails; listings do not show the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn fault(call: Call<'_>, location: &Location, error: io::Error) -> StoreError {
    let tried = call.on(location);
    let reason = error.to_string();
    match error.kind() {
        ErrorKind::NotFound => call.missing(location),
        ErrorKind::NotADirectory if matches!(call, Call::Get(_)) => call.missing(location),
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            call.invalid(location, KeyFault::Conflict)
        }
        ErrorKind::InvalidFilename => call.invalid(location, KeyFault::FileName),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            StoreError::PermissionDenied { tried, reason }
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { tried, reason },
        _ => StoreError::Other { tried, reason },
    }
}

/// Files block, so they are read and written on the threads that tokio keeps for that.
///
/// Once started, the work goes on when the caller stops waiting.
async fn blocking<T: Send + 'static>(
    call: Call<'_>,
    location: Location,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
        Err(_) => Err(call.other(&location, "the program is stopping")),
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
