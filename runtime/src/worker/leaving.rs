//! A worker that leaves before it is told to: its platform is about to end it.
//!
//! *Working* -> *leaving* (what it has not begun goes back; what it has goes on) -> *over*: with
//! its last task, or when [`Control::leave`] or [`Control::cut`] puts an end to it.

use std::fmt;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use channels::wire::Frame;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{Serving, Worker};

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
    /// way, a third does not wait for the coordinator.
    pub(crate) fn drain_at_sigterm(&mut self) -> io::Result<()> {
        let control = self.control();
        let _entered = self.executor.enter();
        let mut told = signal(SignalKind::terminate())?;
        self.executor.spawn(async move {
            told.recv().await;
            control.drain("its process was told to end");
            told.recv().await;
            control.leave();
            told.recv().await;
            control.cut();
        });
        Ok(())
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
            (held.ended, held.given_back, held.attempts.len() as u64)
        };
        self.executor.shutdown_timeout(patience);
        let is_still = self.alive.load(SeqCst) == 0;
        Served { cause, ended, given_back, cut_off, is_still }
    }
}
