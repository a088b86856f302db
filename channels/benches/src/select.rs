//! Selects: over receives of many channels, and of ours over receives and sends.
//!
//! Where all channels are ready one task does it all, so that a message costs its send and its
//! select, and no waking. The others select by `tokio::select!` over their receives, which live on
//! the stack and are polled from a random one on: as fair as ours, and as Go's. Kanal may lose a
//! value whose receive is dropped, so no lap of a select asks what arrived, only how much.

use std::array::from_fn;
use std::mem::take;

use futures::future::BoxFuture;
use tokio::spawn;

use crate::cell::{Capacity, Cell, Pattern, READY_CAPACITY};
use crate::contender::{BUILT, Contender, Contestant, OURS, Track};
use crate::ours::Ours;
use crate::peers::{AsyncChannel, CrossfireSpsc, Flume, Kanal, Tokio};

/// A contender that can select over so many receives.
trait Selects<const N: usize>: Contender<u64> {
    /// What one of the receivers yields, and which. They are asked in a random order.
    fn select(
        receivers: &mut [Self::Receiver; N],
    ) -> impl Future<Output = (usize, Option<u64>)> + Send;
}

/// Ours, but for its selects.
struct Built;

macro_rules! selects {
    ($contender:ident by $select:ident) => {
        selects! { $contender by $select: 2 a b }
        selects! { $contender by $select: 4 a b c d }
        selects! { $contender by $select: 8 a b c d e f g h }
        selects! { $contender by $select: 16 a b c d e f g h i j k l m n o p }
    };
    ($contender:ident by $select:ident: $count:literal $($receiver:ident)*) => {
        impl Selects<$count> for $contender {
            async fn select(receivers: &mut [Self::Receiver; $count]) -> (usize, Option<u64>) {
                let [$($receiver),*] = receivers;
                selects!(@$select $contender (0) () $($receiver)*)
            }
        }
    };
    // One arm after the other, counted.
    (@$select:ident $contender:ident ($at:expr) ($($arms:tt)*) $first:ident $($rest:ident)*) => {
        selects!(@$select $contender ($at + 1) ($($arms)* [$at, $first]) $($rest)*)
    };
    (@tokio $contender:ident $count:tt ($([$at:expr, $receiver:ident])*)) => {
        tokio::select! {
            $(value = <$contender as Contender<u64>>::recv($receiver) => ($at, value),)*
        }
    };
    (@ours $contender:ident $count:tt ($([$at:expr, $receiver:ident])*)) => {
        channels::select! { $(value = $receiver.recv() => ($at, value.ok()),)* }
    };
}

selects! { Ours by ours }
selects! { Kanal by tokio }
selects! { Flume by tokio }
selects! { AsyncChannel by tokio }
selects! { CrossfireSpsc by tokio }
selects! { Tokio by tokio }

impl Contender<u64> for Built {
    type Sender = channels::Sender<u64>;
    type Receiver = channels::Receiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        Ours::open(capacity)
    }

    fn senders(first: Self::Sender, count: usize) -> Vec<Self::Sender> {
        Ours::senders(first, count)
    }

    fn receivers(first: Self::Receiver, count: usize) -> Vec<Self::Receiver> {
        Ours::receivers(first, count)
    }

    fn send(sender: &Self::Sender, value: u64) -> impl Future<Output = ()> + Send {
        Ours::send(sender, value)
    }

    fn recv(receiver: &mut Self::Receiver) -> impl Future<Output = Option<u64>> + Send {
        Ours::recv(receiver)
    }
}

impl<const N: usize> Selects<N> for Built {
    async fn select(receivers: &mut [Self::Receiver; N]) -> (usize, Option<u64>) {
        let mut select = channels::Select::new();
        for receiver in receivers.iter() {
            select.recv(receiver);
        }
        let mut chosen = select.wait().await;
        let index = chosen.index();
        (index, chosen.received(&receivers[index]).ok())
    }
}

/// Those who can select over so many channels.
pub(crate) fn contestants(channels: usize) -> Vec<Contestant> {
    match channels {
        2 => contestants_of::<2>(),
        4 => contestants_of::<4>(),
        8 => contestants_of::<8>(),
        16 => contestants_of::<16>(),
        _ => unreachable!("no cell has a select over {channels} channels"),
    }
}

fn contestants_of<const N: usize>() -> Vec<Contestant>
where
    Ours: Selects<N>,
    Kanal: Selects<N>,
    Flume: Selects<N>,
    AsyncChannel: Selects<N>,
    CrossfireSpsc: Selects<N>,
    Tokio: Selects<N>,
{
    vec![
        contestant::<Ours, N>(OURS),
        contestant::<Built, N>(BUILT),
        contestant::<Kanal, N>("kanal"),
        contestant::<Flume, N>("flume"),
        contestant::<AsyncChannel, N>("async-channel"),
        contestant::<CrossfireSpsc, N>("crossfire"),
        contestant::<Tokio, N>("tokio"),
    ]
}

fn contestant<C: Selects<N>, const N: usize>(name: &'static str) -> Contestant {
    let track = Track::Here(|cell, messages| match cell.pattern {
        Pattern::SelectPingPong { .. } => Box::pin(ping_pong::<C, N>(cell.capacity, messages)),
        _ => at_once(ready::<C, N>(cell.capacity, messages)),
    });
    Contestant { name, track }
}

/// Those who can select over receives and sends.
pub(crate) fn mixed_contestants() -> Vec<Contestant> {
    let macros = |cell: Cell, messages| at_once(mixed(cell.capacity, messages));
    let built = |cell: Cell, messages| at_once(mixed_built(cell.capacity, messages));
    vec![
        Contestant { name: OURS, track: Track::Here(macros) },
        Contestant { name: BUILT, track: Track::Here(built) },
    ]
}

/// On a worker, as all other laps.
fn at_once(lap: impl Future<Output = ()> + Send + 'static) -> BoxFuture<'static, ()> {
    Box::pin(async { spawn(lap).await.expect("no lap panics") })
}

/// So many selects of a batch leave every channel ready, whichever they choose.
const BATCH: u64 = READY_CAPACITY as u64;
const BATCH_MIXED: u64 = BATCH / 2;

async fn ready<C: Selects<N>, const N: usize>(capacity: Capacity, messages: u64) {
    let mut receivers = Vec::with_capacity(N);
    let senders: [_; N] = from_fn(|_| {
        let (sender, receiver) = C::open(capacity);
        receivers.push(receiver);
        sender
    });
    let Ok(mut receivers) = <[_; N]>::try_from(receivers) else { unreachable!("one for each") };
    let mut missing = [BATCH; N];
    let mut left = messages;
    while left > 0 {
        for (at, missing) in missing.iter_mut().enumerate() {
            for number in 0..take(missing) {
                C::send(&senders[at], number).await;
            }
        }
        let batch = left.min(BATCH);
        for _ in 0..batch {
            let (index, value) = C::select(&mut receivers).await;
            assert!(value.is_some(), "all senders are here");
            missing[index] += 1;
        }
        left -= batch;
    }
}

async fn ping_pong<C: Selects<N>, const N: usize>(capacity: Capacity, round_trips: u64) {
    let mut receivers = Vec::with_capacity(N);
    let pings: [_; N] = from_fn(|_| {
        let (sender, receiver) = C::open(capacity);
        receivers.push(receiver);
        sender
    });
    let Ok(mut receivers) = <[_; N]>::try_from(receivers) else { unreachable!("one for each") };
    let (pong, mut ponged) = C::open(capacity);
    spawn(async move {
        while let (_, Some(value)) = C::select(&mut receivers).await {
            C::send(&pong, value).await;
        }
    });
    let serving = spawn(async move {
        for number in 0..round_trips {
            C::send(&pings[number as usize % N], number).await;
            assert!(C::recv(&mut ponged).await.is_some(), "the other task ends later");
        }
    });
    serving.await.expect("no round trip fails");
}

/// Four channels that are half full: two to receive from, and two to send to.
struct Halves {
    senders: [channels::Sender<u64>; 4],
    receivers: [channels::Receiver<u64>; 4],
}

impl Halves {
    async fn new(capacity: Capacity) -> Self {
        let mut receivers = Vec::new();
        let senders = from_fn(|_| {
            let (sender, receiver) = Ours::open(capacity);
            receivers.push(receiver);
            sender
        });
        let receivers = receivers.try_into().expect("one for each");
        for sender in &senders {
            for number in 0..BATCH_MIXED {
                Ours::send(sender, number).await;
            }
        }
        Self { senders, receivers }
    }

    /// At the end of a batch, undoes what happened so often on each.
    async fn undo_every_batch(&mut self, number: u64, counts: &mut [u64; 4]) {
        if number % BATCH_MIXED < BATCH_MIXED - 1 {
            return;
        }
        for (at, count) in counts.iter_mut().enumerate() {
            for number in 0..take(count) {
                if at < 2 {
                    Ours::send(&self.senders[at], number).await;
                } else {
                    assert!(Ours::recv(&mut self.receivers[at]).await.is_some(), "it was sent");
                }
            }
        }
    }
}

async fn mixed(capacity: Capacity, messages: u64) {
    let mut halves = Halves::new(capacity).await;
    let mut counts = [0; 4];
    for number in 0..messages {
        let Halves { senders: [.., c, d], receivers: [a, b, ..] } = &halves;
        let index = channels::select! {
            value = a.recv() => value.map(|_| 0).expect("all senders are here"),
            value = b.recv() => value.map(|_| 1).expect("all senders are here"),
            sent = c.send(number) => sent.map(|()| 2).expect("all receivers are here"),
            sent = d.send(number) => sent.map(|()| 3).expect("all receivers are here"),
        };
        counts[index] += 1;
        halves.undo_every_batch(number, &mut counts).await;
    }
}

async fn mixed_built(capacity: Capacity, messages: u64) {
    let mut halves = Halves::new(capacity).await;
    let mut counts = [0; 4];
    for number in 0..messages {
        let Halves { senders, receivers } = &halves;
        let mut select = channels::Select::new();
        select.recv(&receivers[0]);
        select.recv(&receivers[1]);
        select.send(&senders[2], number);
        select.send(&senders[3], number);
        let mut chosen = select.wait().await;
        let index = chosen.index();
        if index < 2 {
            chosen.received(&receivers[index]).expect("all senders are here");
        } else {
            chosen.sent(&senders[index]).expect("all receivers are here");
        }
        drop(chosen);
        counts[index] += 1;
        halves.undo_every_batch(number, &mut counts).await;
    }
}
