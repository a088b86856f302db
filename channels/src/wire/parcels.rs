//! Which frames bring values.

use std::slice;

use super::{Frame, Parcel};

macro_rules! parcels {
    ($frame:expr, $alone:path, $none:expr) => {
        match $frame {
            Frame::Send { parcel, .. }
            | Frame::TrySend { parcel, .. }
            | Frame::Restore { parcel, .. }
            | Frame::RestoreLeased { parcel, .. }
            | Frame::Return { parcel, .. }
            | Frame::Offer { parcel, .. }
            | Frame::Spawn { arguments: parcel, .. }
            | Frame::Run { arguments: parcel, .. }
            | Frame::Unstarted { arguments: parcel, .. }
            | Frame::Finished { outcome: parcel, .. } => $alone(parcel),
            Frame::Prepaid { parcels, .. } | Frame::Early { parcels, .. } => parcels,
            _ => $none,
        }
    };
}

impl Frame {
    /// The values that it brings by itself: not those of a channel that lands, nor of a frame that
    /// is told to be whole.
    pub(crate) fn parcels(&self) -> &[Parcel] {
        parcels!(self, slice::from_ref, &[])
    }

    /// The same, to be changed.
    pub(crate) fn parcels_mut(&mut self) -> &mut [Parcel] {
        parcels!(self, slice::from_mut, &mut [])
    }
}
