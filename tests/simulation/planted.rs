//! Bugs on purpose, in the glue between the nodes and the coordinator. The simulation and the
//! checker must find each.

use channels::id::SessionId;
use channels::wire::Frame;
use coordinator::Event;

use crate::world::World;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plant {
    /// Nothing.
    Nothing,
    /// A worker has no lease of its own, and what it says once it is fenced is heard.
    Zombies,
    /// The home does not hear that an offer was taken.
    LostAccepts,
    /// A send is answered, and its value forgotten.
    HollowAnswers,
    /// A value that comes back goes behind all others.
    ReturnsToTheEnd,
    /// A value is kept twice.
    Doubles,
    /// A value that comes back is kept from everybody.
    LostDeclines,
    /// The home hears that an offer was taken after it has heard what followed.
    LateAccepts,
    /// What a host says again, because its link broke, is heard again.
    Repetitions,
    /// Nobody is ever fenced.
    NoFence,
    /// The home makes room for one value more.
    RoomForMore,
}

impl Plant {
    /// What the coordinator hears in place of a frame.
    pub(crate) fn of(self, world: &mut World, host: usize, frame: Frame) -> Vec<Event> {
        let session = SessionId(host as u64);
        let seldom = self != Self::Nothing && world.random.once_in(6);
        let hears = match (self, frame) {
            (Self::Zombies, Frame::Send { channel, parcel, .. }) if world.is_fenced(host) => {
                let operation = world.forged_operation();
                return vec![World::received(0, Frame::Send { channel, operation, parcel })];
            }
            (Self::LostAccepts, Frame::Accept { .. }) if seldom => vec![],
            (Self::HollowAnswers, Frame::Send { operation, .. }) if seldom => {
                world.forge(host, &Frame::Sent { operation });
                vec![]
            }
            (Self::ReturnsToTheEnd, Frame::Decline { channel, operation }) => {
                match world.home.offered(session, operation) {
                    None => vec![Frame::Decline { channel, operation }],
                    Some(parcel) => {
                        let again = world.forged_operation();
                        let taken = World::received(host, Frame::Accept { channel, operation });
                        let sent = Frame::Send { channel, operation: again, parcel };
                        return vec![taken, World::received(0, sent)];
                    }
                }
            }
            (Self::Doubles, Frame::Send { channel, operation, parcel }) if seldom => {
                let twin = world.forged_operation();
                let twin = Frame::Send { channel, operation: twin, parcel: parcel.clone() };
                vec![Frame::Send { channel, operation, parcel }, twin]
            }
            (Self::LostDeclines, Frame::Decline { .. }) if seldom => vec![],
            (Self::LateAccepts, frame @ Frame::Accept { .. }) => {
                world.late.push((host, frame));
                vec![]
            }
            (Self::LateAccepts, frame) => {
                let mut hears = vec![frame];
                let last = matches!(
                    hears[0],
                    Frame::Detach { .. } | Frame::Finished { .. } | Frame::Decline { .. }
                );
                if seldom || last {
                    let late = std::mem::take(&mut world.late);
                    let (ours, others) = late.into_iter().partition(|(whose, _)| *whose == host);
                    world.late = others;
                    let ours: Vec<(usize, Frame)> = ours;
                    let at = if last { 0 } else { 1 };
                    hears.splice(at..at, ours.into_iter().map(|(_, frame)| frame));
                }
                hears
            }
            (Self::RoomForMore, Frame::Export { channel, capacity, senders, receivers }) => {
                vec![Frame::Export { channel, capacity: capacity + 1, senders, receivers }]
            }
            (_, frame) => vec![frame],
        };
        hears.into_iter().map(|frame| World::received(host, frame)).collect()
    }
}
