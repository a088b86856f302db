//! Where objects are: a name that travels in the arguments of tasks, so it never holds a secret.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::key::{self, KeyFault};

/// A folder, or a bucket and what the keys in it start with.
///
/// Fields are public and may come from another process, so [`Location::open`] checks them again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Location {
    /// Files below this path, which each worker must see under the same name.
    Folder(PathBuf),
    /// Objects in a bucket.
    S3 {
        /// The name of the bucket.
        bucket: String,
        /// The start of all keys, without the `/` that follows it; empty for the whole bucket.
        prefix: String,
        /// The URL of a server that is not AWS, or none for AWS.
        endpoint: Option<String>,
    },
}

/// Why a location cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub(crate) enum LocationError {
    /// A path that cannot be made absolute, or cannot be sent as text.
    #[error("the folder {path:?} cannot be used: {reason}")]
    Folder {
        /// The path as text, which may have lost something.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// See the naming rules of S3.
    #[error(
        "{text:?} does not name a place in S3: {rule}; \
         expected BUCKET/PREFIX, such as my-photos/2026/originals, or a BUCKET alone"
    )]
    Bucket {
        /// What was given.
        text: String,
        /// The rule that it breaks.
        rule: String,
    },
    /// See [`KeyFault`].
    #[error("the prefix {prefix:?} cannot start a key: {fault}; expected BUCKET/PREFIX")]
    Prefix {
        /// What was given.
        prefix: String,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// A URL may hold a password, so the text is not repeated here.
    #[error("the S3 endpoint cannot be used: {rule}; expected a URL such as http://127.0.0.1:9000")]
    Endpoint {
        /// The rule that it breaks.
        rule: String,
    },
}

impl Location {
    /// A folder, by an absolute path, since workers have other current folders than the caller.
    pub(crate) fn folder(path: impl AsRef<Path>) -> Result<Self, LocationError> {
        let path = path.as_ref();
        let location = std::path::absolute(path).map(Self::Folder).map_err(|error| {
            LocationError::Folder { path: path.display().to_string(), reason: error.to_string() }
        })?;
        location.check().map(|()| location)
    }

    /// Parses `BUCKET/PREFIX`; an `s3://` before it is ignored, and so is a `/` at the end.
    pub(crate) fn s3(text: &str, endpoint: Option<&str>) -> Result<Self, LocationError> {
        let name = text.strip_prefix("s3://").unwrap_or(text);
        let (bucket, prefix) = name.split_once('/').unwrap_or((name, ""));
        check_bucket(bucket)
            .map_err(|rule| LocationError::Bucket { text: text.to_owned(), rule: rule.into() })?;
        let location = Self::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.strip_suffix('/').unwrap_or(prefix).to_owned(),
            endpoint: endpoint.map(str::to_owned),
        };
        location.check().map(|()| location)
    }

    pub(super) fn check(&self) -> Result<(), LocationError> {
        match self {
            Self::Folder(path) => check_folder(path),
            Self::S3 { bucket, prefix, endpoint } => {
                check_bucket(bucket).map_err(|rule| LocationError::Bucket {
                    text: bucket.clone(),
                    rule: rule.into(),
                })?;
                if !prefix.is_empty() {
                    key::check(prefix)
                        .map_err(|fault| LocationError::Prefix { prefix: prefix.clone(), fault })?;
                }
                endpoint
                    .as_deref()
                    .map_or(Ok(()), check_endpoint)
                    .map_err(|rule| LocationError::Endpoint { rule: rule.into() })
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(formatter, "folder {}", path.display()),
            Self::S3 { bucket, prefix, endpoint } => {
                write!(formatter, "s3://{bucket}")?;
                if !prefix.is_empty() {
                    write!(formatter, "/{prefix}")?;
                }
                endpoint.as_ref().map_or(Ok(()), |url| write!(formatter, " at {url}"))
            }
        }
    }
}

fn check_folder(path: &Path) -> Result<(), LocationError> {
    let reason = match path.to_str() {
        None => "its name is not UTF-8, so it cannot be sent to workers",
        Some("") => "it is empty",
        Some(text) if text.contains('\0') => "its name has a NUL character",
        Some(_) => return Ok(()),
    };
    Err(LocationError::Folder { path: path.display().to_string(), reason: reason.to_owned() })
}

/// The rules of shape only. Names that S3 keeps for itself (such as `…-s3alias`) cannot be created
/// by users, but they can be used.
fn check_bucket(bucket: &str) -> Result<(), &'static str> {
    let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = bucket.as_bytes();
    if !(3..=63).contains(&bytes.len()) {
        return Err("a bucket's name has 3 to 63 characters");
    }
    if !bytes.iter().all(|&byte| is_edge(byte) || byte == b'-' || byte == b'.') {
        return Err("a bucket's name has only lower-case letters, digits, '-' and '.'");
    }
    if !is_edge(bytes[0]) || !is_edge(bytes[bytes.len() - 1]) {
        return Err("a bucket's name starts and ends with a letter or a digit");
    }
    if bucket.contains("..") {
        return Err("a bucket's name has no two dots in a row");
    }
    if bucket.parse::<Ipv4Addr>().is_ok() {
        return Err("a bucket's name does not look like an IP address");
    }
    Ok(())
}

fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    let authority = endpoint
        .strip_prefix("http://")
        .or_else(|| endpoint.strip_prefix("https://"))
        .ok_or("it does not start with http:// or https://")?;
    if authority.contains('@') {
        return Err("it must not hold a name or password, because every worker is sent it");
    }
    if authority.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    if authority.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err("it has a space or a control character");
    }
    if authority.is_empty() || authority.starts_with(['/', ':']) {
        return Err("it has no host");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_and_prefix_are_parsed() {
        let rows = [
            ("photos", "photos", "", "s3://photos"),
            ("photos/", "photos", "", "s3://photos"),
            ("photos/2026/in", "photos", "2026/in", "s3://photos/2026/in"),
            ("s3://my.photos/2026/", "my.photos", "2026", "s3://my.photos/2026"),
        ];
        for (text, bucket, prefix, shown) in rows {
            let location = Location::s3(text, None).expect(text);
            let expected = Location::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
                endpoint: None,
            };
            assert_eq!(location, expected);
            assert_eq!(location.to_string(), shown);
        }
    }

    #[test]
    fn wrong_names_are_refused_with_the_expected_form() {
        let long = "b".repeat(64);
        let names =
            ["", "/", "ab", "Photos/x", "a_b_c", "-abc", "abc-", "a..b", "192.168.0.1", &long];
        for text in names.into_iter().chain(["photos/../x", "photos//x", "photos/x//"]) {
            let error = Location::s3(text, None).expect_err(text).to_string();
            assert!(error.contains("BUCKET/PREFIX"), "{text:?}: {error}");
        }
    }

    #[test]
    fn endpoints_are_checked_and_hold_no_secret() {
        for endpoint in ["http://127.0.0.1:9000", "https://s3.example.org", "http://[::1]:9000/"] {
            let location = Location::s3("photos", Some(endpoint)).expect(endpoint);
            assert_eq!(location.to_string(), format!("s3://photos at {endpoint}"));
        }
        let user = "http://user:hush@host";
        for endpoint in ["", "host:9000", "ftp://host", "http://", "http:///x", "http://h?a", user]
        {
            let error = Location::s3("photos", Some(endpoint)).expect_err(endpoint).to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn folders_become_absolute() {
        let Ok(Location::Folder(path)) = Location::folder("photos") else { panic!("no folder") };
        assert!(path.is_absolute() && path.ends_with("photos"));
        assert!(Location::folder("").is_err());
        assert!(Location::folder("a\0b").is_err());
    }
}
