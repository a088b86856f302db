//! Identities: what a handle, an operation, a task or a session is called on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names one channel everywhere. 128 random bits: whoever holds it may use the channel, so it is
/// never guessed, and never printed whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelId(pub u128);

/// Names one spawned task. Chosen by the process that spawns it, so that a repeated request is
/// recognised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u128);

/// Names one send, receive or close under way, within one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OperationId(pub u64);

/// Names one incarnation of a client or worker, as the coordinator sees it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct SessionId(pub u64);

impl ChannelId {
    /// A new identity, from the operating system's random source.
    pub fn random() -> Self {
        Self(random_u128())
    }
}

impl TaskId {
    /// A new identity, from the operating system's random source.
    pub fn random() -> Self {
        Self(random_u128())
    }

    /// The same, and another for the channel of its outcome: one call of the system for both.
    pub fn with_result() -> (Self, ChannelId) {
        let bytes: [u8; 32] = crate::chance::bytes();
        let (mut task, mut result) = ([0; 16], [0; 16]);
        task.copy_from_slice(&bytes[..16]);
        result.copy_from_slice(&bytes[16..]);
        (Self(u128::from_le_bytes(task)), ChannelId(u128::from_le_bytes(result)))
    }
}

/// 128 bits from the operating system, read anew each time: a process restored from a snapshot
/// shares no generator state with its copies.
fn random_u128() -> u128 {
    u128::from_le_bytes(crate::chance::bytes())
}

/// Sixteen bits are enough to follow a channel through a log and too few to use it.
fn fingerprint(id: u128) -> u16 {
    let folded = (id ^ (id >> 64)) as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16
}

impl fmt::Display for ChannelId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "channel {:04x}", fingerprint(self.0))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "task {:04x}", fingerprint(self.0))
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "operation {}", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "session {}", self.0)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_random_and_never_printed_whole() {
        let (one, other) = (ChannelId::random(), ChannelId::random());
        assert_ne!(one, other);
        let text = format!("{one:?} {one}");
        assert!(!text.contains(&format!("{:x}", one.0 as u32)), "{text}");
        assert!(text.len() < 30, "{text}");
    }
}
