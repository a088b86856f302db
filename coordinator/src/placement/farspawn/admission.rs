//! Which worker a task goes to.

use std::time::Duration;

use super::*;
use crate::placement::farspawn::profile::MEMORY_PART;

/// Workers that are looked at for one task, at most.
const LOOKED_AT_MAX: usize = 16;

/// A task that takes less of a CPU than this waits nearly all the time,
const CPU_LITTLE: f64 = 0.05;
/// and a CPU that others fill may have so much of it beside them.
const BESIDE: f64 = 1.1;

/// How full workers may be, and which is preferred.
#[derive(Clone, Copy, Debug)]
struct Aim {
    fill: f64,
    order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The fullest that has room, so that another can be released.
    Fullest,
    /// The emptiest: none can be released.
    Emptiest,
}

impl Farspawn {
    /// Gives tasks to workers as long as one fits.
    pub(super) fn dispatch(&mut self, now: Duration, commands: &mut Vec<Command>) {
        let look_ahead = if self.has(Element::LookAhead) { self.tuning.look_ahead } else { 1 };
        let mut candidates = std::mem::take(&mut self.candidates);
        while self.pool.len() > 0 && self.open > 0 {
            self.pool.candidates(look_ahead, &mut candidates);
            let chosen = candidates.iter().find_map(|candidate| {
                self.choose(now, candidate).map(|worker| (*candidate, worker))
            });
            if let Some((candidate, worker)) = chosen {
                self.place(candidate, worker, false, commands);
            } else if let Some((child, worker)) = self.let_in_child() {
                self.place(child, worker, true, commands);
            } else {
                break;
            }
        }
        self.candidates = candidates;
    }

    /// A worker that polls gets the first task that fits.
    pub(super) fn answer_poll(
        &mut self,
        now: Duration,
        worker: WorkerNo,
        commands: &mut Vec<Command>,
    ) {
        let mut candidates = std::mem::take(&mut self.candidates);
        self.pool.candidates(self.tuning.look_ahead, &mut candidates);
        let chosen = candidates.iter().find(|candidate| {
            let need = self.profiles.get(candidate.kind).need;
            self.fits(now, worker.0, candidate.kind, &need, self.fill(&need))
        });
        match chosen.copied() {
            Some(candidate) => self.place(candidate, worker, false, commands),
            None => commands.push(Command::Continue(worker)),
        }
        self.candidates = candidates;
    }

    fn place(
        &mut self,
        candidate: Candidate,
        worker: WorkerNo,
        exceeds: bool,
        commands: &mut Vec<Command>,
    ) {
        let need = self.profiles.get(candidate.kind).need;
        let alone = self.profiles.is_quarantined(candidate.kind);
        self.pool.take(&candidate, need.work);
        self.count_pooled(candidate.kind, -1.0);
        let Some(task) = at(&mut self.tasks, candidate.task.0) else { return };
        let Some(place) = at(&mut self.workers, worker.0) else { return };
        task.worker = Some(worker);
        let hold = need.hold();
        task.holds = hold;
        task.exceeds = exceeds;
        task.load = place.cpu_load().max(place.network_load()) as f32;
        place.tasks += 1;
        place.cpu += f64::from(hold.cpu);
        place.network += f64::from(hold.network);
        place.memory += f64::from(hold.memory);
        place.exceeding += u16::from(exceeds);
        place.idle_since = None;
        place.is_sealed |= alone;
        self.resident.share += f64::from(hold.share);
        self.resident.work += f64::from(hold.work);
        self.resident.count += 1;
        self.reorder(worker);
        commands.push(Command::Dispatch(candidate.task, worker));
    }

    /// The worker for a task, if one has room.
    fn choose(&mut self, now: Duration, candidate: &Candidate) -> Option<WorkerNo> {
        let need = self.profiles.get(candidate.kind).need;
        let mut aims = self.aims(candidate, &need).into_iter().flatten();
        aims.find_map(|aim| self.search(now, candidate.kind, &need, aim)).map(WorkerNo)
    }

    /// What is tried for a task, one after the other.
    fn aims(&mut self, candidate: &Candidate, need: &Need) -> [Option<Aim>; 2] {
        let fill = self.fill(need);
        let mut spread = None;
        if self.has(Element::Spread)
            && self.starting == 0
            && candidate.depth == 0
            && self.bursts.contains(candidate.place)
        {
            let even = self.demand() / self.open.max(1) as f64;
            spread = Some(if even <= self.tuning.spread_max {
                fill.max(even + 0.999 * need.cpu / self.shape.cores)
            } else {
                self.tuning.spread_back
            });
        }
        let workers = (self.open + self.starting) as f64;
        let none_too_many = self.demand() > self.tuning.fill * (workers - 1.0);
        let emptiest = Aim { fill: spread.unwrap_or(fill), order: Order::Emptiest };
        if none_too_many || !self.has(Element::BestFit) {
            return [Some(emptiest), None];
        }
        let fullest = Aim { fill, order: Order::Fullest };
        [Some(fullest), spread.map(|_| emptiest)]
    }

    fn fill(&self, need: &Need) -> f64 {
        if need.cpu < CPU_LITTLE { BESIDE * self.tuning.fill } else { self.tuning.fill }
    }

    fn search(&mut self, now: Duration, kind: KindNo, need: &Need, aim: Aim) -> Option<u32> {
        let mut looked_at = [0; LOOKED_AT_MAX];
        let mut count = 0;
        let mut note = |worker: u32| {
            looked_at[count] = worker;
            count += 1;
        };
        let half = 0.5 * need.cpu / self.shape.cores;
        let half_network = 0.5 * need.network / self.shape.network;
        if self.has(Element::Overcommit)
            && (self.by_cpu.is_full((aim.fill - half).max(0.0))
                || self.by_network.is_full((self.tuning.fill_network - half_network).max(0.0)))
        {
            return None;
        }
        match aim.order {
            Order::Emptiest => self.by_load.upwards().take(LOOKED_AT_MAX).for_each(&mut note),
            // In the dimension that the task needs most of: what is full there is passed at once.
            Order::Fullest if half >= half_network => {
                let most = (aim.fill - half).max(0.0);
                self.by_cpu.downwards(most).take(LOOKED_AT_MAX).for_each(&mut note);
            }
            Order::Fullest => {
                let most = (self.tuning.fill_network - half_network).max(0.0);
                self.by_network.downwards(most).take(LOOKED_AT_MAX).for_each(&mut note);
            }
        }
        let fits = |worker: &u32| self.fits(now, *worker, kind, need, aim.fill);
        looked_at[..count].iter().copied().find(fits)
    }

    /// Whether a worker has room for a task.
    pub(super) fn fits(
        &mut self,
        now: Duration,
        number: u32,
        kind: KindNo,
        need: &Need,
        fill: f64,
    ) -> bool {
        let alone = self.profiles.is_quarantined(kind);
        let by_slots = !self.has(Element::Overcommit);
        let fill_network = self.tuning.fill_network;
        let Some(worker) = at(&mut self.workers, number) else { return false };
        if worker.stage != Stage::Open || worker.is_sealed {
            return false;
        }
        let in_time = now + need.longest < worker.deadline;
        if worker.tasks == 0 {
            // One that takes as long as a worker lives: a fresh worker is the best there is.
            return in_time || now < worker.ready + worker.shape.lifetime / 2;
        }
        let has_memory = worker.memory_kept() + need.memory <= MEMORY_PART * worker.free_memory();
        let has_room = if by_slots {
            f64::from(worker.tasks) < worker.shape.cores.floor()
        } else {
            worker.cpu_load() + 0.5 * need.cpu / worker.shape.cores <= fill
                && worker.network_load() + 0.5 * need.network / worker.shape.network <= fill_network
        };
        !alone && in_time && has_memory && has_room
    }

    /// The deepest task of the pool, and a worker whose limits it may exceed: somebody waits for
    /// it, and no other worker will come.
    fn let_in_child(&mut self) -> Option<(Candidate, WorkerNo)> {
        let child = self.pool.deepest()?;
        if self.starting > 0 || self.can_launch() {
            return None;
        }
        let need = self.profiles.get(child.kind).need;
        let parent = at(&mut self.tasks, child.task.0)?.parent;
        let parent = parent.and_then(|parent| at(&mut self.tasks, parent.0));
        let beside = parent.and_then(|parent| parent.worker).map(|worker| worker.0);
        let others: Vec<u32> = self.by_load.upwards().take(LOOKED_AT_MAX).collect();
        let mut workers = beside.into_iter().chain(others);
        let found = workers.find(|number| {
            at(&mut self.workers, *number).is_some_and(|worker| {
                worker.stage == Stage::Open
                    && worker.exceeding < child.depth
                    && worker.memory_kept() + need.memory <= worker.free_memory()
            })
        });
        found.map(|worker| (child, WorkerNo(worker)))
    }
}

impl Worker {
    pub(super) fn free_memory(&self) -> f64 {
        self.shape.memory.saturating_sub(self.shape.memory_base) as f64
    }
}
