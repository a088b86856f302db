//! Where a channel lives, as its handles in this process see it: here, or at the coordinator.
//!
//! States: *local* (no handle has ever left; `Chan` is here, nothing is serialised) -> *relayed* (a
//! handle left in a message; the home is the coordinator, operations are frames). The step is taken
//! under the channel's lock while the message is encoded: one `Export` frame, then the values and
//! waiting operations as ordinary frames, then, later, the frame with the handle. No answer is
//! awaited, and nobody else can know the channel before the home does.
//!
//! Who dies when: if this process dies before the frames have left, nobody outside ever knew the
//! channel. If it dies after, the home has everything, and fences what belongs to this process.

use std::any::Any;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::Waker;

use parking_lot::{Mutex, MutexGuard, ReentrantMutex};
use std::cell::RefCell;

use crate::chan::{Chan, Effect, SendStatus};
use crate::handle::Message;
use crate::id::{ChannelId, OperationId};
use crate::line::Place;
use crate::node::Node;
use crate::transfer::{self, Stranded};
use crate::wire::{End, Frame, Passage, Side};

/// Only one thread at a time makes channels leave this process, so that two channels that hold
/// handles to each other cannot wait for each other's lock.
static EXPORTS: ReentrantMutex<()> = ReentrantMutex::new(());

/// Channels in the buffers of channels in the buffers …: each takes a part of the stack.
const NESTING_MAX: usize = 64;

thread_local! {
    /// The channels whose values this thread is encoding for an export, innermost last. Their locks
    /// are held; a handle to one of them among the values finds its identity here.
    static EXPORTING: RefCell<Vec<(usize, ChannelId)>> = const { RefCell::new(Vec::new()) };
    /// Values that have left, until no lock is held under which they must not be dropped.
    static LEFT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// What all handles of one channel in one process share.
pub(crate) struct Shared<T> {
    core: Mutex<Core<T>>,
    capacity: usize,
}

pub(crate) struct Core<T> {
    pub(crate) location: Location<T>,
    /// Handles alive in this process, by [`Side`].
    handles: [usize; 2],
}

pub(crate) enum Location<T> {
    Local(Chan<T, Waker>),
    Relayed(Relayed<T>),
}

pub(crate) struct Relayed<T> {
    pub(crate) channel: ChannelId,
    pub(crate) node: Arc<Node>,
    /// Arrivals of handles since the node last had none, by [`Side`].
    arrivals: [u32; 2],
    /// Operations that waited when the channel left, until their futures look.
    pub(crate) moved: Moved<T>,
}

/// Operations of a channel that was local when they started.
pub(crate) struct Moved<T> {
    pub(crate) sends: BTreeMap<Place, (OperationId, T)>,
    pub(crate) refused: BTreeMap<Place, T>,
    pub(crate) receives: BTreeMap<Place, OperationId>,
    pub(crate) end: Option<End>,
}

impl<T> Default for Moved<T> {
    fn default() -> Self {
        Self {
            sends: BTreeMap::new(),
            refused: BTreeMap::new(),
            receives: BTreeMap::new(),
            end: None,
        }
    }
}

impl<T> Relayed<T> {
    fn new(channel: ChannelId, node: Arc<Node>) -> Self {
        Self { channel, node, arrivals: [0; 2], moved: Moved::default() }
    }
}

/// Wakers to be woken after the lock is released.
#[derive(Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn note(&mut self) -> impl FnMut(Effect<Waker>) + '_ {
        |effect| match &self.first {
            None => self.first = Some(effect.waiter),
            Some(_) => self.rest.push(effect.waiter),
        }
    }

    pub(crate) fn wake(self) {
        self.first.into_iter().chain(self.rest).for_each(Waker::wake);
    }
}

impl<T> Shared<T> {
    /// A new channel with one handle of each side, here.
    pub(crate) fn local(capacity: usize) -> Arc<Self> {
        let location = Location::Local(Chan::new(capacity));
        let core = Core { location, handles: [1, 1] };
        Arc::new(Self { core: Mutex::new(core), capacity })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core<T>> {
        self.core.lock()
    }

    pub(crate) fn clone_handle(&self, side: Side) {
        self.lock().handles[side as usize] += 1;
    }

    /// A handle is gone. The last one of its side ends the channel, or tells the home.
    pub(crate) fn drop_handle(&self, side: Side) {
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        core.handles[side as usize] -= 1;
        if core.handles[side as usize] > 0 {
            return;
        }
        let mut unread = Vec::new();
        match (&mut core.location, side) {
            (Location::Local(chan), Side::Send) => {
                chan.finish(End::Closed, &mut wakes.note());
            }
            (Location::Local(chan), Side::Receive) => {
                unread = chan.desert(End::Closed, &mut wakes.note());
            }
            (Location::Relayed(relayed), _) => {
                let arrivals = mem::take(&mut relayed.arrivals[side as usize]);
                let channel = relayed.channel;
                relayed.node.push(Frame::Detach { channel, side, arrivals });
            }
        }
        drop(core);
        // Values may hold handles of this very channel, so they go after the lock.
        drop(unread);
        wakes.wake();
    }

    /// Makes sure that the coordinator knows the channel, because a handle is about to leave.
    pub(crate) fn export(
        self: &Arc<Self>,
        node: &Arc<Node>,
        side: Side,
    ) -> Result<Passage, Stranded>
    where
        T: Message,
    {
        let capacity = self.capacity as u32;
        let this = Arc::as_ptr(self) as usize;
        let exporting = EXPORTING
            .with_borrow(|all| all.iter().find(|(address, _)| *address == this).map(|at| at.1));
        if let Some(channel) = exporting {
            return Ok(Passage { channel, side, capacity });
        }
        if let Location::Relayed(relayed) = &self.lock().location {
            let passage = Passage { channel: relayed.channel, side, capacity };
            return same_node(node, &relayed.node).map(|()| passage);
        }
        if EXPORTING.with_borrow(Vec::len) >= NESTING_MAX {
            return Err(Stranded::TooDeep);
        }
        let exports = EXPORTS.lock();
        let mut core = self.lock();
        let handles = core.handles.map(|handles| u32::from(handles > 0));
        let Location::Local(chan) = &mut core.location else {
            drop((core, exports));
            return self.export(node, side);
        };
        let channel = ChannelId::random();
        EXPORTING.with_borrow_mut(|all| all.push((this, channel)));
        let done = Unexporting;
        // First of all, for its values may hold channels that hold a handle to this one.
        let [senders, receivers] = handles;
        node.push(Frame::Export { channel, capacity, senders, receivers });
        chan.withdraw_offers();
        let packing = AssertUnwindSafe(|| Packed::of(chan, node));
        let packed = catch_unwind(packing);
        drop(done);
        let packed = match packed {
            Ok(Ok(packed)) => packed,
            failed => {
                // The channel stays, as it was: its offers are made again.
                let mut wakes = Wakes::default();
                chan.rematch(&mut wakes.note());
                for (side, arrivals) in [(Side::Send, senders), (Side::Receive, receivers)] {
                    node.push(Frame::Detach { channel, side, arrivals });
                }
                drop((core, exports));
                wakes.wake();
                return match failed {
                    Ok(packed) => Err(packed.err().unwrap_or(Stranded::Unsendable)),
                    Err(panic) => resume_unwind(panic),
                };
            }
        };
        let erased: Arc<dyn Any + Send + Sync> = self.clone();
        node.remember(channel, Arc::downgrade(&erased));
        let values = leave(&mut core, packed, channel, node);
        LEFT.with_borrow_mut(|left| left.push(Box::new(values)));
        drop(core);
        // Values may hold handles of channels whose locks an outer export on this thread holds.
        if EXPORTING.with_borrow(Vec::is_empty) {
            drop(LEFT.take());
        }
        drop(exports);
        Ok(Passage { channel, side, capacity })
    }

    /// A handle has arrived.
    pub(crate) fn import(node: &Arc<Node>, passage: Passage) -> Result<Arc<Self>, Stranded>
    where
        T: Message,
    {
        let Passage { channel, side, capacity } = passage;
        let make = || {
            let location = Location::Relayed(Relayed::new(channel, node.clone()));
            let core = Mutex::new(Core { location, handles: [0; 2] });
            Arc::new(Self { core, capacity: capacity as usize }) as Arc<_>
        };
        let found: Arc<dyn Any + Send + Sync> = node.find_or_make(channel, make);
        let Ok(shared) = found.downcast::<Self>() else { return Err(Stranded::OtherType) };
        let mut core = shared.lock();
        core.handles[side as usize] += 1;
        if let Location::Relayed(relayed) = &mut core.location {
            relayed.arrivals[side as usize] += 1;
        }
        drop(core);
        Ok(shared)
    }
}

/// A channel's contents, encoded for the coordinator. Made before anything changes, so that a value
/// that cannot be encoded leaves the channel as it was.
struct Packed<T> {
    sent: Vec<crate::wire::Parcel>,
    sends: Vec<crate::wire::Parcel>,
    of: PhantomData<T>,
}

impl<T: Message> Packed<T> {
    fn of(chan: &Chan<T, Waker>, node: &Arc<Node>) -> Result<Self, Stranded> {
        let pack = |value| transfer::pack(node, value).map_err(|_| Stranded::Unsendable);
        let (sends, sent) = chan.values().partition::<Vec<_>, _>(|(_, waiting)| *waiting);
        let sent = sent.into_iter().map(|(value, _)| pack(value)).collect::<Result<_, _>>()?;
        let sends = sends.into_iter().map(|(value, _)| pack(value)).collect::<Result<_, _>>()?;
        Ok(Self { sent, sends, of: PhantomData })
    }
}

/// Says to the coordinator what the channel is, and takes it apart. The values come out, to be
/// dropped without the lock.
fn leave<T: Message>(
    core: &mut Core<T>,
    packed: Packed<T>,
    channel: ChannelId,
    node: &Arc<Node>,
) -> Vec<T> {
    let mut relayed = Relayed::new(channel, node.clone());
    relayed.arrivals = core.handles.map(|handles| u32::from(handles > 0));
    let Location::Local(chan) = &mut core.location else { unreachable!("the caller has looked") };
    let moved = &mut relayed.moved;
    moved.refused = chan.take_all_refused();
    moved.end = chan.ended().cloned();
    let parts = chan.dismantle();
    for parcel in packed.sent {
        node.push(Frame::Restore { channel, parcel });
    }
    for ((place, value, waker), parcel) in parts.sends.into_iter().zip(packed.sends) {
        let operation = node.begin(waker, |operation| Frame::Send { channel, operation, parcel });
        moved.sends.insert(place, (operation, value));
    }
    for (place, waker) in parts.receives {
        let operation = node.begin(waker, |operation| Frame::Receive { channel, operation });
        moved.receives.insert(place, operation);
    }
    if moved.end.is_some() {
        node.push(Frame::Close { channel, operation: OperationId(0) });
    }
    core.location = Location::Relayed(relayed);
    parts.sent
}

impl<T> Core<T> {
    /// Where a parked send stands, wherever its channel is now.
    pub(crate) fn send_status(&mut self, place: Place, waker: &Waker) -> Stand<T> {
        match &mut self.location {
            Location::Local(chan) => match chan.send_status(place) {
                SendStatus::Sent => Stand::Sent,
                SendStatus::Refused(value) => Stand::Refused(value, End::Closed),
                SendStatus::Waiting => {
                    chan.rewait_send(place, waker.clone());
                    Stand::Waiting
                }
            },
            Location::Relayed(Relayed { moved, node, .. }) => {
                if let Some(value) = moved.refused.remove(&place) {
                    return Stand::Refused(value, moved.end.clone().unwrap_or(End::Closed));
                }
                match moved.sends.remove(&place) {
                    None => Stand::Sent,
                    Some((operation, value)) => Stand::Moved(node.clone(), operation, value),
                }
            }
        }
    }
}

/// Where a parked send stands.
pub(crate) enum Stand<T> {
    Waiting,
    Sent,
    Refused(T, End),
    Moved(Arc<Node>, OperationId, T),
}

/// Takes the innermost channel off [`EXPORTING`], also when a user's `Serialize` panics.
struct Unexporting;

impl Drop for Unexporting {
    fn drop(&mut self) {
        EXPORTING.with_borrow_mut(Vec::pop);
    }
}

fn same_node(one: &Arc<Node>, other: &Arc<Node>) -> Result<(), Stranded> {
    if Arc::ptr_eq(one, other) { Ok(()) } else { Err(Stranded::OtherNode) }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if let Location::Relayed(relayed) = &self.core.get_mut().location {
            relayed.node.forget(relayed.channel);
        }
    }
}
