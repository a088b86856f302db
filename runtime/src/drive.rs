//! Who works a link: reads what came, writes what waits.
//!
//! A thread that would have to wake another to read or write for it would spend most of a round
//! trip on that. So a link is worked where the tasks are:
//!
//! - in a worker by a task of the executor, which runs on a thread that has just parked a task, or
//!   is about to wake one;
//! - in the client by the thread in `block_on`, whenever `main` waits ([`Drive::lead`]).
//!
//! That is the link's *home*. User code can keep it for as long as it likes, so the connection's
//! own thread looks after the link ([`Drive::look_after`]): when something is due and the home has
//! not had a turn for a few milliseconds it works the link instead, until the home is back. In the
//! client it does that from the moment that `block_on` returns.
//!
//! States of a link: *worked at home* <-> *worked by the guard* -> *ended* (it broke, or was given
//! up). One lock is held during a turn, so there is one who works at a time, and frames come in one
//! after the other. Nothing that is called under it waits.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use channels::node::Later;
use futures::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use smallvec::SmallVec;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::deadlock::Carried;
use crate::link::{Broken, Plug, Socket};

/// How often the guard looks at a link that is used.
const BRISK: Duration = Duration::from_millis(5);
/// And at one that is not.
const CALM: Duration = Duration::from_millis(50);
/// So often a `main` that never waits is asked to look at the link.
const STEPS_MAX: u32 = 64;

/// Microseconds since this was first asked: how long word waits that something was taken.
pub(crate) fn now_us() -> u64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    BEGUN.get_or_init(Instant::now).elapsed().as_micros() as u64
}

/// A link that is worked.
struct Link {
    number: u64,
    plug: Arc<Plug>,
    exchange: Pin<Box<dyn Future<Output = Broken> + Send>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        // Somebody may be waiting for it and hold it open.
        self.plug.stream().shutdown(Shutdown::Both).ok();
    }
}

/// One node's present link, and those who take turns at it.
pub(crate) struct Drive {
    /// Where a worker's tasks are.
    executor: Option<Handle>,
    link: Mutex<Option<Link>>,
    ended: Mutex<Option<Broken>>,
    has_ended: Notify,
    /// Something is to be done.
    is_due: AtomicBool,
    /// Turns of the home.
    turns: AtomicU64,
    /// The home is away since it had so many turns, if it had none since.
    away: AtomicU64,
    /// The executor's task.
    task: AtomicWaker,
    leader: Leader,
    guard: Notify,
}

impl Drive {
    /// For links that are worked by tasks of an executor, or by the thread in [`Drive::lead`].
    pub(crate) fn new(executor: Option<Handle>) -> io::Result<Arc<Self>> {
        let away = if executor.is_some() { u64::MAX } else { 0 };
        Ok(Arc::new(Self {
            executor,
            link: Mutex::default(),
            ended: Mutex::default(),
            has_ended: Notify::new(),
            is_due: AtomicBool::new(false),
            turns: AtomicU64::new(0),
            away: AtomicU64::new(away),
            task: AtomicWaker::new(),
            leader: Leader::new()?,
            guard: Notify::new(),
        }))
    }

    /// Works a link until it breaks; says how. The link ends when this is dropped.
    pub(crate) async fn work<E>(
        self: &Arc<Self>,
        number: u64,
        mut socket: Socket,
        exchange: impl FnOnce(Socket) -> E,
    ) -> Broken
    where
        E: Future<Output = Broken> + Send + 'static,
    {
        if let Err(error) = socket.get_mut().tap_mut().move_to(self.executor.as_ref()) {
            return error.into();
        }
        let plug = socket.get_ref().tap().plug().clone();
        let link = Link { number, plug: plug.clone(), exchange: Box::pin(exchange(socket)) };
        self.ended.lock().take();
        *self.link.lock() = Some(link);
        let _ends = Ending(self);
        if let Some(executor) = &self.executor {
            let drive = self.clone();
            let carried = Carried;
            executor.spawn(async move {
                let _carried = carried;
                poll_fn(|context| drive.poll_home(number, context)).await;
            });
            Carried::note();
        }
        self.wake_by_ref();
        tokio::select! {
            broken = self.ended() => broken,
            never = self.look_after(&plug) => match never {},
        }
    }

    async fn ended(&self) -> Broken {
        loop {
            if let Some(broken) = self.ended.lock().take() {
                return broken;
            }
            self.has_ended.notified().await;
        }
    }

    /// One turn. Ready when there is no link any more.
    fn turn(self: &Arc<Self>, mut link: MutexGuard<'_, Option<Link>>, is_bare: bool) -> Poll<()> {
        self.is_due.store(false, SeqCst);
        let Some(present) = link.as_mut() else { return Poll::Ready(()) };
        present.plug.go_bare(is_bare);
        let waker = Waker::from(self.clone());
        let exchange = present.exchange.as_mut();
        let Poll::Ready(broken) = exchange.poll(&mut Context::from_waker(&waker)) else {
            return Poll::Pending;
        };
        *link = None;
        drop(link);
        *self.ended.lock() = Some(broken);
        self.has_ended.notify_one();
        Poll::Ready(())
    }

    /// A turn of the executor's task for a link.
    fn poll_home(self: &Arc<Self>, number: u64, context: &Context<'_>) -> Poll<()> {
        self.task.register(context.waker());
        self.turns.fetch_add(1, SeqCst);
        let link = self.link.lock();
        match &*link {
            Some(present) if present.number == number => self.turn(link, false),
            _ => Poll::Ready(()),
        }
    }

    /// Runs `main`, and works the link whenever it waits. It comes back if another thread does so.
    pub(crate) fn lead<F: Future + Unpin>(self: &Arc<Self>, mut main: F) -> Result<F::Output, F> {
        let Some(_seat) = self.leader.seat.try_lock() else { return Err(main) };
        let _leaving = Leaving(self);
        let woken = Arc::new(Woken { drive: self.clone(), is_due: AtomicBool::new(true) });
        let waker = Waker::from(woken.clone());
        let mut steps = 0;
        self.turn_of_leader(true);
        loop {
            self.leader.begin();
            if woken.is_due.swap(false, SeqCst) {
                let _tells = Later::begin(now_us);
                let context = &mut Context::from_waker(&waker);
                if let Poll::Ready(output) = pin!(&mut main).poll(context) {
                    return Ok(output);
                }
            }
            steps = (steps + 1) % STEPS_MAX;
            if self.is_due.load(SeqCst) || steps == 0 {
                self.turn_of_leader(steps == 0);
            }
            if !woken.is_due.load(SeqCst) && !self.is_due.load(SeqCst) {
                let plug = self.link.lock().as_ref().map(|link| link.plug.clone());
                if self.leader.wait(plug.as_deref()) {
                    self.turn_of_leader(true);
                }
            }
        }
    }

    fn turn_of_leader(self: &Arc<Self>, may_read: bool) {
        self.turns.fetch_add(1, SeqCst);
        let link = self.link.lock();
        if let Some(present) = link.as_ref().filter(|_| may_read) {
            present.plug.note_readable();
        }
        let _ = self.turn(link, true);
    }

    fn is_away(&self) -> bool {
        self.away.load(SeqCst) == self.turns.load(SeqCst)
    }

    /// Sees to it that the link is worked when its home does not do it. Never returns.
    async fn look_after(self: &Arc<Self>, plug: &Arc<Plug>) -> Infallible {
        let mut before = self.turns.load(SeqCst);
        loop {
            if self.is_away() {
                self.stand_in(plug).await;
            }
            let turns = self.turns.load(SeqCst);
            let pause = if turns == before { CALM } else { BRISK };
            tokio::select! {
                () = self.guard.notified() => {}
                () = sleep(pause) => {}
            }
            before = turns;
            if self.turns.load(SeqCst) == turns && (self.is_due.load(SeqCst) || plug.is_readable())
            {
                self.away.store(turns, SeqCst);
            }
        }
    }

    /// Works the link until its home does again.
    async fn stand_in(self: &Arc<Self>, plug: &Arc<Plug>) {
        let watched = plug.stream().try_clone().and_then(TcpStream::from_std);
        while self.is_away() {
            if let Some(link) = self.link.try_lock() {
                plug.note_readable();
                if self.turn(link, true).is_ready() {
                    // It has ended, which is known by now.
                    return pending().await;
                }
            }
            let readiness = async {
                let Ok(watched) = &watched else { return pending().await };
                let full = Interest::READABLE | Interest::WRITABLE;
                let interest = if plug.is_full() { full } else { Interest::READABLE };
                // Whatever it is, a turn will see; after that only what is new counts.
                if watched.ready(interest).await.is_ok() {
                    let unready = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                    watched.try_io(interest, unready).ok();
                }
            };
            tokio::select! {
                () = readiness => {}
                () = self.guard.notified() => {}
                () = sleep(CALM) => {}
            }
        }
    }
}

/// What waits in a link has something to do.
impl Wake for Drive {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_due.store(true, SeqCst);
        if self.executor.is_some() {
            self.task.wake();
        } else {
            self.leader.wake();
        }
        if self.is_away() {
            self.guard.notify_one();
        }
    }
}

/// The link ends.
struct Ending<'a>(&'a Arc<Drive>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let ended = self.0.link.lock().take();
        drop(ended);
        self.0.wake_by_ref();
    }
}

/// The leader goes.
struct Leaving<'a>(&'a Drive);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.away.store(self.0.turns.load(SeqCst), SeqCst);
        self.0.guard.notify_one();
    }
}

/// Wakes `main`.
struct Woken {
    drive: Arc<Drive>,
    is_due: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_due.store(true, SeqCst);
        self.drive.leader.wake();
    }
}

const RUNNING: u8 = 0;
const WAITING: u8 = 1;
const WOKEN: u8 = 2;

/// The thread in [`Drive::lead`], which waits for the link and to be woken at once.
struct Leader {
    /// There is one.
    seat: Mutex<()>,
    state: AtomicU8,
    event: OwnedFd,
}

impl Leader {
    fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { seat: Mutex::default(), state: AtomicU8::new(RUNNING), event })
    }

    /// From now on it can be woken.
    fn begin(&self) {
        self.state.store(RUNNING, SeqCst);
    }

    fn wake(&self) {
        if self.state.swap(WOKEN, SeqCst) == WAITING {
            // It cannot be full: one is added each time that the leader waits.
            rustix::io::write(&self.event, &1_u64.to_ne_bytes()).ok();
        }
    }

    /// Waits until it is woken, unless it was since it began, or until a link can go on, which it
    /// says.
    fn wait(&self, plug: Option<&Plug>) -> bool {
        if self.state.compare_exchange(RUNNING, WAITING, SeqCst, SeqCst).is_err() {
            return false;
        }
        let mut watched = SmallVec::<[PollFd<'_>; 2]>::new();
        watched.push(PollFd::new(&self.event, PollFlags::IN));
        if let Some(plug) = plug {
            watched.push(PollFd::new(plug.stream(), plug.wanted()));
        }
        // Interrupted, it goes round once more.
        if poll(&mut watched, None).is_err() {
            return false;
        }
        if !watched[0].revents().is_empty() {
            rustix::io::read(&self.event, &mut [0; 8]).ok();
        }
        watched.get(1).is_some_and(|link| !link.revents().is_empty())
    }
}
