//! A process of the simulation: the client or a worker. It has a real [`Node`] and real handles;
//! what a runtime does with threads and sockets is done here by the world's loop.

use std::collections::BTreeMap;
use std::sync::Arc;

use channels::id::{SessionId, TaskId};
use channels::node::Node;
use channels::outcome::Outcome;
use channels::transfer;
use channels::wire::{Frame, Parcel, Usage};
use checker::Recorder;

use crate::executor::{Name, Shared, Tasks};
use crate::program::{Arguments, Place, act};

/// How a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Up,
    /// It does nothing until then, and does not know.
    Frozen(u64),
    /// It is no more.
    Down,
}

pub(crate) struct Host {
    pub(crate) name: usize,
    pub(crate) session: SessionId,
    /// The launch that started it; 0 for the client.
    pub(crate) launch: u64,
    pub(crate) state: State,
    pub(crate) node: Arc<Node>,
    pub(crate) place: Place,
    pub(crate) tasks: Tasks,
    /// What the coordinator knows of them: by their number here.
    attempts: BTreeMap<usize, (TaskId, u32)>,
    runs_seen: u64,
    /// When something last came from the coordinator.
    pub(crate) heard: u64,
    draining: bool,
    pub(crate) said_goodbye: bool,
}

impl Host {
    pub(crate) fn new(name: usize, launch: u64, shared: &Shared) -> Self {
        let session = SessionId(name as u64);
        let ring = shared.clone();
        let clock = shared.clone();
        let recorder = Recorder::new(name as u32, move || clock.now());
        Self {
            name,
            session,
            launch,
            state: State::Up,
            node: Node::new(move || ring.ring(name)),
            place: Place { shared: shared.clone(), recorder },
            tasks: Tasks::default(),
            attempts: BTreeMap::new(),
            runs_seen: 0,
            heard: shared.now(),
            draining: false,
            said_goodbye: false,
        }
    }

    /// A frame came that does not concern channels.
    pub(crate) fn on_frame(&mut self, frame: Frame) {
        match frame {
            Frame::Run { task, attempt, arguments, .. } => {
                self.runs_seen += 1;
                self.run(task, attempt, arguments);
            }
            Frame::Cancel { task } => {
                let found = self.attempts.iter().find(|(_, (known, _))| *known == task);
                if let Some(number) = found.map(|(number, _)| *number) {
                    drop(self.tasks.remove(number));
                    self.finish(number, &Outcome::Cancelled);
                }
            }
            Frame::Shutdown {} => {
                self.draining = true;
                self.leave_if_done();
            }
            _ => {}
        }
    }

    fn run(&mut self, task: TaskId, attempt: u32, arguments: Parcel) {
        let arguments: Arguments =
            transfer::unpack(&self.node, arguments).expect("arguments can be decoded");
        let place = self.place.clone();
        let running = Box::pin(act(place.clone(), arguments));
        let number = self.tasks.spawn(self.name, &place.shared, running);
        self.attempts.insert(number, (task, attempt));
    }

    /// Polls a task, and reports its end.
    pub(crate) fn poll(&mut self, name: Name) {
        let shared = self.place.shared.clone();
        if self.tasks.poll(name, &shared) {
            self.finish(name.1, &Outcome::Returned(()));
        }
    }

    fn finish(&mut self, number: usize, outcome: &Outcome<()>) {
        let Some((task, attempt)) = self.attempts.remove(&number) else { return };
        let outcome = transfer::pack(&self.node, outcome).expect("an outcome can be encoded");
        self.node.push(Frame::Finished { task, attempt, outcome, usage: Usage::default() });
        self.report();
        self.leave_if_done();
    }

    fn leave_if_done(&mut self) {
        if self.draining && self.attempts.is_empty() && !self.said_goodbye {
            self.said_goodbye = true;
            self.node.push(Frame::Goodbye {});
        }
    }

    fn report(&self) {
        let (held, runs_seen) = (self.attempts.len() as u32, self.runs_seen);
        // All wait on channels, so none occupies a thread.
        self.node.push(Frame::Report { cpu: 0.1, memory: 0.1, running: 0, held, runs_seen });
    }

    /// Time has passed: a heartbeat, and the worker's own lease. False if it has run out.
    pub(crate) fn tick(&mut self, now: u64, lease: u64) -> bool {
        if now - self.heard > lease {
            return false;
        }
        self.node.push(Frame::Heartbeat {});
        if self.launch > 0 {
            self.report();
        }
        true
    }
}
