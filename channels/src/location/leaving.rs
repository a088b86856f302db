//! How a channel leaves its process: its values are encoded, then it says what it is, and what was
//! waiting in it begins anew at the coordinator.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use super::{Core, Location, Relayed, Shared};
use crate::chan::{Chan, Content};
use crate::claim::{Waiting, Wakes};
use crate::handle::Message;
use crate::id::{ChannelId, OperationId};
use crate::node::Node;
use crate::transfer::{self, Stranded};
use crate::wire::{Frame, Parcel};

/// A channel's values, encoded for the coordinator. Made before anything changes, so that a value
/// that cannot be encoded leaves the channel as it was. The value of a case of a select is not sent
/// yet: the select will see to it.
pub(super) fn pack<T: Message>(
    chan: &Chan<T, Waiting>,
    node: &Arc<Node>,
) -> Result<Packed, Stranded> {
    let mut packed = Packed { node: node.clone(), sent: Vec::new(), sends: Vec::new() };
    for content in chan.contents() {
        let pack = |value| transfer::pack(node, value).map_err(|_| Stranded::Unsendable);
        match content {
            Content::Sent(value, attempts) => packed.sent.push(Ended::Here(pack(value)?, attempts)),
            Content::Lent(age) => packed.sent.push(Ended::Lent(age)),
            Content::Waits(value, Waiting::Task(_)) => packed.sends.push(pack(value)?),
            Content::Waits(_, Waiting::Case(..)) => {}
        }
    }
    Ok(packed)
}

pub(super) struct Packed {
    node: Arc<Node>,
    sent: Vec<Ended>,
    sends: Vec<Parcel>,
}

/// A value whose send has ended.
enum Ended {
    /// With the number of its leases so far.
    Here(Parcel, u32),
    /// On lease, by its age.
    Lent(u64),
}

/// What was packed and has not left stays.
impl Drop for Packed {
    fn drop(&mut self) {
        let here = |ended: &Ended| match ended {
            Ended::Here(parcel, _) => self.node.undo_departure(&parcel.passages),
            Ended::Lent(_) => {}
        };
        self.sent.iter().for_each(here);
        self.sends.iter().for_each(|parcel| self.node.undo_departure(&parcel.passages));
    }
}

/// Says to the coordinator what the channel is, and takes it apart. The values come out, to be
/// dropped without the lock.
pub(super) fn leave<T: Message>(
    core: &mut Core<T>,
    handles: [u32; 2],
    mut packed: Packed,
    channel: ChannelId,
    node: &Arc<Node>,
    wakes: &mut Wakes,
) -> Vec<T> {
    let Location::Local(chan) = &mut core.location else { unreachable!("the caller has looked") };
    let capacity = chan.capacity() as u32;
    let mut relayed = Relayed::new(channel, node.clone(), capacity, handles, Shared::land_here);
    let moved = &mut relayed.moved;
    moved.unsent = chan.take_all_refused();
    moved.end = chan.ended().cloned();
    relayed.successor = Some(Box::new(chan.successor()));
    let parts = chan.dismantle();
    for ended in mem::take(&mut packed.sent) {
        node.push(match ended {
            Ended::Here(parcel, 0) => Frame::Restore { channel, parcel },
            Ended::Here(parcel, attempts) => Frame::RestoreLeased { channel, attempts, parcel },
            Ended::Lent(age) => {
                let operation = node.name_lease(channel);
                moved.leases.insert(age, operation);
                Frame::Lend { channel, operation }
            }
        });
    }
    let mut parcels = mem::take(&mut packed.sends).into_iter();
    for (place, value, waiter) in parts.sends {
        match waiter {
            Waiting::Task(waker) => {
                let parcel = parcels.next().expect("each was packed");
                let send = |operation| Frame::Send { channel, operation, parcel };
                moved.sends.insert(place, (node.begin(channel, waker, send), value));
            }
            case @ Waiting::Case(..) => {
                moved.unsent.insert(place, value);
                stir(case, wakes);
            }
        }
    }
    for (place, waiter) in parts.receives {
        let waker = match waiter {
            Some(case @ Waiting::Case(..)) => {
                stir(case, wakes);
                continue;
            }
            Some(Waiting::Task(waker)) => waker,
            // It was woken already, and will say where it wants to be woken again.
            None => Waker::noop().clone(),
        };
        let receive = |operation| Frame::Receive { channel, operation, select: 0 };
        moved.receives.insert(place, node.begin_receive(channel, waker, receive));
    }
    if moved.end.is_some() {
        node.push(Frame::Close { channel, operation: OperationId(0) });
    }
    core.location = Location::Relayed(Box::new(relayed));
    parts.sent
}

/// A select with a case here starts anew, unless it has ended.
fn stir(case: Waiting, wakes: &mut Wakes) {
    if let Waiting::Case(claim, _) = &case
        && claim.stir()
    {
        wakes.add(case);
    }
}
