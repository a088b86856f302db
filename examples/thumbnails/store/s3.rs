//! The store in S3, or in a server that speaks like it.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};

use super::Object;
use super::error::{Call, StoreError};
use super::key;
use super::location::Location;
use super::s3_client;
use super::s3_failure::{body_failure, failure};

/// The most keys that S3 puts in one page.
const PAGE_OBJECT_MAX: usize = 1000;

/// An open bucket.
#[derive(Clone, Debug)]
pub(crate) struct S3 {
    client: Client,
    bucket: String,
    /// What keys start with: empty, or ending in `/`, so that `in` does not list `in2`.
    start: String,
    location: Location,
}

impl S3 {
    /// `location` must be in S3; a folder is refused.
    pub(super) async fn open(location: &Location) -> Result<Self, StoreError> {
        let Location::S3 { bucket, prefix, endpoint } = location else {
            return Err(Call::Open.other(location, "it is not in S3"));
        };
        let client = s3_client::client(location, endpoint.as_deref()).await?;
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { client, bucket: bucket.clone(), start, location: location.clone() })
    }

    pub(super) async fn get(&self, key: &str, bytes_max: u64) -> Result<Bytes, StoreError> {
        let call = Call::Get(key);
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full_key(call, key)?)
            .send()
            .await
            .map_err(|error| failure(call, &self.location, &error))?;
        // The answer starts with the size: a body too many is never asked for, and dropping it
        // closes the connection.
        let announced = answer.content_length.and_then(|bytes| u64::try_from(bytes).ok());
        self.check_size(key, announced.unwrap_or(0), bytes_max)?;
        let mut body = answer.body;
        let mut bytes = BytesMut::with_capacity(announced.map_or(0, |size| size as usize));
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| body_failure(call, &self.location, &error))?;
            // A server may announce no size.
            self.check_size(key, (bytes.len() + chunk.len()) as u64, bytes_max)?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    pub(super) async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
    ) -> Result<(), StoreError> {
        let call = Call::Put(key);
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full_key(call, key)?)
            .content_type(content_type)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map(drop)
            .map_err(|error| failure(call, &self.location, &error))
    }

    pub(super) async fn list(&self, object_max: usize) -> Result<Vec<Object>, StoreError> {
        let page_object_max = object_max.clamp(1, PAGE_OBJECT_MAX);
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&self.start)
            .into_paginator()
            .page_size(page_object_max as i32)
            .send();
        let mut objects = Vec::new();
        while objects.len() < object_max {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| failure(Call::List, &self.location, &error))?;
            objects.extend(page.contents.unwrap_or_default().iter().filter_map(|o| self.object(o)));
        }
        // S3 sorts by itself, except in buckets of the express class.
        objects.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        objects.truncate(object_max);
        Ok(objects)
    }

    /// None for the empty objects that stand for folders: no file in a folder would be one.
    fn object(&self, listed: &aws_sdk_s3::types::Object) -> Option<Object> {
        let key = listed.key()?.strip_prefix(&self.start)?;
        if key.is_empty() || key.ends_with('/') {
            return None;
        }
        let bytes = listed.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        Some(Object { key: key.to_owned(), bytes: Ok(bytes) })
    }

    fn full_key(&self, call: Call<'_>, key: &str) -> Result<String, StoreError> {
        let full = format!("{}{key}", self.start);
        key::check(key)
            .and_then(|()| key::check(&full))
            .map(|()| full)
            .map_err(|fault| call.invalid(&self.location, fault))
    }

    fn check_size(&self, key: &str, bytes: u64, bytes_max: u64) -> Result<(), StoreError> {
        if bytes <= bytes_max {
            return Ok(());
        }
        let location = self.location.to_string();
        Err(StoreError::TooLarge { location, key: key.to_owned(), bytes, bytes_max })
    }
}
