//! What frames bring: payloads, and the handles in them.

use bytes::Bytes;

use super::{Frame, Passage};

macro_rules! brought {
    ($frame:expr, $parcel:ident => $alone:expr, $parcels:ident => $many:expr, $none:expr) => {
        match $frame {
            Frame::Send { parcel: $parcel, .. }
            | Frame::TrySend { parcel: $parcel, .. }
            | Frame::Restore { parcel: $parcel, .. }
            | Frame::RestoreLeased { parcel: $parcel, .. }
            | Frame::Return { parcel: $parcel, .. }
            | Frame::Prepared { parcel: $parcel, .. }
            | Frame::Offer { parcel: $parcel, .. }
            | Frame::Spawn { arguments: $parcel, .. }
            | Frame::Run { arguments: $parcel, .. }
            | Frame::Unstarted { arguments: $parcel, .. }
            | Frame::Finished { outcome: $parcel, .. } => $alone,
            Frame::Prepaid { parcels: $parcels, .. } | Frame::Early { parcels: $parcels, .. } => {
                $many
            }
            _ => $none,
        }
    };
}

/// Of the values that a frame brings by itself: not those of a channel that lands, nor of a frame
/// that is told to be whole.
impl Frame {
    /// The payload of the only value.
    pub(crate) fn payload(&self) -> Option<&Bytes> {
        brought!(self, one => Some(&one.payload), all => all.sole_payload(), None)
    }

    /// The same, to be changed.
    pub(crate) fn payload_mut(&mut self) -> Option<&mut Bytes> {
        brought!(self, one => Some(&mut one.payload), all => all.sole_payload_mut(), None)
    }

    /// What the payloads come to, in bytes.
    pub(crate) fn payload_bytes(&self) -> usize {
        brought!(self, one => one.payload.len(), all => all.bytes(), 0)
    }

    /// The handles in the values.
    pub(crate) fn passages(&self) -> &[Passage] {
        brought!(self, one => &one.passages, all => all.passages(), &[])
    }
}
