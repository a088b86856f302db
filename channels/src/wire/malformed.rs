//! What is said of bytes that are no frame.

/// Bytes that are not a frame. Says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed frame: {reason}")]
pub struct MalformedFrame {
    reason: String,
}

impl MalformedFrame {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    pub(super) fn within(self, place: &str) -> Self {
        Self { reason: format!("{} in {place}", self.reason) }
    }
}
