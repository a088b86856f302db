//! The children of one worker: how many seats there are for them, how many there are, and what the
//! coordinator is to be told of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};

use channels::id::TaskId;
use channels::node::Node;
use channels::wire::{Frame, Parcel, Usage};
use parking_lot::Mutex;

use crate::lease::Lease;
use crate::occupancy::{Gauge, Seat};

/// Children of one worker at once. Those that wait on channels occupy no thread.
const PRESENT_MAX: usize = 10_000;
/// A worker whose memory is fuller begins nothing by itself.
const MEMORY_MAX: f32 = 0.9;

/// The children of one worker.
pub(crate) struct Children {
    pub(super) node: Arc<Node>,
    pub(super) lease: Arc<Lease>,
    gauge: Arc<Gauge>,
    /// As the coordinator has granted them.
    seats: AtomicU32,
    /// None begins any more.
    closed: AtomicBool,
    /// What has not begun is sent on.
    pub(super) leaving: AtomicBool,
    /// The worker's memory is short.
    short: AtomicBool,
    /// Polls of some kind were long.
    has_heavy: AtomicBool,
    /// Those that have not ended.
    present: AtomicUsize,
    /// Their names: none else has the same, for where they begin is random.
    names: TaskId,
    named: AtomicU64,
    books: Mutex<Books>,
    host: OnceLock<Weak<dyn Host>>,
}

/// The worker.
pub(crate) trait Host: Send + Sync {
    /// A child has given its seat up.
    fn on_seat_free(&self);
    /// No child is left, and none will come.
    fn on_last_child(&self);
}

#[derive(Default)]
struct Books {
    kinds: BTreeMap<&'static str, Tally>,
    /// Those that have waited.
    lasting: BTreeMap<TaskId, Lasting>,
    ended: u64,
    sent_on: u64,
}

/// Children of one kind that the coordinator has not been told of.
#[derive(Default)]
struct Tally {
    count: u32,
    usage: Usage,
    /// Polls of the kind were long.
    is_heavy: bool,
}

struct Lasting {
    name: &'static str,
    above: TaskId,
    seat: Arc<Seat>,
    age: Age,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    New,
    /// It was there at a tick.
    Seen,
    Told,
}

impl Children {
    pub(crate) fn new(node: &Arc<Node>, lease: &Arc<Lease>) -> Arc<Self> {
        Arc::new(Self {
            node: node.clone(),
            lease: lease.clone(),
            gauge: Arc::default(),
            seats: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            short: AtomicBool::new(false),
            has_heavy: AtomicBool::new(false),
            present: AtomicUsize::new(0),
            names: TaskId::random(),
            named: AtomicU64::new(0),
            books: Mutex::default(),
            host: OnceLock::new(),
        })
    }

    /// How many tasks of the worker occupy a thread.
    pub(crate) fn gauge(&self) -> &Arc<Gauge> {
        &self.gauge
    }

    /// Whose they are.
    pub(crate) fn belong_to(&self, host: Weak<dyn Host>) {
        self.host.set(host).ok();
    }

    /// The coordinator grants so many seats.
    pub(crate) fn grant(&self, seats: u32) {
        self.seats.store(seats, SeqCst);
    }

    /// So much of the worker's memory is in use, 1.0 being all of it.
    pub(crate) fn on_memory(&self, part: f32) {
        self.short.store(part > MEMORY_MAX, SeqCst);
    }

    /// None begins any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
    }

    /// The same, and those that have not begun are sent on as they come to be polled.
    pub(crate) fn leave(&self) {
        self.close();
        self.leaving.store(true, SeqCst);
    }

    pub(crate) fn present(&self) -> usize {
        self.present.load(SeqCst)
    }

    /// Those that have ended, and those sent on.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let books = self.books.lock();
        (books.ended, books.sent_on)
    }

    /// A tick has passed.
    pub(crate) fn on_tick(&self) {
        let mut books = self.books.lock();
        for (task, child) in &mut books.lasting {
            child.seat.age();
            match child.age {
                Age::New => child.age = Age::Seen,
                Age::Seen => {
                    child.age = Age::Told;
                    let (task, name) = (*task, child.name.to_owned());
                    self.node.push(Frame::Began { task, name, parent: Some(child.above) });
                }
                Age::Told => {}
            }
        }
        self.tell_of(&mut books);
    }

    /// Tells what has ended since it was last told.
    pub(crate) fn tell(&self) {
        self.tell_of(&mut self.books.lock());
    }

    fn tell_of(&self, books: &mut Books) {
        for (name, tally) in &mut books.kinds {
            let (count, usage) =
                (std::mem::take(&mut tally.count), std::mem::take(&mut tally.usage));
            if count > 0 {
                self.node.push(Frame::Tally { name: (*name).to_owned(), count, usage });
            }
        }
    }

    /// A place for another, if there is one.
    pub(super) fn sit(&self, name: &str) -> Option<Seat> {
        let seats = self.seats.load(SeqCst);
        let is_refused = seats == 0 || self.closed.load(SeqCst) || self.short.load(SeqCst);
        if is_refused || self.present() >= PRESENT_MAX {
            return None;
        }
        let is_heavy = self.has_heavy.load(SeqCst)
            && self.books.lock().kinds.get(name).is_some_and(|kind| kind.is_heavy);
        let seat = Seat::take_of(&self.gauge, seats, is_heavy)?;
        self.present.fetch_add(1, SeqCst);
        Some(seat)
    }

    pub(super) fn name(&self) -> TaskId {
        TaskId(self.names.0.wrapping_add(u128::from(self.named.fetch_add(1, SeqCst))))
    }

    pub(super) fn on_lasting(
        &self,
        task: TaskId,
        name: &'static str,
        above: TaskId,
        seat: &Arc<Seat>,
    ) {
        let child = Lasting { name, above, seat: seat.clone(), age: Age::New };
        self.books.lock().lasting.insert(task, child);
    }

    pub(super) fn on_ended(&self, task: TaskId, name: &'static str, seat: &Seat) {
        let usage = seat.watch.usage();
        let mut books = self.books.lock();
        books.ended += 1;
        let is_told = books.lasting.remove(&task).is_some_and(|child| child.age == Age::Told);
        let tally = books.kinds.entry(name).or_default();
        if seat.watch.is_exact() {
            tally.is_heavy = true;
            self.has_heavy.store(true, SeqCst);
        }
        if is_told {
            let outcome = Parcel::default();
            self.node.push(Frame::Finished { task, attempt: 1, outcome, usage });
        } else {
            tally.count += 1;
            add(&mut tally.usage, &usage);
        }
    }

    /// The worker leaves, and this one had not begun.
    pub(super) fn on_sent_on(&self, task: TaskId) {
        let mut books = self.books.lock();
        books.sent_on += 1;
        books.lasting.remove(&task);
        drop(books);
        self.on_gone();
    }

    pub(super) fn on_gone(&self) {
        if self.present.fetch_sub(1, SeqCst) == 1
            && self.closed.load(SeqCst)
            && let Some(host) = self.host()
        {
            host.on_last_child();
        }
    }

    pub(super) fn host(&self) -> Option<Arc<dyn Host>> {
        self.host.get().and_then(Weak::upgrade)
    }
}

/// What they took together: of memory, the highest.
fn add(sum: &mut Usage, usage: &Usage) {
    let Usage { wall_us, cpu_us, queued_us, bytes, channel_bytes, memory } = *usage;
    sum.wall_us = sum.wall_us.saturating_add(wall_us);
    sum.cpu_us = sum.cpu_us.saturating_add(cpu_us);
    sum.queued_us = sum.queued_us.saturating_add(queued_us);
    sum.bytes = sum.bytes.saturating_add(bytes);
    sum.channel_bytes = sum.channel_bytes.saturating_add(channel_bytes);
    sum.memory = sum.memory.max(memory);
}
