//! What is sent: a number, or a block of 1 KiB that begins with one.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that carries a number, so that a lap can check that all arrived.
pub(crate) trait Value: channels::Message + Sync + Unpin {
    /// The value that carries this number.
    fn of(number: u64) -> Self;

    /// The number that it carries.
    fn number(&self) -> u64;
}

impl Value for u64 {
    fn of(number: u64) -> Self {
        number
    }

    fn number(&self) -> u64 {
        *self
    }
}

const BLOCK_BYTES: usize = 1024;

/// 1 KiB, moved by value.
pub(crate) struct Block([u8; BLOCK_BYTES]);

impl Value for Block {
    fn of(number: u64) -> Self {
        let mut bytes = [0; BLOCK_BYTES];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Self(bytes)
    }

    fn number(&self) -> u64 {
        let (number, _) = self.0.split_first_chunk().expect("a block is longer than a number");
        u64::from_le_bytes(*number)
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BlockVisitor)
    }
}

struct BlockVisitor;

impl Visitor<'_> for BlockVisitor {
    type Value = Block;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{BLOCK_BYTES} bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Block, E> {
        bytes.try_into().map(Block).map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}
