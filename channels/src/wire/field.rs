//! How each kind of field is written and read. Reading never trusts a length.

use bytes::{Buf, BufMut, Bytes};

use super::{
    Build, CONTENTS_MAX, Contents, End, Frame, HANDLES_MAX, MalformedFrame, PARCELS_MAX, Parcel,
    Parcels, Passage, Place, Role, Secret, Side, SpawnOptions, Stats, TEXT_BYTES_MAX, Usage,
    Vitals, WHOLE_BYTES_MAX,
};
use crate::id::{ChannelId, OperationId, SessionId, TaskId};

/// A field of a frame.
pub(super) trait Field: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn read(body: &mut Bytes) -> Result<Self, MalformedFrame>;
}

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.put_slice(&self.to_le_bytes());
            }

            fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
                Ok(Self::from_le_bytes(take_array(body)?))
            }
        }
    )* };
}

numbers! { u8 u16 u32 u64 u128 f32 }

macro_rules! newtypes {
    ($($type:ident($inner:ty))*) => { $(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
                Ok(Self(<$inner>::read(body)?))
            }
        }
    )* };
}

newtypes! { ChannelId(u128) TaskId(u128) OperationId(u64) SessionId(u64) Secret([u8; 32]) }

macro_rules! records {
    ($($type:ident { $($field:ident: $inner:ty),* })*) => { $(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
                Ok(Self { $($field: <$inner>::read(body)?),* })
            }
        }
    )* };
}

records! {
    Passage { channel: ChannelId, side: Side, capacity: u32 }
    Parcel { codec: u8, payload: Bytes, passages: Vec<Passage> }
    Build { release: String, tasks: u32, hash: u64 }
    SpawnOptions { retries: u32, timeout_ms: u64, parent: Option<TaskId> }
    Usage {
        wall_us: u64, cpu_us: u64, queued_us: u64, bytes: u64, channel_bytes: u64, memory: u64
    }
    Vitals {
        cpu_us: u64, cores: f32, queue: u32, memory_bytes: u64, memory_max_bytes: u64,
        poll_age_us: u64
    }
    Contents {
        senders: u64, receivers: u64, values: Vec<Parcel>, sends: Vec<OperationId>,
        receives: Vec<OperationId>, anew: Vec<OperationId>, end: Option<End>
    }
    Stats {
        workers: u32, starting: u32, running: u32, pooled: u32, ended: u64, launches: u64,
        workers_us: u64, tasks_us: u64, channels: u64
    }
}

macro_rules! choices {
    ($($type:ident { $($number:literal $variant:ident
        $({ $($field:ident: $inner:ty),* })? $(($item:ident: $item_type:ty))?),* })*) => { $(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self { $(Self::$variant $({ $($field),* })? $(($item))? => {
                    out.put_u8($number);
                    $($($field.put(out);)*)? $($item.put(out);)?
                })* }
            }

            fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
                match u8::read(body)? {
                    $($number => Ok(
                        Self::$variant
                            $({ $($field: <$inner>::read(body)?),* })?
                            $((<$item_type>::read(body)?))?
                    ),)*
                    other => Err(MalformedFrame::new(format!(
                        "{other} is no {}", stringify!($type)))),
                }
            }
        }
    )* };
}

choices! {
    Side { 0 Send, 1 Receive }
    Place { 0 Auto, 1 Together, 2 Apart }
    End { 0 Closed, 1 Lost(cause: String) }
    Role {
        0 Client { workers_max: u32, place: Place },
        1 Worker { launch: u64, threads: u32, memory_bytes: u64, process: u32 }
    }
}

impl Field for [u8; 32] {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_slice(self);
    }

    fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
        take_array(body)
    }
}

impl Field for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        out.put_slice(self);
    }

    fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
        let length = take_length(body, WHOLE_BYTES_MAX)?;
        Ok(body.split_to(length))
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        let text = truncated(self, TEXT_BYTES_MAX);
        (text.len() as u32).put(out);
        out.put_slice(text.as_bytes());
    }

    fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
        let length = take_length(body, TEXT_BYTES_MAX)?;
        let bytes = body.split_to(length);
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(MalformedFrame::new("a text is not UTF-8")),
        }
    }
}

/// A frame in a frame: one, and not another level.
impl Field for Box<Frame> {
    fn put(&self, out: &mut Vec<u8>) {
        self.kind().put(out);
        self.put_fields(out);
    }

    fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
        match u8::read(body)? {
            kind @ 90..=92 => {
                Err(MalformedFrame::new(format!("a frame of kind {kind} within another")))
            }
            kind => Frame::take_fields(kind, body).map(Self::new),
        }
    }
}

macro_rules! lists {
    ($($type:ty, at most $max:ident $what:literal;)*) => { $(
        impl Field for Vec<$type> {
            fn put(&self, out: &mut Vec<u8>) {
                (self.len() as u32).put(out);
                self.iter().for_each(|item| item.put(out));
            }

            fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
                let count = u32::read(body)? as usize;
                if count > $max {
                    let what = $what;
                    let reason = format!("{count} {what}; at most {} are allowed", $max);
                    return Err(MalformedFrame::new(reason));
                }
                (0..count).map(|_| <$type>::read(body)).collect()
            }
        }
    )* };
}

lists! {
    Parcel, at most PARCELS_MAX "values in a frame";
    Passage, at most HANDLES_MAX "handles in a message";
    OperationId, at most CONTENTS_MAX "operations in a frame";
    u32, at most HANDLES_MAX "handles in a frame";
}

impl Field for Parcels {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { codec, count, lengths, payloads, passages, owners } = self;
        codec.put(out);
        count.put(out);
        lengths.put(out);
        payloads.put(out);
        passages.put(out);
        owners.put(out);
    }

    fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
        let (codec, count) = (u8::read(body)?, u32::read(body)?);
        let (lengths, payloads) = (Bytes::read(body)?, Bytes::read(body)?);
        let (passages, owners) = (Vec::read(body)?, Vec::read(body)?);
        let parcels = Self { codec, count, lengths, payloads, passages, owners };
        parcels.check()?;
        Ok(parcels)
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_u8(self.is_some().into());
        self.iter().for_each(|value| value.put(out));
    }

    fn read(body: &mut Bytes) -> Result<Self, MalformedFrame> {
        match u8::read(body)? {
            0 => Ok(None),
            1 => T::read(body).map(Some),
            other => Err(MalformedFrame::new(format!("{other} is neither 0 nor 1"))),
        }
    }
}

fn take_array<const N: usize>(body: &mut Bytes) -> Result<[u8; N], MalformedFrame> {
    if body.len() < N {
        return Err(MalformedFrame::new(format!("{N} bytes expected, {} left", body.len())));
    }
    let mut array = [0; N];
    body.copy_to_slice(&mut array);
    Ok(array)
}

fn take_length(body: &mut Bytes, length_max: usize) -> Result<usize, MalformedFrame> {
    let length = u32::read(body)? as usize;
    if length > length_max {
        return Err(MalformedFrame::new(format!("{length} bytes; at most {length_max} allowed")));
    }
    if length > body.len() {
        return Err(MalformedFrame::new(format!("{length} bytes expected, {} left", body.len())));
    }
    Ok(length)
}

/// The longest beginning of a text that fits and is whole characters.
fn truncated(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
