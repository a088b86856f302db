//! The one interface of all channels that are compared, and who takes part in which cell.

use futures::future::BoxFuture;

use crate::cell::{Capacity, Cell, Kind, Pattern};
use crate::lap;
use crate::ours::Ours;
use crate::peers::{
    AsyncChannel, CrossfireMpmc, CrossfireMpmcUnbounded, CrossfireMpsc, CrossfireMpscUnbounded,
    CrossfireSpsc, CrossfireSpscUnbounded, Flume, Kanal, Tokio, TokioUnbounded,
};
use crate::select;
use crate::value::{Block, Value};

/// All contenders, in the order of the columns.
pub(crate) const NAMES: [&str; 8] =
    [OURS, BUILT, "kanal", "flume", "async-channel", "crossfire", "tokio", GO];
pub(crate) const OURS: &str = "ours";
/// Ours, with selects that are built at run time.
pub(crate) const BUILT: &str = "ours (built)";
pub(crate) const GO: &str = "go";
/// A task without a channel, which only memory knows.
pub(crate) const TASK: &str = "task";

/// A channel that is compared. Its functions panic where the channel refuses, for a lap closes
/// nothing early.
pub(crate) trait Contender<T>: 'static {
    type Sender: Send + 'static;
    type Receiver: Send + 'static;

    /// A new channel. A contender is asked only for capacities that it has.
    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver);

    /// So many senders of one channel. A contender is asked only for as many as it can have.
    fn senders(first: Self::Sender, count: usize) -> Vec<Self::Sender>;

    /// So many receivers of one channel.
    fn receivers(first: Self::Receiver, count: usize) -> Vec<Self::Receiver>;

    fn send(sender: &Self::Sender, value: T) -> impl Future<Output = ()> + Send;

    /// The next value; `None` once the senders are gone and all was received.
    fn recv(receiver: &mut Self::Receiver) -> impl Future<Output = Option<T>> + Send;
}

/// A contender in a cell.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) track: Track,
}

/// Where a contender runs the pattern of a cell, with so many messages.
pub(crate) enum Track {
    Here(fn(Cell, u64) -> BoxFuture<'static, ()>),
    Go,
}

/// Those who take part in a cell.
pub(crate) fn of(cell: Cell) -> Vec<Contestant> {
    let mut found = match (cell.pattern, cell.kind) {
        (Pattern::Select { channels } | Pattern::SelectPingPong { channels }, _) => {
            select::contestants(channels)
        }
        (Pattern::SelectMixed, _) => select::mixed_contestants(),
        (_, Kind::Number) => of_kind::<u64>(cell),
        (_, Kind::Block) => of_kind::<Block>(cell),
    };
    if cell.capacity != Capacity::Unbounded {
        found.push(Contestant { name: GO, track: Track::Go });
    }
    found
}

fn of_kind<T: Value>(cell: Cell) -> Vec<Contestant> {
    let mut found = vec![
        contestant::<Ours, T>(OURS),
        contestant::<Kanal, T>("kanal"),
        contestant::<Flume, T>("flume"),
    ];
    if cell.capacity == Capacity::Of(0) {
        return found; // The others have no rendezvous.
    }
    found.push(contestant::<AsyncChannel, T>("async-channel"));
    let bounded = cell.capacity != Capacity::Unbounded;
    let (several_senders, several_receivers) = match cell.pattern {
        Pattern::Stream { senders, receivers } => (senders > 1, receivers > 1),
        _ => (false, false),
    };
    found.push(match (bounded, several_senders, several_receivers) {
        (true, _, true) => contestant::<CrossfireMpmc, T>("crossfire"),
        (true, true, false) => contestant::<CrossfireMpsc, T>("crossfire"),
        (true, false, false) => contestant::<CrossfireSpsc, T>("crossfire"),
        (false, _, true) => contestant::<CrossfireMpmcUnbounded, T>("crossfire"),
        (false, true, false) => contestant::<CrossfireMpscUnbounded, T>("crossfire"),
        (false, false, false) => contestant::<CrossfireSpscUnbounded, T>("crossfire"),
    });
    match (bounded, several_receivers) {
        (_, true) => {}
        (true, false) => found.push(contestant::<Tokio, T>("tokio")),
        (false, false) => found.push(contestant::<TokioUnbounded, T>("tokio")),
    }
    found
}

fn contestant<C: Contender<T>, T: Value>(name: &'static str) -> Contestant {
    let track = Track::Here(|cell, messages| Box::pin(lap::run::<C, T>(cell, messages)));
    Contestant { name, track }
}
