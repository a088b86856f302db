//! The object store of the thumbnails job: a folder, or an S3 bucket, behind three calls.
//!
//! - [`Location`] says where objects are. It travels in the arguments of tasks, so it holds names
//!   only; each worker finds its own credentials.
//! - [`Location::open`] gives a [`Store`], which can `get`, `put` and `list`.
//! - [`StoreError`] is why one of them failed, as a sentence to put in the row of a photo.
//!
//! Modules, from the outside in: `location` (names and their rules), `error`, `key` (which keys are
//! accepted), `folder`, and with the cargo feature `aws` `s3`, `s3_client` and `s3_failure`.

// Paths are spelled out because the S3 tests include this file by `#[path]`, which would otherwise
// move the search for the modules below one folder up.
#[path = "store/error.rs"]
mod error;
#[path = "store/folder.rs"]
mod folder;
#[path = "store/key.rs"]
mod key;
#[path = "store/location.rs"]
mod location;
#[cfg(feature = "aws")]
#[path = "store/s3.rs"]
mod s3;
#[cfg(feature = "aws")]
#[path = "store/s3_client.rs"]
mod s3_client;
#[cfg(feature = "aws")]
#[path = "store/s3_failure.rs"]
mod s3_failure;

use bytes::Bytes;

pub(crate) use self::error::StoreError;
pub(crate) use self::location::Location;

/// An open location. Clones share what is costly, so a clone for each task is fine.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// Objects are files below a folder.
    Folder(folder::Folder),
    /// Objects are in a bucket.
    #[cfg(feature = "aws")]
    S3(s3::S3),
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Its name below the location, with `/` between parts. A folder that could not be looked into
    /// ends with `/`, as no object does.
    pub(crate) key: String,
    /// Its size, or why it could not be looked at.
    pub(crate) bytes: Result<u64, StoreError>,
}

impl Location {
    /// Makes the location ready for use.
    ///
    /// A missing folder is reported here, a missing bucket by the first call: asking S3 beforehand
    /// would need a permission that the calls themselves may do without.
    pub(crate) async fn open(&self) -> Result<Store, StoreError> {
        self.check()?;
        match self {
            Self::Folder(path) => folder::Folder::open(path).await.map(Store::Folder),
            #[cfg(feature = "aws")]
            Self::S3 { .. } => s3::S3::open(self).await.map(Store::S3),
            #[cfg(not(feature = "aws"))]
            Self::S3 { .. } => Err(StoreError::Unsupported { location: self.to_string() }),
        }
    }
}

impl Store {
    /// Reads a whole object, unless it is larger than `bytes_max`: then nothing of it is read.
    ///
    /// Cancel safe.
    pub(crate) async fn get(&self, key: &str, bytes_max: u64) -> Result<Bytes, StoreError> {
        match self {
            Self::Folder(folder) => folder.get(key, bytes_max).await,
            #[cfg(feature = "aws")]
            Self::S3(s3) => s3.get(key, bytes_max).await,
        }
    }

    /// Writes a whole object, over an older one of that name; readers see one or the other.
    ///
    /// A folder has nowhere to keep `content_type`. When this is cancelled the object is either
    /// written or not, never in part.
    pub(crate) async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
    ) -> Result<(), StoreError> {
        match self {
            Self::Folder(folder) => folder.put(key, bytes, content_type).await,
            #[cfg(feature = "aws")]
            Self::S3(s3) => s3.put(key, bytes, content_type).await,
        }
    }

    /// The first `object_max` objects, in the order of their keys' bytes. What cannot be looked at
    /// is among them, with the reason; an error is that the location itself cannot be listed.
    ///
    /// Cancel safe.
    pub(crate) async fn list(&self, object_max: usize) -> Result<Vec<Object>, StoreError> {
        match self {
            Self::Folder(folder) => folder.list(object_max).await,
            #[cfg(feature = "aws")]
            Self::S3(s3) => s3.list(object_max).await,
        }
    }
}
