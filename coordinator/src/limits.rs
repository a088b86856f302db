//! What one session may have at the coordinator. Whoever wants more is cut off, so that one program
//! that runs wild does not take the others with it.

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
