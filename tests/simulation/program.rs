//! The programs that run in the simulation: random sends, receives, selects and closes.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use channels::id::{ChannelId, TaskId};
use channels::node::Node;
use channels::outcome::Outcome;
use channels::wire::{Frame, SpawnOptions};
use channels::{Receiver, RecvError, transfer};
use checker::generate::Random;
use checker::recorded::{Case, Chosen, In, Out, channel};
use checker::{Channel, Recorded, Recorder, TaskEnd, ValueId};
use futures::future::{Either, select};
use serde::{Deserialize, Serialize};

use crate::executor::Shared;

/// What travels: some bytes, and sometimes a handle. The number says on which channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    channel: u32,
    bytes: Vec<u8>,
    handle: Option<Handle>,
}

/// A handle in a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Handle {
    Out(Out<Load>),
    In(In<Load>),
}

/// The same, as the home's observer reads it: a handle is a number.
#[derive(Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) id: ValueId,
    pub(crate) channel: u32,
    _bytes: Vec<u8>,
    _handle: Option<SeenHandle>,
}

#[derive(Debug, Deserialize)]
enum SeenHandle {
    Out(#[expect(dead_code, reason = "it is read only to get past it")] (u32, u32)),
    In(#[expect(dead_code, reason = "it is read only to get past it")] (u32, u32)),
}

/// What a task does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) task: u32,
    seed: u64,
    sends: u32,
    whims: bool,
}

/// All that a task is given.
#[derive(Serialize, Deserialize)]
pub(crate) struct Arguments {
    pub(crate) part: Part,
    outs: Vec<Out<Load>>,
    ins: Vec<In<Load>>,
    /// Handles to pass on, now and then.
    gifts: Vec<Handle>,
}

/// Where a task runs.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) shared: Shared,
    pub(crate) recorder: Arc<Recorder>,
}

impl Place {
    async fn within<F: Future>(&self, time: u64, future: F) -> Option<F::Output> {
        match select(pin!(future), pin!(self.shared.sleep(time))).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }
}

/// Runs a task: it sends, or it receives until the end.
pub(crate) async fn act(place: Place, arguments: Arguments) {
    let Arguments { part, outs, ins, gifts } = arguments;
    if part.sends > 0 {
        sending(&place, &part, &outs, &gifts).await;
    } else {
        receiving(&place, &part, ins).await;
    }
}

async fn sending(place: &Place, part: &Part, outs: &[Out<Load>], gifts: &[Handle]) {
    let log = Recorded::new(place.recorder.task(part.task));
    let mut random = Random::new(part.seed);
    for _ in 0..part.sends {
        let mut pick = || &outs[random.below(outs.len() as u32) as usize];
        let (out, other) = (pick(), pick());
        let gift = gifts.get(random.below(gifts.len().max(1) as u32) as usize);
        let gift = gift.cloned().unwrap_or_else(|| Handle::Out(other.clone()));
        let handle = (part.whims && random.once_in(10)).then_some(gift);
        let bytes = vec![7; random.below(20) as usize];
        let load = Load { channel: out.channel, bytes, handle };
        match random.below(if part.whims { 8 } else { 1 }) {
            4 if random.once_in(2) => drop(out.sender.flush().await),
            4 => place.shared.sleep(random.below(3000).into()).await,
            5 => drop(log.try_send(out, load).await),
            6 => {
                let plain = Load { channel: other.channel, bytes: vec![], handle: None };
                log.select(vec![Case::Send(out, load), Case::Send(other, plain)]).await;
            }
            7 if random.once_in(3) => {
                let patience = random.below(4000).into();
                drop(place.within(patience, log.send(out, load)).await);
            }
            7 if random.once_in(20) => drop(log.close(out).await),
            _ => drop(log.send(out, load).await),
        }
    }
}

async fn receiving(place: &Place, part: &Part, mut ins: Vec<In<Load>>) {
    let log = Recorded::new(place.recorder.task(part.task));
    let mut random = Random::new(part.seed);
    if !part.whims {
        ins.truncate(1);
    }
    // Some are slow: buffers fill, and senders wait.
    let slow = if random.once_in(2) { 2 } else { 0 };
    while !ins.is_empty() {
        if random.once_in(slow) {
            place.shared.sleep(random.below(2000).into()).await;
        }
        let at = random.below(ins.len() as u32) as usize;
        let whim = if part.whims { random.below(10) } else { 9 };
        let (at, received) = match whim {
            0 => match log.try_recv(&ins[at]).await {
                Ok(named) => (at, Ok(named)),
                Err(_) => {
                    place.shared.sleep(random.below(1000).into()).await;
                    continue;
                }
            },
            1 => {
                let patience = random.below(3000).into();
                match place.within(patience, log.recv(&ins[at])).await {
                    Some(received) => (at, received),
                    None => continue,
                }
            }
            2 => match log.select_now(ins.iter().map(Case::Receive).collect()).await {
                Some(Chosen::Received(at, received)) => (at, received),
                _ => {
                    place.shared.sleep(random.below(1000).into()).await;
                    continue;
                }
            },
            3 => match place.within(random.below(3000).into(), log.recv_leased(&ins[at])).await {
                None => continue,
                Some(Ok(held)) => {
                    if random.once_in(2) {
                        place.shared.sleep(random.below(2000).into()).await;
                    }
                    if random.once_in(3) {
                        continue;
                    }
                    (at, Ok(held.ack()))
                }
                Some(Err(error)) => (at, Err(error)),
            },
            9 if ins.len() == 1 => (0, log.recv(&ins[0]).await),
            _ => match log.select(ins.iter().map(Case::Receive).collect()).await {
                Chosen::Received(at, received) => (at, received),
                Chosen::Sent(..) => unreachable!("there is no such case"),
            },
        };
        match received.map(|named| named.load.handle) {
            Ok(None) => {}
            Ok(Some(Handle::In(here))) => ins.push(here),
            Ok(Some(Handle::Out(out))) => {
                let load = Load { channel: out.channel, bytes: vec![1], handle: None };
                drop(log.try_send(&out, load).await);
            }
            Err(RecvError::Malformed(reason)) => panic!("{reason}"),
            Err(_) => drop(ins.swap_remove(at)),
        }
    }
}

/// Asks the coordinator to run a task; what comes back is its outcome.
fn spawn(node: &Arc<Node>, arguments: &Arguments) -> Receiver<Outcome<()>> {
    let arguments = transfer::pack(node, arguments).expect("arguments can be encoded");
    let result = ChannelId::random();
    node.push(Frame::Spawn {
        task: TaskId::random(),
        name: "act".to_owned(),
        signature: 0,
        options: SpawnOptions::default(),
        result,
        arguments,
    });
    Receiver::of_result(node, result)
}

/// None if the client itself is cut off: then it ends there, and its run is no good.
async fn joined(outcome: Receiver<Outcome<()>>) -> Option<TaskEnd> {
    match outcome.recv().await {
        Ok(Outcome::Returned(())) => Some(TaskEnd::Returned),
        Ok(Outcome::WorkerLost(_)) => Some(TaskEnd::WorkerLost),
        Ok(Outcome::NeverStarted(_)) => Some(TaskEnd::NeverStarted),
        Err(RecvError::Lost(_)) => None,
        other => panic!("a task ended in a way of its own: {other:?}"),
    }
}

/// What the client makes of a seed.
pub(crate) struct Program {
    random: Random,
    pub(crate) channels: Vec<Channel>,
    outs: Vec<Out<Load>>,
    ins: Vec<In<Load>>,
    /// The last so many are at home at the client until a message takes them along.
    late: usize,
    whims: bool,
    tasks: u32,
}

impl Program {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let whims = random.below(3) > 0;
        let (mut channels, mut outs, mut ins) = (Vec::new(), Vec::new(), Vec::new());
        let late = if whims { random.below(3) } else { 0 };
        for id in 1..=1 + random.below(3) + late {
            let capacity = [0, 0, 1, 2, 5, 40][random.below(6) as usize];
            channels.push(Channel { id, capacity, held: true });
            let (out, here) = channel(id, capacity as usize);
            outs.push(out);
            ins.push(here);
        }
        Self { random, channels, outs, ins, late: late as usize, whims, tasks: 0 }
    }

    /// The channels that have a home elsewhere than at the coordinator, at first.
    pub(crate) fn late(&self) -> BTreeSet<u32> {
        self.outs[self.outs.len() - self.late..].iter().map(|out| out.channel).collect()
    }

    /// Tasks of the client: one uses the late channels where they are, one gives handles away.
    fn start_local(&mut self, start: &impl Fn(Arguments)) {
        let from = self.outs.len() - self.late;
        let mut user = self.arguments(20);
        user.outs = self.outs[from..].to_vec();
        start(user);
        let mut giver = self.arguments(30);
        let outs = self.outs[from..].iter().cloned().map(Handle::Out);
        giver.gifts = outs.chain(self.ins[from..].iter().cloned().map(Handle::In)).collect();
        start(giver);
    }

    fn arguments(&mut self, sends: u32) -> Arguments {
        self.tasks += 1;
        let (task, seed, whims) = (self.tasks, self.random.bits(), self.whims);
        let early = self.outs.len() - self.late;
        let (mut outs, mut ins) = (self.outs[..early].to_vec(), self.ins[..early].to_vec());
        let by = self.random.below(outs.len() as u32) as usize;
        outs.rotate_left(by);
        ins.rotate_left(by);
        if sends > 0 {
            ins.clear();
        } else {
            outs.clear();
        }
        Arguments { part: Part { task, seed, sends, whims }, outs, ins, gifts: Vec::new() }
    }

    /// The client's `main`. It holds both ends of every channel and receives on each, so the end
    /// comes whoever dies.
    pub(crate) async fn main(
        mut self,
        place: Place,
        node: Arc<Node>,
        start: impl Fn(Arguments),
        done: impl FnOnce(Vec<(u32, TaskEnd)>),
    ) {
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        // All leave before anything happens on them: the home's log is then the whole story.
        for _ in 0..2 + self.random.below(3) {
            let receiver = self.arguments(0);
            receivers.push((receiver.part.task, spawn(&node, &receiver)));
            let sends = 5 + self.random.below(30);
            let sender = self.arguments(sends);
            senders.push((sender.part.task, spawn(&node, &sender)));
        }
        for at in 0..self.ins.len() {
            let mut arguments = self.arguments(0);
            arguments.ins = vec![self.ins[at].clone()];
            start(arguments);
        }
        if self.late > 0 {
            self.start_local(&start);
        }
        let mut ends = Vec::new();
        for (task, outcome) in senders {
            let Some(end) = joined(outcome).await else { return };
            ends.push((task, end));
        }
        self.tasks += 1;
        let closer = Recorded::new(place.recorder.task(self.tasks));
        for out in &self.outs {
            closer.close(out).await.ok();
        }
        for (task, outcome) in receivers {
            let Some(end) = joined(outcome).await else { return };
            ends.push((task, end));
        }
        for here in &self.ins {
            while closer.recv(here).await.is_ok() {}
        }
        done(ends);
    }
}
