//! A handle in a message: how it leaves one process and arrives in another.
//!
//! While a value is encoded, each handle in it announces itself here: the channel is exported if it
//! was at home in this process, the passage is listed beside the payload, and only its index goes
//! into the payload. Decoding is the mirror image. A handle encoded by anything else (a JSON file,
//! say) is an error, for nobody would count it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, CodecError};
use crate::node::Node;
use crate::tail::JOINED_BYTES_MAX;
use crate::wire::{HANDLES_MAX, Parcel, Passage, Side};

thread_local! {
    static DEPARTURES: RefCell<Vec<Departure>> = const { RefCell::new(Vec::new()) };
    static ARRIVALS: RefCell<Vec<Arrival>> = const { RefCell::new(Vec::new()) };
    static SPACE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Space that a thread keeps, in bytes.
const SPACE_MAX: usize = 64 << 10;

struct Departure {
    /// None if no handle may leave.
    node: Option<Arc<Node>>,
    passages: Vec<Passage>,
}

struct Arrival {
    /// None if no handle is there.
    node: Option<Arc<Node>>,
    /// Each until a handle in the payload claims it.
    passages: Vec<Option<Passage>>,
}

/// Encodes a value for another process; its handles leave with it.
pub fn pack<T: Serialize + ?Sized>(node: &Arc<Node>, value: &T) -> Result<Parcel, CodecError> {
    DEPARTURES.with_borrow_mut(|all| {
        all.push(Departure { node: Some(node.clone()), passages: Vec::new() });
    });
    let popped = OnDrop(|| DEPARTURES.with_borrow_mut(Vec::pop));
    let encoded = codec::encode(value);
    let mut departure = popped.now().expect("what was pushed above");
    let payload = encoded?.into();
    let passages = std::mem::take(&mut departure.passages);
    Ok(Parcel { codec: codec::CODEC, payload, passages })
}

/// Decodes a value from another process; its handles arrive with it.
pub fn unpack<T: DeserializeOwned>(node: &Arc<Node>, parcel: Parcel) -> Result<T, CodecError> {
    let passages = parcel.passages.into_iter().map(Some).collect();
    ARRIVALS.with_borrow_mut(|all| all.push(Arrival { node: Some(node.clone()), passages }));
    // What comes off is dropped outside of the borrow, and gives back what nobody claimed.
    let _popped = OnDrop(|| ARRIVALS.with_borrow_mut(Vec::pop));
    codec::decode(parcel.codec, &parcel.payload)
}

/// Encodes a value without handles behind what is there. False if that cannot be done, it has some,
/// or it is too large to join others.
#[inline]
pub(crate) fn append<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> bool {
    DEPARTURES.with_borrow_mut(|all| all.push(Departure { node: None, passages: Vec::new() }));
    let _popped = OnDrop(|| DEPARTURES.with_borrow_mut(Vec::pop));
    codec::append(value, out, JOINED_BYTES_MAX).is_ok()
}

/// Decodes a value without handles.
#[inline]
pub(crate) fn read<T: DeserializeOwned>(codec: u8, payload: &[u8]) -> Result<T, CodecError> {
    ARRIVALS.with_borrow_mut(|all| all.push(Arrival { node: None, passages: Vec::new() }));
    let _popped = OnDrop(|| ARRIVALS.with_borrow_mut(Vec::pop));
    codec::decode(codec, payload)
}

/// Lends space for encoded values, empty, which this thread has had before.
#[inline]
pub(crate) fn with_space<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // Whoever encodes or decodes may do so again in the midst of it.
    let mut space = SPACE.take();
    space.clear();
    let done = work(&mut space);
    if space.capacity() <= SPACE_MAX {
        SPACE.set(space);
    }
    done
}

/// A parcel for this process that may never be looked into: then its handles go back.
pub struct Undelivered {
    node: Arc<Node>,
    parcel: Option<Parcel>,
}

impl Undelivered {
    /// A parcel whose handles count as this node's.
    pub fn new(node: Arc<Node>, parcel: Parcel) -> Self {
        Self { node, parcel: Some(parcel) }
    }

    /// Decodes it; see [`unpack`].
    pub fn unpack<T: DeserializeOwned>(mut self) -> Result<T, CodecError> {
        unpack(&self.node, self.parcel.take().unwrap_or_default())
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        let passages = self.parcel.take().unwrap_or_default().passages;
        passages.into_iter().for_each(|passage| self.node.give_back(passage));
    }
}

/// A value that could not be encoded: its handles stay.
impl Drop for Departure {
    fn drop(&mut self) {
        if let Some(node) = self.node.as_ref().filter(|_| !self.passages.is_empty()) {
            node.undo_departure(&self.passages);
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(node) = &self.node {
            self.passages.drain(..).flatten().for_each(|unclaimed| node.give_back(unclaimed));
        }
    }
}

/// A handle is being encoded. `export` makes its channel known to the node's coordinator.
pub(crate) fn depart(
    export: impl FnOnce(&Arc<Node>) -> Result<Passage, Stranded>,
) -> Result<u32, Stranded> {
    let node = DEPARTURES
        .with_borrow(|all| all.last().and_then(|departure| departure.node.clone()))
        .ok_or(Stranded::NoMessage)?;
    let passage = export(&node)?;
    DEPARTURES.with_borrow_mut(|all| {
        let departure = all.last_mut().ok_or(Stranded::NoMessage)?;
        if departure.passages.len() == HANDLES_MAX {
            node.undo_departure(&[passage]);
            return Err(Stranded::TooMany);
        }
        departure.passages.push(passage);
        Ok(departure.passages.len() as u32 - 1)
    })
}

/// A handle is being decoded: which channel it is of, and the node that it arrived at.
pub(crate) fn arrive(index: u32, side: Side) -> Result<(Arc<Node>, Passage), Stranded> {
    ARRIVALS.with_borrow_mut(|all| {
        let arrival = all.last_mut().ok_or(Stranded::NoMessage)?;
        let listed = arrival.passages.get_mut(index as usize);
        let passage = listed
            .and_then(|passage| passage.take_if(|passage| passage.side == side))
            .ok_or(Stranded::NotListed)?;
        Ok((arrival.node.clone().ok_or(Stranded::NoMessage)?, passage))
    })
}

/// Why a handle can go nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stranded {
    NoMessage,
    NotListed,
    TooMany,
    OtherNode,
    OtherType,
    Unsendable,
    TooDeep,
}

impl fmt::Display for Stranded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoMessage => {
                "a channel handle travels only in a message, an argument or a result of a task"
            }
            Self::NotListed => "the message does not carry the handle that its bytes speak of",
            Self::TooMany => "a message carries at most 1024 handles",
            Self::OtherNode => "the channel belongs to another runtime in this process",
            Self::OtherType => "the channel carries messages of another type",
            Self::TooDeep => "channels are nested in each other's buffers more than 64 deep",
            Self::Unsendable => "a value in the channel's buffer cannot be encoded",
        })
    }
}

/// Runs an action now, or when a panic of the user's `Serialize` unwinds through here.
struct OnDrop<R, F: FnMut() -> R>(F);

impl<R, F: FnMut() -> R> OnDrop<R, F> {
    fn now(self) -> R {
        let mut this = std::mem::ManuallyDrop::new(self);
        (this.0)()
    }
}

impl<R, F: FnMut() -> R> Drop for OnDrop<R, F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
