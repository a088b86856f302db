//! Why the store failed: what was tried, on what, and what to do about it.
//!
//! Causes are kept as text rather than as sources, because the error travels: it is the reason in
//! the row of a photo, written by a worker and read by the main program.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::key::KeyFault;
use super::location::{Location, LocationError};

/// Why a call of the store failed. `tried` says which call it was, on which key and location.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub(crate) enum StoreError {
    /// The location is there, the object is not.
    #[error(
        "there is no object {key:?} in {location}: check the key, or whether it was deleted after \
         it was listed"
    )]
    NotFound {
        /// Where it was looked for.
        location: String,
        /// Which one.
        key: String,
    },
    /// No such folder or bucket.
    #[error(
        "{location} does not exist: create it, or correct its name; a folder must be visible to \
         every worker under the same path"
    )]
    LocationMissing {
        /// Where it was looked for.
        location: String,
    },
    /// The file system's or the bucket's rights forbid it.
    #[error("no permission to {tried}: {reason}; grant it to the user or role of this process")]
    PermissionDenied {
        /// Which call.
        tried: String,
        /// The words of the file system or of S3.
        reason: String,
    },
    /// No space, or a quota was reached.
    #[error("no space left to {tried}: {reason}; free some, or raise the quota, then run again")]
    Full {
        /// Which call.
        tried: String,
        /// The words of the file system or of S3.
        reason: String,
    },
    /// No answer, or the connection broke.
    #[error(
        "could not reach the server to {tried}: {reason}; check the endpoint and that this machine \
         may connect to it"
    )]
    Unreachable {
        /// Which call.
        tried: String,
        /// For instance that the connection was refused.
        reason: String,
    },
    /// It was not read.
    #[error(
        "the object {key:?} in {location} has {bytes} bytes, more than the {bytes_max} allowed: \
         raise the limit, or leave it out"
    )]
    TooLarge {
        /// Where it is.
        location: String,
        /// Which one.
        key: String,
        /// Its size.
        bytes: u64,
        /// The caller's limit.
        bytes_max: u64,
    },
    /// See [`KeyFault`].
    #[error("cannot {tried}: {fault}; rename the object")]
    InvalidKey {
        /// Which call.
        tried: String,
        /// What is wrong with the key.
        fault: KeyFault,
    },
    /// None found, or not accepted.
    #[error(
        "no valid credentials to {tried}: {reason}; give every worker AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, a profile, or a role"
    )]
    Credentials {
        /// Which call.
        tried: String,
        /// Where they were looked for, or what S3 said of them.
        reason: String,
    },
    /// See [`LocationError`].
    #[error(transparent)]
    InvalidLocation(#[from] LocationError),
    /// The AWS SDK is not part of the default build.
    #[error("cannot open {location}: built without S3; build with `--features aws`")]
    Unsupported {
        /// What was to be opened.
        location: String,
    },
    /// What none of the above says.
    #[error("could not {tried}: {reason}")]
    Other {
        /// Which call.
        tried: String,
        /// What is known about the cause.
        reason: String,
    },
}

/// A call of the store, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call<'a> {
    Open,
    Get(&'a str),
    Put(&'a str),
    List,
    /// The part of a listing that is about one file or folder.
    Look(&'a str),
}

impl Call<'_> {
    /// As it follows "could not".
    pub(super) fn on(self, location: &Location) -> String {
        match self {
            Self::Open => format!("open {location}"),
            Self::Get(key) => format!("read {key:?} from {location}"),
            Self::Put(key) => format!("write {key:?} to {location}"),
            Self::List => format!("list {location}"),
            Self::Look(key) => format!("look at {key:?} in {location}"),
        }
    }

    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Get(key) | Self::Put(key) | Self::Look(key) => Some(key),
            Self::Open | Self::List => None,
        }
    }

    /// What it means that something named by this call is not there.
    pub(super) fn missing(&self, location: &Location) -> StoreError {
        let location = location.to_string();
        match self.key() {
            Some(key) => StoreError::NotFound { location, key: key.to_owned() },
            None => StoreError::LocationMissing { location },
        }
    }

    pub(super) fn invalid(self, location: &Location, fault: KeyFault) -> StoreError {
        StoreError::InvalidKey { tried: self.on(location), fault }
    }

    pub(super) fn other(self, location: &Location, reason: impl fmt::Display) -> StoreError {
        StoreError::Other { tried: self.on(location), reason: reason.to_string() }
    }
}
