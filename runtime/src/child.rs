//! A task that a task of a worker spawned and that the worker begins by itself: the local start. No
//! frame is sent, nothing is serialised, and its outcome comes through memory.
//!
//! # Who may
//!
//! The coordinator grants *seats* (`Frame::Seats`) as its policy allows, and takes them back. A
//! task may begin another beside it while no more tasks than that occupy a thread of the worker:
//! so it has the place that its parent gives up when it waits for it, and crowds take the ordinary
//! way, to wherever there is room. That way also go a task that is to be run again if its worker
//! dies, for then somebody else must have its arguments, and whatever is spawned while the worker's
//! memory is short, while it leaves, under a [`Trial`](crate::Trial), or by no task.
//!
//! # States
//!
//! *Sealed* (on the executor, its call untouched) -> *begun* -> *ended*, with its one outcome; or
//! sealed -> *sent on*: the worker leaves, so it is spawned in the ordinary way after all, and its
//! outcome is passed on. One that still is there at the second tick is *told* of (`Frame::Began`):
//! from then on the coordinator has it among the worker's tasks, and hears of its end. Of the
//! others it is told how many have ended and what they took (`Frame::Tally`): each tick, and before
//! the end of any task that it knows. So whoever knows that their parent has ended may see them on
//! the bill.
//!
//! # Deaths
//!
//! With the worker dies the child, and all who could know of it: a `JoinHandle` leaves no process,
//! and the child runs in its parent's. What it did to others it did in the worker's one session, in
//! order, before whatever was done by those who knew of its end. So what is seen of the dead worker
//! is a prefix of what it did (contract D1, D4), whether or not the coordinator ever heard of the
//! child; that it was lost would be told to nobody.
//!
//! When the lease runs out no child is polled any more. When the client is gone the worker ends.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread::panicking;
use std::time::Duration;

use channels::census::{Counted, Who};
use channels::id::{ChannelId, TaskId};
use channels::outcome::Outcome;
use channels::slot::Slot;
use channels::wire::{Frame, Parcel, SpawnOptions};
use channels::{Message, Receiver, RecvError, moved, waiting};
use parking_lot::Mutex;

use crate::deadlock::Watched;
use crate::fence::{self, Fenced};
use crate::here;
use crate::lease::Gate;
use crate::occupancy::{Seat, Seated};
use crate::task::{BoxFuture, Call, Kind, panic_text};

mod children;
pub(crate) use children::{Children, Host};

/// What comes through the slot.
pub(crate) type Told<R> = Result<Outcome<R>, RecvError>;

/// What a child and its spawner share.
struct Link<R> {
    task: TaskId,
    kind: Kind,
    slot: Slot<Told<R>>,
    /// What to say of it if it is stopped.
    verdict: Mutex<Option<Outcome<()>>>,
    /// It runs elsewhere, and all that is left here waits for its outcome.
    is_sent_on: AtomicBool,
    abort: OnceLock<tokio::task::AbortHandle>,
}

/// Something that can be stopped.
pub(crate) trait Stop: Send + Sync {
    /// At its next await. One on a thread of its own might never come to one, so its outcome is
    /// told at once.
    fn stop(&self, verdict: Outcome<()>);
}

impl<R: Message> Stop for Link<R> {
    fn stop(&self, verdict: Outcome<()>) {
        self.verdict.lock().get_or_insert(verdict);
        if self.kind == Kind::Thread {
            self.slot.fill(Ok(self.stopped())).ok();
        }
        if let Some(abort) = self.abort.get() {
            abort.abort();
        }
    }
}

impl<R> Link<R> {
    fn stopped(&self) -> Outcome<R> {
        let verdict = self.verdict.lock().clone().unwrap_or(Outcome::Cancelled);
        verdict.map(|()| unreachable!("no verdict is that it returned"))
    }
}

/// The spawner's end.
pub(crate) struct Begun<R>(Arc<Link<R>>);

impl<R: Message> Begun<R> {
    pub(crate) fn task(&self) -> TaskId {
        self.0.task
    }

    pub(crate) fn control(&self) -> Arc<dyn Stop> {
        self.0.clone()
    }
}

impl<R> Begun<R> {
    /// Waits for the outcome. None if it was taken.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Told<R>>> {
        self.0.slot.poll_take(context.waker(), || format!("join of {}", self.0.task))
    }
}

impl<R> Drop for Begun<R> {
    fn drop(&mut self) {
        self.0.slot.give_up();
    }
}

/// Begins a call here, if the task that this thread runs may do so; or it comes back.
pub(crate) fn begin<R: Message>(call: Call<R>) -> Result<Begun<R>, Call<R>> {
    if call.options.retries > 0 {
        return Err(call);
    }
    let Some(children) = here::children() else { return Err(call) };
    let Some(above) = fence::polled_task() else { return Err(call) };
    match children.sit(call.task.name) {
        Some(seat) => Ok(start(children, above, Arc::new(seat), call)),
        None => Err(call),
    }
}

fn start<R: Message>(
    children: Arc<Children>,
    above: TaskId,
    seat: Arc<Seat>,
    call: Call<R>,
) -> Begun<R> {
    let (task, name, kind) = (children.name(), call.task.name, call.task.kind);
    let timeout_ms = call.options.timeout_ms;
    let link = Arc::new(Link {
        task,
        kind,
        slot: Slot::default(),
        verdict: Mutex::new(None),
        is_sent_on: AtomicBool::new(false),
        abort: OnceLock::new(),
    });
    let inner =
        Inner { children: children.clone(), above, link: link.clone(), stage: Stage::Sealed(call) };
    let inner = Fenced::new(&children.node, (task, 1), inner).seated(seat.clone()).below(above);
    let inner = Gate::new(children.lease.clone(), inner);
    let timer = (timeout_ms > 0).then(|| {
        let link = link.clone();
        let late = async move {
            tokio::time::sleep(Duration::from_millis(timeout_ms)).await;
            link.stop(Outcome::DeadlineExceeded(timeout_ms));
        };
        tokio::spawn(late).abort_handle()
    });
    let end = End { children, link: link.clone(), name, seat, timer, is_over: false };
    let abort = match kind {
        Kind::Async => {
            let agent = None;
            tokio::spawn(Running { agent, inner, above, end }).abort_handle()
        }
        Kind::Thread => {
            end.children.on_lasting(task, name, above, &end.seat);
            tokio::task::spawn_blocking(move || end.run(inner)).abort_handle()
        }
    };
    link.abort.set(abort).ok();
    Begun(link)
}

type Guarded<R> = Gate<Fenced<Inner<R>>>;

/// A child that shares the executor.
struct Running<R: Message> {
    /// Once it has waited. One that has not been polled to its first wait is a task of the executor
    /// that nobody knows: as long as it is there this process is not asleep.
    agent: Option<Counted>,
    // Dropped before the end tells of it.
    inner: Guarded<R>,
    above: TaskId,
    end: End<R>,
}

impl<R: Message> Future for Running<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { agent, inner, above, end } = &mut *self;
        end.seat.resume();
        waiting::take();
        moved::take();
        let mark = end.seat.watch.begin_poll();
        let inner = Pin::new(inner);
        let polled = match agent {
            None => inner.poll(context),
            Some(agent) => agent
                .poll_inside(context.waker(), |waker| inner.poll(&mut Context::from_waker(waker))),
        };
        end.seat.watch.end(mark);
        end.seat.watch.moved(moved::take());
        if let Poll::Ready(told) = polled {
            end.seat.park();
            end.tell(told);
            return Poll::Ready(());
        }
        if end.seat.wait()
            && let Some(host) = end.children.host()
        {
            host.on_seat_free();
        }
        if agent.is_none() {
            let who = Who::Task(end.name, end.link.task);
            *agent = Some(Counted::late(who, context.waker()));
            end.children.on_lasting(end.link.task, end.name, *above, &end.seat);
        }
        Poll::Pending
    }
}

/// What is left to do for a child when it has come to its end, or was stopped.
struct End<R: Message> {
    children: Arc<Children>,
    link: Arc<Link<R>>,
    name: &'static str,
    seat: Arc<Seat>,
    timer: Option<tokio::task::AbortHandle>,
    is_over: bool,
}

impl<R: Message> End<R> {
    /// Runs the child on this thread.
    fn run(mut self, inner: Guarded<R>) {
        let who = Who::ThreadTask(self.name, self.link.task);
        let children = self.children.clone();
        let free = move || {
            if let Some(host) = children.host() {
                host.on_seat_free();
            }
        };
        let told = Seated::new(self.seat.clone(), Watched::new(who, inner), free).on_this_thread();
        self.tell(told);
    }

    fn tell(&mut self, told: Told<R>) {
        self.is_over = true;
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        if self.link.is_sent_on.load(SeqCst) {
            self.link.slot.fill(told).ok();
            return;
        }
        self.children.on_ended(self.link.task, self.name, &self.seat);
        // Before whoever joins it can know: then the counts are what it may expect.
        self.children.on_gone();
        self.link.slot.fill(told).ok();
    }
}

impl<R: Message> Drop for End<R> {
    fn drop(&mut self) {
        if !self.is_over {
            self.seat.park();
            let panicked = || Outcome::Panicked("it panicked while it was dropped".to_owned());
            let outcome = if panicking() { panicked() } else { self.link.stopped() };
            self.tell(Ok(outcome));
        }
    }
}

/// The user's future, from when it is only a call.
struct Inner<R: Message> {
    children: Arc<Children>,
    above: TaskId,
    link: Arc<Link<R>>,
    stage: Stage<R>,
}

enum Stage<R> {
    Sealed(Call<R>),
    Begun(BoxFuture<R>),
    SentOn(BoxFuture<Told<R>>),
    Over,
}

impl<R: Message> Future for Inner<R> {
    type Output = Told<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Told<R>> {
        let this = &mut *self;
        if let Stage::Sealed(_) = this.stage {
            this.open();
        }
        let polled = match &mut this.stage {
            Stage::Begun(body) => {
                match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(context))) {
                    Ok(polled) => polled.map(|value| Ok(Outcome::Returned(value))),
                    Err(panic) => Poll::Ready(Ok(Outcome::Panicked(panic_text(&*panic)))),
                }
            }
            Stage::SentOn(outcome) => outcome.as_mut().poll(context),
            Stage::Sealed(_) | Stage::Over => Poll::Pending,
        };
        if polled.is_ready() {
            this.stage = Stage::Over;
        }
        polled
    }
}

impl<R: Message> Inner<R> {
    fn open(&mut self) {
        let Stage::Sealed(call) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        // What cannot be sent is run here.
        let packed = self.children.leaving.load(SeqCst).then(|| call.pack(&self.children.node));
        self.stage = match packed {
            Some(Ok(arguments)) => Stage::SentOn(self.send_on(&call, arguments)),
            Some(Err(_)) | None => Stage::Begun(call.into_future()),
        };
    }

    /// An ordinary spawn. What is left here passes the outcome on.
    fn send_on(&self, call: &Call<R>, arguments: Parcel) -> BoxFuture<Told<R>> {
        let (node, task, result) = (&self.children.node, self.link.task, ChannelId::random());
        node.push(Frame::Spawn {
            task,
            name: call.task.name.to_owned(),
            signature: call.task.signature,
            options: SpawnOptions { parent: Some(self.above), ..call.options },
            result,
            arguments,
        });
        self.link.is_sent_on.store(true, SeqCst);
        self.children.on_sent_on(task);
        let outcome = Receiver::<Outcome<R>>::of_result(node, result);
        Box::pin(async move { outcome.recv().await })
    }
}

impl<R: Message> Drop for Inner<R> {
    fn drop(&mut self) {
        if let Stage::SentOn(_) = self.stage {
            self.children.node.push(Frame::Abort { task: self.link.task });
        }
    }
}

#[cfg(test)]
mod tests;
