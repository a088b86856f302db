//! What one session may have at the coordinator, and what all of them together. Whoever wants more
//! is cut off, so that one program that runs wild does not take the others with it.

/// Tasks known at once. Fewer than the channels that a session may have, for each has one for its
/// outcome.
pub(crate) const TASKS_MAX: usize = 900_000;

/// Generous bounds: an honest program comes near them only by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Channels to which it has a handle, those of outcomes included.
    pub channels_max: usize,
    /// Sends and receives that wait.
    pub operations_max: usize,
    /// What it has sent and nobody has taken, outcomes of the tasks that it spawned included.
    pub undelivered_bytes_max: usize,
    /// What one channel holds of values that nobody has taken, in bytes, but for the last few: then
    /// it is full, whatever its capacity, and sends wait.
    pub channel_bytes_max: usize,
    /// What waits for it to be read, in bytes. It may have asked for more: then its link ends only
    /// if it reads nothing for a while, or if it is a multiple of this.
    pub queued_bytes_max: usize,
}

impl Default for Limits {
    /// A million channels, a million operations, 1 GiB to be taken and 64 MiB of it in one channel,
    /// 256 MiB to be read.
    fn default() -> Self {
        Self {
            channels_max: 1_000_000,
            operations_max: 1_000_000,
            undelivered_bytes_max: 1 << 30,
            channel_bytes_max: 64 << 20,
            queued_bytes_max: 256 << 20,
        }
    }
}

/// What all sessions of a coordinator have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Values under way, and what channels and tasks take besides, in bytes.
    pub bytes: usize,
    /// What came of values that are not whole yet, and what waits to be read, in bytes; as of the
    /// last tick.
    pub in_transit: usize,
}

#[cfg(feature = "service")]
impl Load {
    /// Both together.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            tasks: self.tasks.saturating_add(other.tasks),
            bytes: self.bytes.saturating_add(other.bytes),
            in_transit: self.in_transit.saturating_add(other.in_transit),
        }
    }

    /// What is left without the other.
    pub(crate) fn without(self, other: Self) -> Self {
        Self {
            tasks: self.tasks.saturating_sub(other.tasks),
            bytes: self.bytes.saturating_sub(other.bytes),
            in_transit: self.in_transit.saturating_sub(other.in_transit),
        }
    }
}

/// What they may have. One task more never starts; beyond the bytes the session that has the most
/// is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room(pub Load);

impl Default for Room {
    /// 900 000 tasks, and as many bytes as the sessions may have.
    fn default() -> Self {
        Self(Load { tasks: TASKS_MAX, bytes: usize::MAX, in_transit: usize::MAX })
    }
}
