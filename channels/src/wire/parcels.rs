//! Many values in one frame, end to end: what is done with a frame costs the same however many
//! there are, and nobody in between takes it apart.

use bytes::{Buf, Bytes};

use super::{HANDLES_MAX, MalformedFrame, PARCELS_MAX, Parcel, Passage};

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// Values of one channel, in their order, all written by the same codec.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Parcels {
    pub(super) codec: u8,
    pub(super) count: u32,
    /// How long each payload is, in four bytes; nothing if all are equally long.
    pub(super) lengths: Bytes,
    pub(super) payloads: Bytes,
    pub(super) passages: Vec<Passage>,
    /// In which value each of the passages is. Never falls.
    pub(super) owners: Vec<u32>,
}

impl Parcels {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What the payloads come to, in bytes.
    pub fn bytes(&self) -> usize {
        self.payloads.len()
    }

    /// The handles in all of them.
    pub fn passages(&self) -> &[Passage] {
        &self.passages
    }

    /// The values, one by one.
    pub fn iter(&self) -> impl Iterator<Item = Parcel> + use<> {
        self.clone().into_iter()
    }

    /// Takes the first so many out, or all if there are fewer.
    pub fn split_to(&mut self, count: usize) -> Self {
        let count = count.min(self.len());
        if count == self.len() {
            return std::mem::take(self);
        }
        let bytes = match self.lengths.len() {
            0 => count * self.length(),
            _ => self.lengths.chunks(LENGTH_BYTES).take(count).map(length_at).sum(),
        };
        let lengths = self.lengths.split_to(self.lengths.len().min(count * LENGTH_BYTES));
        let payloads = self.payloads.split_to(bytes);
        let handles = self.owners.partition_point(|owner| (*owner as usize) < count);
        let rest = self.owners.split_off(handles);
        let owners = std::mem::replace(&mut self.owners, rest);
        self.owners.iter_mut().for_each(|owner| *owner -= count as u32);
        let rest = self.passages.split_off(handles);
        let passages = std::mem::replace(&mut self.passages, rest);
        self.count -= count as u32;
        Self { codec: self.codec, count: count as u32, lengths, payloads, passages, owners }
    }

    /// Takes the first out.
    pub fn take_first(&mut self) -> Option<Parcel> {
        if self.is_empty() {
            return None;
        }
        let (codec, payload) = (self.codec, self.payloads.split_to(self.length()));
        self.note_first_gone();
        if self.owners.is_empty() {
            return Some(Parcel { codec, payload, passages: Vec::new() });
        }
        let handles = self.owners.partition_point(|owner| *owner == 0);
        self.owners.drain(..handles);
        self.owners.iter_mut().for_each(|owner| *owner -= 1);
        let passages = self.passages.drain(..handles).collect();
        Some(Parcel { codec, payload, passages })
    }

    /// Takes the first out, if no handle is in any of them: its payload is appended. Says by which
    /// codec it was written.
    pub(crate) fn copy_first(&mut self, out: &mut Vec<u8>) -> Option<u8> {
        if self.count == 0 || !self.owners.is_empty() {
            return None;
        }
        let length = self.length();
        out.extend_from_slice(&self.payloads[..length]);
        self.payloads.advance(length);
        self.note_first_gone();
        Some(self.codec)
    }

    /// The payload, if there is one value.
    pub(super) fn sole_payload(&self) -> Option<&Bytes> {
        (self.count == 1).then_some(&self.payloads)
    }

    /// The same, to be changed.
    pub(super) fn sole_payload_mut(&mut self) -> Option<&mut Bytes> {
        if self.count != 1 {
            return None;
        }
        // The one length there may be will be another.
        self.lengths.clear();
        Some(&mut self.payloads)
    }

    /// The length of the first payload.
    fn length(&self) -> usize {
        match self.count {
            0 | 1 => self.payloads.len(),
            count if self.lengths.is_empty() => self.payloads.len() / count as usize,
            _ => length_at(&self.lengths[..LENGTH_BYTES]),
        }
    }

    fn note_first_gone(&mut self) {
        if !self.lengths.is_empty() {
            self.lengths.advance(LENGTH_BYTES);
        }
        self.count -= 1;
    }

    /// Why these are no values that belong together, if they are not.
    pub(super) fn check(&self) -> Result<(), MalformedFrame> {
        let count = self.len();
        if count > PARCELS_MAX {
            let reason = format!("{count} values in a frame; at most {PARCELS_MAX} are allowed");
            return Err(MalformedFrame::new(reason));
        }
        let fits = match self.lengths.len() {
            0 if count == 0 => self.payloads.is_empty(),
            0 => self.payloads.len().is_multiple_of(count),
            bytes => {
                let sum: usize = self.lengths.chunks(LENGTH_BYTES).map(length_at).sum();
                bytes == count * LENGTH_BYTES && sum == self.payloads.len()
            }
        };
        if !fits {
            let bytes = self.payloads.len();
            let reason = format!("{bytes} bytes are not {count} values of the lengths given");
            return Err(MalformedFrame::new(reason));
        }
        let in_order = self.owners.is_sorted();
        let last = self.owners.last().map_or(0, |last| *last as usize + 1);
        if self.owners.len() != self.passages.len() || !in_order || last > count {
            let reason = format!("{} handles in {count} values", self.passages.len());
            return Err(MalformedFrame::new(reason));
        }
        Ok(())
    }
}

impl Iterator for Values {
    type Item = Parcel;

    fn next(&mut self) -> Option<Parcel> {
        self.0.take_first()
    }
}

/// The values of [`Parcels`], one by one.
#[derive(Clone, Debug)]
pub struct Values(Parcels);

impl IntoIterator for Parcels {
    type Item = Parcel;
    type IntoIter = Values;

    fn into_iter(self) -> Values {
        Values(self)
    }
}

impl From<Parcel> for Parcels {
    fn from(parcel: Parcel) -> Self {
        let Parcel { codec, payload: payloads, passages } = parcel;
        let owners = vec![0; passages.len()];
        Self { codec, count: 1, lengths: Bytes::new(), payloads, passages, owners }
    }
}

impl From<Vec<Parcel>> for Parcels {
    /// # Panics
    ///
    /// If they do not fit into one frame: of different codecs, or too many, or too many handles.
    fn from(parcels: Vec<Parcel>) -> Self {
        let mut gathered = Gathered::default();
        for parcel in &parcels {
            assert!(gathered.admits(parcel), "these values do not fit into one frame");
            gathered.push(parcel);
        }
        gathered.finish()
    }
}

impl std::fmt::Debug for Parcels {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.iter()).finish()
    }
}

fn length_at(bytes: &[u8]) -> usize {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

/// Values that are being gathered for a frame.
#[derive(Debug, Default)]
pub struct Gathered {
    codec: u8,
    count: u32,
    /// How long each is, as long as all are equally long.
    length: usize,
    lengths: Vec<u8>,
    payloads: Vec<u8>,
    passages: Vec<Passage>,
    owners: Vec<u32>,
    /// The only one, for it may be large.
    sole: Option<Bytes>,
}

impl Gathered {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What the payloads come to, in bytes.
    pub fn bytes(&self) -> usize {
        self.sole.as_ref().map_or(self.payloads.len(), Bytes::len)
    }

    /// Whether one more may be in the same frame, however large.
    pub fn admits(&self, parcel: &Parcel) -> bool {
        self.has_room(parcel.codec) && self.passages.len() + parcel.passages.len() <= HANDLES_MAX
    }

    /// The same of one without handles.
    #[inline]
    pub(crate) fn has_room(&self, codec: u8) -> bool {
        self.count == 0 || self.codec == codec && self.len() < PARCELS_MAX
    }

    /// Adds one, which is admitted.
    pub fn push(&mut self, parcel: &Parcel) {
        self.passages.extend_from_slice(&parcel.passages);
        self.owners.extend(parcel.passages.iter().map(|_| self.count));
        if self.count == 0 {
            (self.codec, self.length, self.count) = (parcel.codec, parcel.payload.len(), 1);
            self.sole = Some(parcel.payload.clone());
            return;
        }
        self.push_payload(parcel.codec, &parcel.payload);
    }

    /// Adds one without handles for which there is room.
    #[inline]
    pub(crate) fn push_payload(&mut self, codec: u8, payload: &[u8]) {
        if let Some(sole) = self.sole.take() {
            self.payloads.extend_from_slice(&sole);
        }
        if self.count == 0 {
            (self.codec, self.length) = (codec, payload.len());
        }
        if self.length != payload.len() || !self.lengths.is_empty() {
            self.note_length(payload.len());
        }
        self.payloads.extend_from_slice(payload);
        self.count += 1;
    }

    fn note_length(&mut self, length: usize) {
        if self.lengths.is_empty() {
            let equal = (self.length as u32).to_le_bytes();
            self.lengths = equal.repeat(self.len());
        }
        self.lengths.extend_from_slice(&(length as u32).to_le_bytes());
    }

    /// All of them.
    pub fn finish(self) -> Parcels {
        let Self { codec, count, lengths, payloads, passages, owners, sole, .. } = self;
        let payloads = sole.unwrap_or_else(|| payloads.into());
        Parcels { codec, count, lengths: lengths.into(), payloads, passages, owners }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChannelId;
    use crate::wire::Side;

    fn value(byte: u8, length: usize, handles: usize) -> Parcel {
        let passage = Passage { channel: ChannelId(byte.into()), side: Side::Send, capacity: 1 };
        let payload = vec![byte; length].into();
        Parcel { codec: 1, payload, passages: vec![passage; handles] }
    }

    /// Equally long and not, with handles and without, none of any length among them.
    fn lists() -> Vec<Vec<Parcel>> {
        vec![
            Vec::new(),
            vec![value(1, 7, 0)],
            (0..5).map(|n| value(n, 3, 0)).collect(),
            (0..5).map(|n| value(n, 0, 0)).collect(),
            (0..6).map(|n| value(n, n.into(), 0)).collect(),
            (0..6).map(|n| value(n, (5 - n).into(), usize::from(n) % 3)).collect(),
        ]
    }

    #[test]
    fn what_goes_in_comes_out_however_it_is_split() {
        for list in lists() {
            let all = Parcels::from(list.clone());
            assert!(all.check().is_ok());
            assert_eq!(all.iter().collect::<Vec<_>>(), list);
            for at in 0..=list.len() + 1 {
                let (mut rest, at_most) = (all.clone(), at.min(list.len()));
                let first = rest.split_to(at);
                assert_eq!(first.iter().collect::<Vec<_>>(), list[..at_most]);
                assert_eq!(rest.iter().collect::<Vec<_>>(), list[at_most..]);
                assert!(first.check().is_ok() && rest.check().is_ok());
            }
        }
    }

    #[test]
    fn values_without_handles_are_copied_one_after_the_other() {
        for list in lists() {
            let (mut all, has_handles) =
                (Parcels::from(list.clone()), list.iter().any(|value| !value.passages.is_empty()));
            for value in list.iter().filter(|_| !has_handles) {
                let mut payload = Vec::new();
                assert_eq!(all.copy_first(&mut payload), Some(1));
                assert_eq!(payload, value.payload);
            }
            assert_eq!(all.copy_first(&mut Vec::new()), None);
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let whole = Parcels::from(lists().pop().unwrap());
        let changes: [fn(&mut Parcels); 6] = [
            |all| all.count += 1,
            |all| all.count = PARCELS_MAX as u32 + 1,
            |all| drop(all.payloads.split_off(3)),
            |all| all.lengths = vec![0xff; 24].into(),
            |all| all.owners[0] = 6,
            |all| all.passages.truncate(1),
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut changed = whole.clone();
            change(&mut changed);
            assert!(changed.check().is_err(), "change {at}");
        }
        let odd = Parcels { count: 2, payloads: vec![1, 2, 3].into(), ..Parcels::default() };
        assert!(odd.check().is_err());
    }
}
