//! A worker that leaves before it is told to: its platform is about to end it.
//!
//! *Working* -> *leaving* (what it has not begun goes back; what it has goes on) -> *over*: with
//! its last task, or when [`Control::leave`] or [`Control::cut`] puts an end to it.

use std::fmt;
use std::future::pending;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use channels::wire::Frame;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{Serving, Worker};
use crate::context::now;
use crate::deadlock::OwnThread;

/// Ends a worker from outside. It holds no thread.
#[derive(Clone)]
pub(crate) struct Control {
    worker: Arc<Worker>,
    stop: Arc<Mutex<Option<oneshot::Sender<()>>>>,
}

/// What a worker has done, when its session is over.
pub(crate) struct Served {
    pub(crate) cause: String,
    /// Attempts that came to their end.
    pub(crate) ended: u64,
    /// Tasks that went back before they began.
    pub(crate) given_back: u64,
    /// Attempts that were under way at the end.
    pub(crate) cut_off: u64,
    /// Whether no thread of it is left.
    pub(crate) is_still: bool,
}

impl Control {
    /// No more tasks; those that have begun may come to their end.
    pub(crate) fn drain(&self, reason: &str) {
        let mut held = self.worker.held();
        if held.leaving || held.draining {
            return;
        }
        held.leaving = true;
        self.worker.children.leave();
        let attempts: Vec<_> = held
            .attempts
            .iter()
            .map(|(attempt, grip)| (*attempt, grip.letter.clone(), grip.abort.clone()))
            .collect();
        drop(held);
        tracing::debug!("this worker leaves: {reason}");
        for (attempt, letter, abort) in attempts {
            if self.worker.give_back(attempt, &letter) {
                let grip = self.worker.held().attempts.remove(&attempt);
                abort.abort();
                if let Some(timer) = grip.and_then(|grip| grip.timer) {
                    timer.abort();
                }
            }
        }
        // Answered by `Shutdown`, after which nothing comes any more.
        self.worker.node.push(Frame::Draining { reason: reason.to_owned() });
    }

    /// Goes now. What is under way is lost, and the coordinator knows it at once.
    pub(crate) fn leave(&self) {
        let (until, since) = (self.worker.until, self.worker.since);
        let is_over = until.is_some_and(|until| until <= now());
        let life_ms = if is_over { since.elapsed().as_millis() as u64 } else { 0 };
        let held = self.worker.held();
        for ((task, attempt), grip) in &held.attempts {
            let (task, attempt) = (*task, *attempt);
            let ran_ms = grip.letter.running().as_millis() as u64;
            self.worker.node.push(Frame::CutOff { task, attempt, ran_ms, life_ms });
        }
        drop(held);
        self.worker.node.push(Frame::Goodbye {});
    }

    /// Ends the session on this side: the coordinator does not answer.
    pub(crate) fn cut(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// For logs.
impl fmt::Display for Served {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, ended, given_back, cut_off, is_still } = self;
        let still = if *is_still { "" } else { "; a thread of it goes on" };
        write!(out, "{cause}: {ended} tasks, {given_back} given back, {cut_off} cut off{still}")
    }
}

impl Serving {
    /// For a process that does nothing else: SIGTERM drains it. A second gives up what is under
    /// way, a third does not wait for the coordinator. A thread of its own waits for it, for those
    /// of the executor may all be busy.
    pub(crate) fn drain_at_sigterm(&mut self) -> io::Result<()> {
        let control = self.control();
        let executor = Builder::new_current_thread().enable_all().build()?;
        let wait = move || {
            let _own = OwnThread::enter();
            executor.block_on(async {
                let mut told = match signal(SignalKind::terminate()) {
                    Ok(told) => told,
                    Err(error) => {
                        tracing::warn!("SIGTERM will end this worker at once: {error}");
                        return pending().await; // dropped, `control` would cut the link
                    }
                };
                told.recv().await;
                control.drain("its process was told to end");
                told.recv().await;
                control.leave();
                told.recv().await;
                control.cut();
            });
        };
        thread::Builder::new().name("farspawn-signal".to_owned()).spawn(wait).map(drop)
    }

    pub(crate) fn control(&mut self) -> Control {
        let stop = Arc::new(Mutex::new(self.connection.take_stop()));
        Control { worker: self.worker.clone(), stop }
    }

    /// Blocks until the session is over, and then until its threads have ended, but not for longer
    /// than `patience`: one that computes cannot be stopped.
    pub(crate) fn wait(mut self, patience: Duration) -> Served {
        let cause = self.connection.wait();
        // No thread of the link is left either.
        drop(self.connection);
        let (ended, given_back, cut_off) = {
            let held = self.worker.held();
            let (ended, sent_on) = self.worker.children.counts();
            let cut_off = held.attempts.len() + self.worker.children.present();
            (held.ended + ended, held.given_back + sent_on, cut_off as u64)
        };
        self.executor.shutdown_timeout(patience);
        let is_still = self.alive.load(SeqCst) == 0;
        Served { cause, ended, given_back, cut_off, is_still }
    }
}

#[cfg(test)]
mod tests {
    use channels::id::{ChannelId, TaskId};
    use channels::node::Node;
    use channels::outcome::Outcome;
    use channels::wire::{BatchWriter, Parcel, Passage, Secret, Side, read_batch};
    use tokio::runtime::Runtime;

    use super::super::Settings;
    use super::*;
    use crate::child::Children;
    use crate::connection::{At, Owner};
    use crate::lease::Lease;
    use crate::task::{self, Kind, Task};

    static TASK: Task = Task {
        name: "task",
        signature: 1,
        kind: Kind::Async,
        retries: 0,
        timeout_ms: 0,
        start: |node, arguments| task::start::<(), ()>(node, arguments, |()| Box::pin(async {})),
    };

    /// A worker without a link. Its tasks are polled when `runtime` is run.
    struct Bench {
        runtime: Runtime,
        worker: Arc<Worker>,
        control: Control,
    }

    impl Bench {
        fn new() -> Self {
            let settings = Settings {
                coordinator: At::default(),
                launch: 1,
                secret: Secret([0; 32]),
                threads: 1,
                cpus: 1.0,
                memory_bytes: 1 << 30,
                cores: None,
                trial: None,
                until: None,
                at_end: |_| {},
            };
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let node = Node::new(|| {});
            let lease = Lease::of_worker();
            let children = Children::new(&node, &lease);
            let worker = Worker::new(&settings, &node, &lease, children, runtime.handle());
            let control = Control { worker: worker.clone(), stop: Arc::default() };
            Self { runtime, worker, control }
        }

        fn run(&self, number: u128) -> Frame {
            let (channel, side) = (ChannelId(number), Side::Send);
            let passages = vec![Passage { channel, side, capacity: 1 }];
            let arguments = Parcel { passages, ..Parcel::default() };
            let (task, attempt) = (TaskId(number), 1);
            self.worker.run((task, attempt), &TASK, 60_000, arguments.clone());
            Frame::Unstarted { task, attempt, arguments }
        }

        /// What it has to say, but for reports.
        fn said(&self) -> Vec<Frame> {
            let mut batch = BatchWriter::default();
            self.worker.node.take_outgoing(&mut batch);
            let mut session = channels::session::Session::new(1);
            session.seal(batch);
            let frames = session.next_batch().map(|bytes| read_batch(bytes).unwrap().1);
            let frames = frames.into_iter().flatten();
            let readings =
                |frame: &Frame| matches!(frame, Frame::Report { .. } | Frame::Measures { .. });
            frames.filter(|frame| !readings(frame)).collect()
        }

        fn poll_all(&self) {
            self.runtime.block_on(async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            });
        }
    }

    fn detach(number: u128) -> Frame {
        Frame::Detach { channel: ChannelId(number), side: Side::Send, arrivals: 1 }
    }

    #[test]
    fn what_has_not_begun_goes_back_with_its_handles_and_once() {
        let bench = Bench::new();
        let first = bench.run(1);
        bench.control.drain("why");
        let draining = Frame::Draining { reason: "why".to_owned() };
        assert_eq!(bench.said(), [first, detach(1), draining]);
        bench.control.drain("again");
        let second = bench.run(2);
        assert_eq!(bench.said(), [second, detach(2)], "it was on its way");
        bench.poll_all();
        assert_eq!(bench.said(), [], "nothing of it runs");
        bench.worker.on_frame(Frame::Shutdown {});
        assert_eq!(bench.said(), [Frame::Goodbye {}]);
        let held = bench.worker.held();
        assert_eq!((held.given_back, held.ended, held.attempts.len()), (2, 0, 0));
    }

    #[test]
    fn what_has_begun_comes_to_its_end() {
        let bench = Bench::new();
        bench.run(1);
        let begun = bench.worker.held().attempts.values().next().unwrap().letter.take();
        bench.control.drain("why");
        assert!(matches!(bench.said()[..], [Frame::Draining { .. }]));
        bench.worker.on_frame(Frame::Shutdown {});
        assert_eq!(bench.said(), [], "not before the task has ended");
        let attempt = (TaskId(1), 1);
        let ended = task::Ended::new(&bench.worker.node, Outcome::Returned(()));
        bench.worker.finish(attempt, ended);
        assert!(matches!(bench.said()[..], [Frame::Finished { .. }, Frame::Goodbye {}]));
        drop(begun);
    }
}
