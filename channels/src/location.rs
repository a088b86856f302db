//! Where a channel lives, as its handles in this process see it: here, or at the coordinator.
//!
//! States: *local* (all handles are here; `Chan` is too, and nothing is serialised) -> *relayed* (a
//! handle left in a message; the home is the coordinator, operations are frames) -> *local* again
//! (all handles are back: `location/landing.rs`). The step out (`location/leaving.rs`) is taken
//! under the channel's lock while the message is encoded: one `Export` frame, then the values and
//! waiting operations as ordinary frames, then, later, the frame with the handle. No answer is
//! awaited, and nobody else can know the channel before the home does.
//!
//! Who dies when: if this process dies before the frames have left, nobody outside ever knew the
//! channel. If it dies after, the home has everything, and fences what belongs to this process.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use parking_lot::ReentrantMutex;

mod landing;
mod leaving;

use leaving::{leave, pack};

use crate::chan::Chan;
use crate::claim::{Waiting, Wakes};
use crate::flow::Flow;
use crate::handle::Message;
use crate::id::{ChannelId, OperationId};
use crate::line::Place;
use crate::lock::{Guard, Lock};
use crate::made::Made;
use crate::node::Node;
use crate::select::Reserve;
use crate::settling::NEVER;
use crate::tail::Tail;
use crate::transfer::Stranded;
use crate::waking::{Told, Waking};
use crate::wire::{End, Frame, Passage, Side};

/// Only one thread at a time makes channels leave this process, so that two channels that hold
/// handles to each other cannot wait for each other's lock.
static EXPORTS: ReentrantMutex<()> = ReentrantMutex::new(());

/// The bit of `Shared::gone` that says that the home is elsewhere.
const AWAY: u8 = 0b100;
/// Where in `Shared::gone` it is said how often a channel came home.
const LANDINGS_SHIFT: u32 = 3;

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
    core: Lock<Core<T>>,
    /// Handles alive in this process, by [`Side`].
    handles: [AtomicU32; 2],
    capacity: u32,
    waking: Waking,
    made: Made,
    /// Whether it is settled that this process has no handle: a bit for each [`Side`]. Above them,
    /// whether the home is elsewhere, and how often the channel came home, or almost did. Changes
    /// under the lock.
    gone: AtomicU8,
}

pub(crate) struct Core<T> {
    pub(crate) location: Location<T>,
}

impl<T> Core<T> {
    #[inline]
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.location, Location::Relayed(_))
    }
}

pub(crate) enum Location<T> {
    Local(Chan<T, Waiting>),
    /// Boxed, so that a channel that never leaves does not pay for it.
    Relayed(Box<Relayed<T>>),
}

pub(crate) struct Relayed<T> {
    pub(crate) channel: ChannelId,
    pub(crate) node: Arc<Node>,
    pub(crate) flow: Arc<Flow>,
    /// What the next send, or receive, may join; by [`Side`].
    pub(crate) tails: [Option<Arc<Tail>>; 2],
    /// Arrivals of handles since the node last had none, by [`Side`].
    arrivals: [u32; 2],
    /// Operations that waited when the channel left, until their futures look.
    pub(crate) moved: Moved<T>,
    /// How willing selects are to ask the home; see `select/asking.rs`.
    pub(crate) reserve: Reserve,
    /// For when the channel comes home again: it gives no place that an operation still has in
    /// mind.
    successor: Option<Box<Chan<T, Waiting>>>,
    /// [`Shared::land_here`], where the type of the messages is known to travel.
    land: fn(&Shared<T>),
}

/// Operations of a channel that was local when they started.
pub(crate) struct Moved<T> {
    pub(crate) sends: BTreeMap<Place, (OperationId, T)>,
    /// Values of sends that were refused, and of cases of a select, which were not sent.
    pub(crate) unsent: BTreeMap<Place, T>,
    pub(crate) receives: BTreeMap<Place, OperationId>,
    /// Values on lease here, by age.
    pub(crate) leases: BTreeMap<u64, OperationId>,
    pub(crate) end: Option<End>,
}

impl<T> Relayed<T> {
    fn new(
        channel: ChannelId,
        node: Arc<Node>,
        capacity: u32,
        arrivals: [u32; 2],
        land: fn(&Shared<T>),
    ) -> Self {
        let moved = Moved {
            sends: BTreeMap::new(),
            unsent: BTreeMap::new(),
            receives: BTreeMap::new(),
            leases: BTreeMap::new(),
            end: None,
        };
        let flow = node.open_flow(channel, capacity, arrivals);
        Self {
            channel,
            node,
            flow,
            tails: [None, None],
            arrivals,
            moved,
            reserve: Reserve::default(),
            successor: None,
            land,
        }
    }
}

impl<T> Shared<T> {
    /// A new channel with one handle of each side, here.
    #[track_caller]
    pub(crate) fn local(capacity: usize) -> Arc<Self> {
        let made = Made::here();
        Self::new(Location::Local(Chan::new(capacity)), capacity, 1, made)
    }

    /// From now on no value is taken after a younger one: of a channel that was just made.
    pub(crate) fn set_strict(&self) {
        match &mut self.lock().location {
            Location::Local(chan) => chan.set_strict(),
            Location::Relayed(relayed) => {
                relayed.node.push(Frame::Strict { channel: relayed.channel });
            }
        }
    }

    /// The same, at home at the coordinator from the start.
    #[track_caller]
    pub(crate) fn relayed(node: &Arc<Node>, capacity: usize) -> Arc<Self>
    where
        T: Message,
    {
        let channel = ChannelId::random();
        let capacity = capacity as u32;
        let relayed = Relayed::new(channel, node.clone(), capacity, [1; 2], Self::land_here);
        let made = Made::here();
        let shared = Self::new(Location::Relayed(Box::new(relayed)), capacity as usize, 1, made);
        let erased: Arc<dyn Any + Send + Sync> = shared.clone();
        node.remember(channel, Arc::downgrade(&erased));
        node.push(Frame::Export { channel, capacity, senders: 1, receivers: 1 });
        // It is to be where it is, whoever has its handles.
        node.push(Frame::Keep { channel, landings: NEVER });
        shared
    }

    fn new(location: Location<T>, capacity: usize, handles: u32, made: Made) -> Arc<Self> {
        let away = if matches!(location, Location::Relayed(_)) { AWAY } else { 0 };
        let core = Lock::new(Core { location });
        Arc::new(Self {
            core,
            handles: [handles, handles].map(AtomicU32::new),
            capacity: capacity as u32,
            waking: Waking::default(),
            made,
            gone: AtomicU8::new(if handles == 0 { 0b11 | away } else { away }),
        })
    }

    /// What the home is asked about one end, if the home is elsewhere.
    pub(crate) fn passage(&self, side: Side) -> Option<(Arc<Node>, Passage)> {
        let Location::Relayed(relayed) = &self.lock().location else { return None };
        let passage = Passage { channel: relayed.channel, side, capacity: self.capacity };
        Some((relayed.node.clone(), passage))
    }

    /// What the channel is called where people read of it.
    pub(crate) fn describe(&self, core: &Core<T>) -> String {
        let name = match &core.location {
            Location::Local(_) => format!("channel {:?}", std::ptr::from_ref(self)),
            Location::Relayed(relayed) => format!("relayed {}", relayed.channel),
        };
        let (of, capacity) = (std::any::type_name::<T>(), self.capacity);
        let made = self.made.place().map_or_else(String::new, |at| format!(", made at {at}"));
        format!("{name} ({of}, capacity {capacity}{made})")
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Whether it seems that the home is elsewhere. It may have moved.
    #[inline]
    pub(crate) fn seems_away(&self) -> bool {
        self.gone.load(Ordering::Relaxed) & AWAY != 0
    }

    /// What the next operation of a side may join.
    #[inline]
    pub(crate) fn with_tail<R>(&self, side: Side, join: impl FnOnce(&Tail) -> R) -> Option<R> {
        let core = self.lock();
        let Location::Relayed(relayed) = &core.location else { return None };
        relayed.tails[side as usize].as_deref().map(join)
    }

    /// What was taken is to be said before long.
    #[cold]
    pub(crate) fn tell_home(&self) {
        let node = match &self.lock().location {
            Location::Relayed(relayed) => relayed.node.clone(),
            Location::Local(_) => return,
        };
        node.ring_for_all();
    }

    /// The next operation of a side may join this.
    pub(crate) fn set_tail(&self, side: Side, tail: Arc<Tail>) {
        if let Location::Relayed(relayed) = &mut self.lock().location {
            relayed.tails[side as usize] = Some(tail);
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, Core<T>> {
        self.core.lock()
    }

    pub(crate) fn try_lock(&self) -> Option<Guard<'_, Core<T>>> {
        self.core.try_lock()
    }

    /// Wakes those who can go on, without the lock.
    #[inline]
    pub(crate) fn wake(&self, wakes: Wakes) {
        self.waking.wake(wakes);
    }

    /// One who can go on, to be woken when the lock is released.
    #[inline]
    pub(crate) fn told(&self) -> Told<'_> {
        Told { waking: &self.waking, waiter: None }
    }

    /// The lock, for an operation that was woken.
    #[inline]
    pub(crate) fn lock_woken(&self) -> Guard<'_, Core<T>> {
        self.waking.let_finish();
        self.core.lock()
    }

    pub(crate) fn clone_handle(&self, side: Side) {
        let before = self.handles[side as usize].fetch_add(1, Ordering::Relaxed);
        // Far above what memory holds, unless handles are forgotten in a loop.
        assert!(before < u32::MAX / 2, "too many handles of one channel");
    }

    /// A handle is gone. The last one of its side ends the channel, or tells the home.
    pub(crate) fn drop_handle(&self, side: Side) {
        if self.handles[side as usize].fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        // Another may have arrived meanwhile, or have gone and been seen to.
        let is_left = self.handles[side as usize].load(Ordering::Acquire) > 0;
        if is_left || self.gone.fetch_or(side.bit(), Ordering::Relaxed) & side.bit() != 0 {
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
                relayed.node.leave(&relayed.flow, side, arrivals);
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
        let capacity = self.capacity;
        let this = Arc::as_ptr(self) as usize;
        let exporting = EXPORTING
            .with_borrow(|all| all.iter().find(|(address, _)| *address == this).map(|at| at.1));
        if let Some(channel) = exporting {
            node.depart(channel);
            return Ok(Passage { channel, side, capacity });
        }
        if let Location::Relayed(relayed) = &self.lock().location {
            let passage = Passage { channel: relayed.channel, side, capacity };
            same_node(node, &relayed.node)?;
            node.depart(passage.channel);
            return Ok(passage);
        }
        if EXPORTING.with_borrow(Vec::len) >= NESTING_MAX {
            return Err(Stranded::TooDeep);
        }
        let exports = EXPORTS.lock();
        let mut core = self.lock();
        let handles = self.held();
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
        if chan.is_strict() {
            node.push(Frame::Strict { channel });
        }
        let packing = AssertUnwindSafe(|| pack(chan, node));
        let packed = catch_unwind(packing);
        drop(done);
        let packed = match packed {
            Ok(Ok(packed)) => packed,
            failed => {
                // The channel stays, as it was.
                for (side, arrivals) in [(Side::Send, senders), (Side::Receive, receivers)] {
                    node.push(Frame::Detach { channel, side, arrivals });
                }
                drop((core, exports));
                return match failed {
                    Ok(packed) => Err(packed.err().unwrap_or(Stranded::Unsendable)),
                    Err(panic) => resume_unwind(panic),
                };
            }
        };
        let erased: Arc<dyn Any + Send + Sync> = self.clone();
        node.remember(channel, Arc::downgrade(&erased));
        let mut wakes = Wakes::default();
        let landings = (self.gone.load(Ordering::Relaxed) >> LANDINGS_SHIFT).into();
        if landings > 0 {
            node.push(Frame::Keep { channel, landings });
        }
        let values = leave(&mut core, handles, packed, channel, node, &mut wakes);
        self.gone.fetch_or(AWAY, Ordering::Relaxed);
        node.depart(channel);
        LEFT.with_borrow_mut(|left| left.push(Box::new(values)));
        drop(core);
        wakes.wake();
        // Values may hold handles of channels whose locks an outer export on this thread holds.
        if EXPORTING.with_borrow(Vec::is_empty) {
            drop(LEFT.take());
        }
        drop(exports);
        Ok(Passage { channel, side, capacity })
    }

    /// 1 for each side of which this process has handles; the caller has the lock.
    fn held(&self) -> [u32; 2] {
        let gone = self.gone.load(Ordering::Relaxed);
        [Side::Send, Side::Receive].map(|side| u32::from(gone & side.bit() == 0))
    }

    /// A handle has arrived.
    pub(crate) fn import(node: &Arc<Node>, passage: Passage) -> Result<Arc<Self>, Stranded>
    where
        T: Message,
    {
        let Passage { channel, side, capacity } = passage;
        let make = || {
            let relayed = Relayed::new(channel, node.clone(), capacity, [0; 2], Self::land_here);
            let location = Location::Relayed(Box::new(relayed));
            Self::new(location, capacity as usize, 0, Made::default()) as Arc<_>
        };
        let found: Arc<dyn Any + Send + Sync> = node.find_or_make(channel, make);
        let Ok(shared) = found.downcast::<Self>() else { return Err(Stranded::OtherType) };
        let mut core = shared.lock();
        shared.handles[side as usize].fetch_add(1, Ordering::AcqRel);
        shared.gone.fetch_and(!side.bit(), Ordering::Relaxed);
        if let Location::Relayed(relayed) = &mut core.location {
            relayed.arrivals[side as usize] += 1;
            relayed.node.arrive(&relayed.flow, side);
        }
        drop(core);
        Ok(shared)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A parked task with a channel is to cost 600 bytes at most, that of the executor included: of
    /// those, as allocators round, the channel has this.
    #[test]
    fn a_channel_of_numbers_is_small() {
        let counters = 2 * size_of::<usize>();
        assert!(counters + size_of::<Shared<u64>>() <= 232, "{}", size_of::<Shared<u64>>());
    }
}
