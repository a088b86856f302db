//! How many workers there are: when another is started, and when one is told to end.

use std::time::Duration;

use super::*;

/// Pause after a refused start; it doubles while starts are refused, up to 64 times as long.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// A worker that is lost so soon, with nothing finished, is a start that failed.
const YOUNG: Duration = Duration::from_secs(5);
/// A worker takes no more tasks so long before its time limit, and a start, are over.
const LAST: Duration = Duration::from_secs(1);

/// What growth remembers.
#[derive(Debug)]
pub(super) struct State {
    /// How long a start takes, by the latest ones.
    start: f64,
    pub(super) arrivals: u64,
    pub(super) completions: u64,
    /// Since when there is more demand than workers, and arrivals and completions then.
    short_since: Option<(Duration, u64, u64)>,
    launch_after: Duration,
    /// Refusals and early deaths since a task ended on a worker.
    pub(super) refusals: u32,
    timers: BTreeSet<(Duration, Timer)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Idle(WorkerNo),
    Drain(WorkerNo),
    Short,
    Launch,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            start: 0.25,
            arrivals: 0,
            completions: 0,
            short_since: None,
            launch_after: Duration::ZERO,
            refusals: 0,
            timers: BTreeSet::new(),
        }
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.timers.first().map(|(time, _)| *time)
    }
}

impl Farspawn {
    /// How many workers all tasks would fill.
    pub(super) fn demand(&self) -> f64 {
        (self.resident.share + self.pooled.share).max(0.0)
    }

    /// Whether another worker is allowed.
    pub(super) fn can_launch(&self) -> bool {
        self.open + self.closing + self.starting < self.workers_max
    }

    /// A worker has lost a task. It is no fault of the task's if the worker had left.
    pub(super) fn on_death(&mut self, worker: WorkerNo, kind: KindNo) {
        if !self.departed.contains(&worker) {
            self.profiles.on_death(kind);
        }
    }

    /// A worker leaves of its own will, and the tasks that it has with it.
    pub(super) fn on_departed(&mut self, now: Duration, number: WorkerNo) {
        self.departed.insert(number);
        self.on_lost(now, number);
    }

    pub(super) fn on_ready(
        &mut self,
        now: Duration,
        number: WorkerNo,
        mut shape: Shape,
        took: Duration,
    ) {
        self.departed.remove(&number);
        self.starting = self.starting.saturating_sub(1);
        self.growth.start += 0.2 * (took.as_secs_f64() - self.growth.start);
        if !self.has(Element::AllCores) {
            shape.cores = (shape.cores - 1.0).max(1.0);
        }
        let deadline = now + shape.lifetime.saturating_sub(took);
        let worker = Worker {
            shape,
            tasks: 0,
            cpu: 0.0,
            network: 0.0,
            memory: 0.0,
            exceeding: 0,
            parked: Parked::default(),
            speed: 1.0,
            deadline,
            ready: now,
            idle_since: None,
            finished: 0,
            stage: Stage::Open,
            is_sealed: false,
        };
        put(&mut self.workers, number.0, worker);
        self.open += 1;
        self.reorder(number);
        let margin = LAST + Duration::from_secs_f64(self.growth.start);
        let drain = deadline.saturating_sub(margin).max(now);
        self.growth.timers.insert((drain, Timer::Drain(number)));
    }

    pub(super) fn on_granted(&mut self, number: WorkerNo, mut cores: f64) {
        if !cores.is_finite() || cores <= 0.0 {
            return;
        }
        if !self.has(Element::AllCores) {
            cores = (cores - 1.0).max(1.0);
        }
        let Some(worker) = at(&mut self.workers, number.0) else { return };
        if worker.shape.cores != cores {
            worker.shape.cores = cores;
            self.reorder(number);
        }
    }

    pub(super) fn on_lost(&mut self, now: Duration, number: WorkerNo) {
        let Some(slot) = self.workers.get_mut(number.0 as usize) else { return };
        let Some(worker) = slot.take() else { return };
        if worker.stage == Stage::Open {
            self.open -= 1;
            if worker.finished == 0 && now < worker.ready + YOUNG {
                self.pause(now);
            }
        } else {
            self.closing -= 1;
        }
        self.by_load.remove(number.0);
        self.by_cpu.remove(number.0);
        self.by_network.remove(number.0);
        self.growth.timers.retain(
            |(_, timer)| !matches!(timer, Timer::Idle(of) | Timer::Drain(of) if *of == number),
        );
    }

    pub(super) fn on_refused(&mut self, now: Duration) {
        self.starting = self.starting.saturating_sub(1);
        self.pause(now);
    }

    fn pause(&mut self, now: Duration) {
        if now < self.growth.launch_after {
            return;
        }
        self.growth.launch_after = now + REFUSED_PAUSE * (1 << self.growth.refusals.min(6));
        self.growth.refusals += 1;
        self.growth.timers.insert((self.growth.launch_after, Timer::Launch));
    }

    /// What follows when a worker may have nothing to do.
    pub(super) fn settle(&mut self, now: Duration, number: WorkerNo, commands: &mut Vec<Command>) {
        let Some(worker) = at(&mut self.workers, number.0) else { return };
        if worker.tasks > 0 {
            return;
        }
        if worker.stage == Stage::Draining {
            worker.stage = Stage::Ending;
            commands.push(Command::Shutdown(number));
        } else if worker.stage == Stage::Open && worker.idle_since.is_none() {
            worker.idle_since = Some(now);
            let linger = self.linger();
            self.growth.timers.insert((now + linger, Timer::Idle(number)));
        }
    }

    fn linger(&self) -> Duration {
        match (self.has(Element::Linger), self.has(Element::Push)) {
            (true, true) => self.tuning.linger,
            (true, false) => self.tuning.linger.max(self.tuning.poll * 2),
            (false, true) => Duration::ZERO,
            (false, false) => self.tuning.poll,
        }
    }

    pub(super) fn on_tick(&mut self, now: Duration, commands: &mut Vec<Command>) {
        while let Some((time, timer)) = self.growth.timers.first().copied()
            && time <= now
        {
            self.growth.timers.pop_first();
            match timer {
                Timer::Idle(worker) => self.on_idle(now, worker, commands),
                Timer::Drain(worker) => self.on_drain(now, worker, commands),
                // Growth is asked after each event.
                Timer::Short | Timer::Launch => {}
            }
        }
    }

    fn on_idle(&mut self, now: Duration, number: WorkerNo, commands: &mut Vec<Command>) {
        let linger = self.linger();
        let (demand, fill) = (self.demand(), self.tuning.fill);
        let others = (self.open + self.starting).saturating_sub(1) as f64;
        let Some(worker) = at(&mut self.workers, number.0) else { return };
        let Some(since) = worker.idle_since else { return };
        if worker.stage != Stage::Open {
            return;
        }
        if now < since + linger {
            self.growth.timers.insert((since + linger, Timer::Idle(number)));
            return;
        }
        let needed = demand > 0.0 && demand > fill * others;
        if self.has(Element::Linger) && needed && now < since + self.tuning.idle_max {
            self.growth.timers.insert((now + linger, Timer::Idle(number)));
            return;
        }
        self.close(number, Stage::Ending);
        commands.push(Command::Shutdown(number));
    }

    fn on_drain(&mut self, now: Duration, number: WorkerNo, commands: &mut Vec<Command>) {
        let Some(worker) = at(&mut self.workers, number.0) else { return };
        if worker.stage == Stage::Open {
            self.close(number, Stage::Draining);
            self.settle(now, number, commands);
        }
    }

    fn close(&mut self, number: WorkerNo, stage: Stage) {
        let Some(worker) = at(&mut self.workers, number.0) else { return };
        worker.stage = stage;
        self.open -= 1;
        self.closing += 1;
        self.reorder(number);
    }

    /// A worker that was closed is open again.
    pub(super) fn on_kept(&mut self, number: WorkerNo) {
        let Some(worker) = at(&mut self.workers, number.0) else { return };
        if worker.stage == Stage::Ending {
            worker.stage = Stage::Open;
            worker.idle_since = None;
            self.open += 1;
            self.closing -= 1;
            self.reorder(number);
        }
    }

    /// Starts workers, if that pays.
    pub(super) fn grow(&mut self, now: Duration, commands: &mut Vec<Command>) {
        if self.pool.len() == 0 {
            if self.resident.count == 0 || self.demand() <= self.tuning.fill * self.present() {
                self.growth.short_since = None;
            }
            if self.resident.count == 0 {
                return;
            }
        }
        let wanted = if self.has(Element::Growth) {
            self.wanted(now)
        } else {
            // The paper's rule, with the slots that there are.
            let slots = self.shape.cores.floor().max(1.0) as usize;
            let outstanding = self.pool.len() + self.resident.count;
            outstanding.div_ceil(slots).saturating_sub(self.open + self.starting)
        };
        if now < self.growth.launch_after {
            return;
        }
        let there = self.open + self.closing + self.starting;
        let room = self.workers_max.saturating_sub(there);
        let count = wanted.min(room);
        self.starting += count;
        commands.extend(std::iter::repeat_n(Command::Launch, count));
    }

    fn present(&self) -> f64 {
        (self.open + self.starting) as f64
    }

    /// How many more workers would pay.
    fn wanted(&mut self, now: Duration) -> usize {
        let demand = self.demand();
        let usable = (demand / self.tuning.fill).ceil();
        let there = self.present();
        let more = |target: f64| (target - there).max(0.0) as usize;
        if self.pool.len() > 0 && there == 0.0 {
            return more((self.work() / self.tuning.drain.as_secs_f64()).ceil().min(usable)).max(1);
        }
        let mut wanted = 0;
        // What waits takes the workers that are there longer than a start is worth.
        if self.pooled.work / there.max(1.0) > self.tuning.start_worth * self.growth.start {
            let target = (self.work() / self.tuning.drain.as_secs_f64()).ceil();
            wanted = more(target.min(usable));
        }
        if demand > self.tuning.fill * there || self.pool.len() > 0 {
            wanted = wanted.max(self.wanted_by_rate(now, usable));
        } else {
            self.growth.short_since = None;
        }
        wanted
    }

    /// Demand has exceeded the workers for a while, and tasks keep coming.
    fn wanted_by_rate(&mut self, now: Duration, usable: f64) -> usize {
        let (arrivals, completions) = (self.growth.arrivals, self.growth.completions);
        let Some((since, arrivals_then, completions_then)) = self.growth.short_since else {
            self.growth.short_since = Some((now, arrivals, completions));
            self.growth.timers.insert((now + self.tuning.hold, Timer::Short));
            return 0;
        };
        if now < since + self.tuning.hold {
            return 0;
        }
        self.growth.short_since = None;
        let came = arrivals - arrivals_then;
        let went = completions - completions_then;
        let there = self.open + self.starting;
        if went == 0 && self.pool.len() > 0 && self.starting == 0 {
            // Whoever holds the places may be waiting for what waits.
            return 1;
        }
        if came < 1.max(went / 2) {
            return 0;
        }
        (usable as usize).saturating_sub(there).min(there.max(1))
    }

    /// Seconds of workers that all tasks take.
    fn work(&self) -> f64 {
        (self.resident.work + self.pooled.work).max(0.0)
    }
}
