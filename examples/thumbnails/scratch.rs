//! Where the output goes if nobody says: a new folder in the temporary directory. Its name is drawn
//! by lot and it is open to this user alone, so nothing is in it that this run did not make, and
//! nobody else can have prepared it.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::flags::ORIGINALS;

/// The folder. It is removed, unless it is left.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        tempfile::Builder::new()
            .prefix("farspawn-thumbnails-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves the thumbnails. Photographs of our own are removed: they are a thousand times larger,
    /// and the next run makes the same.
    pub(crate) fn leave(self) -> io::Result<()> {
        let originals = self.0.keep().join(ORIGINALS);
        match std::fs::remove_dir_all(originals) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
