//! What each application may have of what it shares with others: places, memory, turns.
//!
//! Each has its own share of every place (connections, bodies that are read), so that no other can
//! take it. What it does too often is slowed down (spawns of programs, hellos and resumes) or
//! refused for now (tasks over HTTP); what it has too much of is refused, and last of all cut off.
//! Nothing of this depends on what another application does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use clap::Args;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::limits::{Load, Room};
use crate::server::Share;

/// How long a connection may wait for its turn; then it has to come again.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// What each application may have.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "What each application may have")]
pub struct Quotas {
    /// Connections of its clients and workers
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    connections: u32,
    /// Hellos and resumed sessions a second; more wait for their turn
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    hellos: u32,
    /// Tasks spawned a second; clients that spawn more are read more slowly
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    spawns: u32,
    /// Tasks that wait or run, over all its clients
    #[arg(long, default_value_t = 900_000, value_parser = clap::value_parser!(u32).range(1..))]
    tasks: u32,
    /// Megabytes of values, tasks and channels at the coordinator, over all its clients; the same
    /// again may be on its way to clients and workers
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..))]
    memory_mb: u32,
    /// HTTP connections, and so requests at once
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    http_connections: u32,
    /// HTTP bodies that are read at once, of 16 MiB at most; more wait
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    http_bodies: u32,
}

impl Quotas {
    /// Connections of so many applications.
    pub(super) fn connections(&self, applications: usize) -> usize {
        self.connections as usize * applications
    }

    /// The same, over HTTP.
    pub(super) fn http_connections(&self, applications: usize) -> usize {
        self.http_connections as usize * applications
    }
}

/// What there may be too much of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quota {
    Connections,
    Hellos,
    Spawns,
    Tasks,
    Memory,
    HttpConnections,
}

impl Quota {
    pub(super) const ALL: [(Self, &str); 6] = [
        (Self::Connections, "connections"),
        (Self::Hellos, "hellos"),
        (Self::Spawns, "spawns"),
        (Self::Tasks, "tasks"),
        (Self::Memory, "memory"),
        (Self::HttpConnections, "http_connections"),
    ];
}

/// What one application has left.
#[derive(Debug)]
pub(super) struct Allowance {
    quotas: Quotas,
    started: Instant,
    connections: Arc<Semaphore>,
    http_connections: Arc<Semaphore>,
    pub(super) bodies: Semaphore,
    turns: Mutex<Turns>,
    loads: Mutex<Loads>,
    /// How often there was too much.
    excesses: [AtomicU64; Quota::ALL.len()],
}

#[derive(Debug)]
struct Turns {
    hellos: Bucket,
    spawns: Bucket,
}

#[derive(Debug, Default)]
struct Loads {
    by_realm: BTreeMap<u64, Load>,
    all: Load,
}

/// What an application has now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) connections: usize,
    pub(super) http_connections: usize,
    pub(super) load: Load,
    pub(super) excesses: [u64; Quota::ALL.len()],
}

impl Allowance {
    pub(super) fn new(quotas: Quotas) -> Self {
        let [hellos, spawns] = [quotas.hellos, quotas.spawns].map(Bucket::of_rate);
        Self {
            quotas,
            started: Instant::now(),
            connections: Arc::new(Semaphore::new(quotas.connections as usize)),
            http_connections: Arc::new(Semaphore::new(quotas.http_connections as usize)),
            bodies: Semaphore::new(quotas.http_bodies as usize),
            turns: Mutex::new(Turns { hellos, spawns }),
            loads: Mutex::default(),
            excesses: Default::default(),
        }
    }

    fn note(&self, quota: Quota) {
        self.excesses[quota as usize].fetch_add(1, Relaxed);
    }

    /// A place for a connection, or how many it has.
    pub(super) fn connect(&self) -> Result<OwnedSemaphorePermit, u32> {
        self.connections.clone().try_acquire_owned().map_err(|_| {
            self.note(Quota::Connections);
            self.quotas.connections
        })
    }

    /// The same, over HTTP.
    pub(super) fn connect_http(&self) -> Result<OwnedSemaphorePermit, u32> {
        self.http_connections.clone().try_acquire_owned().map_err(|_| {
            self.note(Quota::HttpConnections);
            self.quotas.http_connections
        })
    }

    /// How long a hello, or a resume, has to wait; none if that is too long.
    pub(super) fn greet(&self) -> Option<Duration> {
        let now = self.started.elapsed();
        let wait = self.turns.lock().hellos.reserve(now, TURN_TIMEOUT);
        if wait != Some(Duration::ZERO) {
            self.note(Quota::Hellos);
        }
        wait
    }

    /// A task comes over HTTP. What there is too much of, and how much there may be.
    pub(super) fn submit(&self, bytes: usize) -> Result<(), (Quota, u64)> {
        let Load { tasks, bytes: taken, .. } = self.loads.lock().all;
        let Room(most) = self.most();
        let now = self.started.elapsed();
        let refused = if tasks >= most.tasks {
            (Quota::Tasks, most.tasks as u64)
        } else if taken.saturating_add(bytes) > most.bytes {
            (Quota::Memory, most.bytes as u64)
        } else if self.turns.lock().spawns.reserve(now, Duration::ZERO).is_none() {
            (Quota::Spawns, self.quotas.spawns.into())
        } else {
            return Ok(());
        };
        self.note(refused.0);
        Err(refused)
    }

    fn most(&self) -> Room {
        let bytes = (self.quotas.memory_mb as usize) << 20;
        let tasks = (self.quotas.tasks as usize).min(Room::default().0.tasks);
        Room(Load { tasks, bytes, in_transit: bytes })
    }

    /// What a realm has now.
    pub(super) fn on_load(&self, realm: u64, load: Load) {
        let mut loads = self.loads.lock();
        let before = loads.by_realm.insert(realm, load).unwrap_or_default();
        loads.all = loads.all.without(before).with(load);
    }

    /// A realm has ended.
    pub(super) fn on_end(&self, realm: u64) {
        let mut loads = self.loads.lock();
        let before = loads.by_realm.remove(&realm).unwrap_or_default();
        loads.all = loads.all.without(before);
    }

    /// What a realm may have: what others of its application leave, and what it has.
    pub(super) fn room(&self, realm: u64) -> Room {
        let (loads, Room(most)) = (self.loads.lock(), self.most());
        let own = loads.by_realm.get(&realm).copied().unwrap_or_default();
        let left = most.without(loads.all.without(own));
        Room(Load {
            tasks: left.tasks.max(own.tasks),
            bytes: left.bytes.max(own.bytes),
            in_transit: left.in_transit.max(own.in_transit),
        })
    }

    pub(super) fn usage(&self) -> Usage {
        let used = |most: u32, left: &Semaphore| most as usize - left.available_permits();
        let mut excesses = [0; Quota::ALL.len()];
        for (count, excess) in excesses.iter_mut().zip(&self.excesses) {
            *count = excess.load(Relaxed);
        }
        Usage {
            connections: used(self.quotas.connections, &self.connections),
            http_connections: used(self.quotas.http_connections, &self.http_connections),
            load: self.loads.lock().all,
            excesses,
        }
    }
}

impl Share for Allowance {
    fn on_spawned(&self, tasks: u32) -> Duration {
        let now = self.started.elapsed();
        let owed = self.turns.lock().spawns.pay(now, tasks.into());
        if tasks > 0 && !owed.is_zero() {
            self.note(Quota::Spawns);
        }
        owed
    }
}

/// So much a second, and as much as in two seconds at once at most.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    /// What may be taken at once; below zero it is owed.
    level: f64,
    at: Duration,
}

impl Bucket {
    fn of_rate(rate: u32) -> Self {
        let rate = f64::from(rate);
        Self { rate, level: 2.0 * rate, at: Duration::ZERO }
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.level = (self.level + passed * self.rate).min(2.0 * self.rate);
        self.at = self.at.max(now);
    }

    fn owed(&self) -> Duration {
        Duration::from_secs_f64((-self.level).max(0.0) / self.rate)
    }

    /// Takes so much, whether it is there or not. How long it takes until nothing is owed.
    fn pay(&mut self, now: Duration, count: f64) -> Duration {
        self.fill(now);
        self.level -= count;
        self.owed()
    }

    /// Takes one, if it will be there soon enough; says when.
    fn reserve(&mut self, now: Duration, patience: Duration) -> Option<Duration> {
        self.fill(now);
        self.level -= 1.0;
        let wait = self.owed();
        if wait > patience {
            self.level += 1.0;
            return None;
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let mut bucket = Bucket::of_rate(10);
        assert_eq!(bucket.pay(ms(0), 20.0), ms(0));
        assert_eq!(bucket.pay(ms(0), 30.0), ms(3000), "it is owed");
        assert_eq!(bucket.pay(ms(1000), 0.0), ms(2000));
        assert_eq!(bucket.pay(ms(3000), 0.0), ms(0));
        assert_eq!(bucket.reserve(ms(3000), ms(250)), Some(ms(100)));
        assert_eq!(bucket.reserve(ms(3000), ms(250)), Some(ms(200)));
        assert_eq!(bucket.reserve(ms(3000), ms(250)), None);
        assert_eq!(bucket.reserve(ms(3100), ms(250)), Some(ms(200)), "whoever left owes nothing");
        assert_eq!(bucket.pay(ms(3_600_000), 20.0), ms(0));
        assert_eq!(bucket.pay(ms(3_600_000), 1.0), ms(100), "rest does not add up");
    }

    fn allowance(tasks: u32, memory_mb: u32) -> Allowance {
        let (connections, http_connections, http_bodies) = (2, 2, 1);
        let (hellos, spawns) = (10, 10);
        Allowance::new(Quotas {
            connections,
            hellos,
            spawns,
            tasks,
            memory_mb,
            http_connections,
            http_bodies,
        })
    }

    /// What one realm has another cannot have, and what it has is not taken away.
    #[test]
    fn realms_share_what_their_application_may_have() {
        let allowance = allowance(10, 1);
        let load = |tasks, bytes| Load { tasks, bytes, in_transit: 0 };
        allowance.on_load(1, load(7, 1 << 19));
        let Room(left) = allowance.room(2);
        assert_eq!((left.tasks, left.bytes), (3, 1 << 19));
        allowance.on_load(2, load(5, 1 << 20));
        let Room(own) = allowance.room(1);
        assert_eq!((own.tasks, own.bytes), (7, 1 << 19), "not less than it has");
        assert!(matches!(allowance.submit(1), Err((Quota::Tasks, 10))));
        allowance.on_end(2);
        assert!(matches!(allowance.submit(1 << 20), Err((Quota::Memory, _))));
        assert!(allowance.submit(1).is_ok());
        assert_eq!(allowance.usage().load, load(7, 1 << 19));
    }

    #[test]
    fn places_are_counted() {
        let allowance = allowance(1, 1);
        let places = [allowance.connect().unwrap(), allowance.connect().unwrap()];
        assert_eq!(allowance.connect().unwrap_err(), 2);
        assert_eq!(allowance.usage().connections, 2);
        drop(places);
        assert!(allowance.connect().is_ok());
        assert_eq!(allowance.usage().excesses[Quota::Connections as usize], 1);
    }
}
