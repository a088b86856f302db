//! What tasks of a kind are expected to take, learned from those that ended.

use std::time::Duration;

use super::tuning::{Element, Elements};
use crate::placement::{KindNo, Shape, Usage};

/// A kind of which nothing is known takes half a second of CPU,
const CPU_UNKNOWN: f64 = 0.5;
/// and waits for half of that, so that two cores have three of it.
const WAITING_UNKNOWN: f64 = 0.25;
/// And that much memory.
const MEMORY_UNKNOWN: f64 = 150e6;
/// The part of a worker's memory that tasks may be expected to fill.
pub(super) const MEMORY_PART: f64 = 0.9;
/// A newer run counts at least so much.
const WEIGHT_MIN: f64 = 0.05;
/// Workers that died with tasks of a kind, none of which ever ended, before it is kept alone.
const DEATHS_MAX: u32 = 2;
/// Bytes of a channel for which two tasks are kept together: a millisecond of a network.
const CHANNEL_BYTES_MIN: f64 = 75e3;
/// A task is given so many times its longest before its worker's time limit.
const TIME_MARGIN: f64 = 1.25;
/// Stages of a chain, at most.
const CHAIN_MAX: usize = 8;

/// What a task, or a chain of them, is expected to take of a worker while it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Need {
    /// CPUs.
    pub(super) cpu: f64,
    /// Bytes a second of network.
    pub(super) network: f64,
    /// Bytes of memory.
    pub(super) memory: f64,
    /// The part of a worker that its largest need is.
    pub(super) share: f64,
    /// Seconds of a whole worker.
    pub(super) work: f64,
    /// How long at the worst.
    pub(super) longest: Duration,
}

/// The same, as it is kept for a task on its worker.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Hold {
    pub(super) cpu: f32,
    pub(super) network: f32,
    pub(super) memory: f32,
    pub(super) share: f32,
    pub(super) work: f32,
}

impl Need {
    pub(super) fn hold(&self) -> Hold {
        Hold {
            cpu: self.cpu as f32,
            network: self.network as f32,
            memory: self.memory as f32,
            share: self.share as f32,
            work: self.work as f32,
        }
    }
}

/// One kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    cpu: f64,
    waiting: f64,
    bytes: f64,
    memory: f64,
    longest: f64,
    channel_bytes: f64,
    runs: u32,
    /// What it is followed by, and how often.
    next: Option<(KindNo, f64)>,
    deaths: u32,
    /// From the above.
    pub(super) need: Need,
    /// Tasks of it that wait.
    pub(super) pooled: u32,
}

/// All kinds.
#[derive(Debug)]
pub(super) struct Profiles {
    shape: Shape,
    elements: Elements,
    kinds: Vec<Profile>,
}

impl Profiles {
    pub(super) fn new(shape: Shape, elements: Elements) -> Self {
        Self { shape, elements, kinds: Vec::new() }
    }

    pub(super) fn get(&mut self, kind: KindNo) -> &mut Profile {
        while self.kinds.len() <= kind.0 as usize {
            let mut profile = Profile {
                cpu: CPU_UNKNOWN,
                waiting: WAITING_UNKNOWN,
                bytes: 0.0,
                memory: MEMORY_UNKNOWN,
                longest: CPU_UNKNOWN + WAITING_UNKNOWN,
                channel_bytes: 0.0,
                runs: 0,
                next: None,
                deaths: 0,
                need: Need::default(),
                pooled: 0,
            };
            profile.need = self.need_of(&[profile]);
            self.kinds.push(profile);
        }
        &mut self.kinds[kind.0 as usize]
    }

    /// Learns from a task that ended. `load` is how full its worker was when it came.
    pub(super) fn learn(&mut self, kind: KindNo, usage: &Usage, load: f64) {
        let learns = self.elements.has(Element::Learning);
        let profile = self.get(kind);
        profile.deaths = 0;
        if usage.channel_bytes > 0 {
            // Beside its parent it moves none, and would again elsewhere.
            profile.channel_bytes = usage.channel_bytes as f64;
        }
        if !learns {
            return;
        }
        profile.runs = profile.runs.saturating_add(1);
        let weight = (1.0 / f64::from(profile.runs)).max(WEIGHT_MIN);
        let wall = usage.wall.as_secs_f64();
        let cpu = usage.cpu.as_secs_f64();
        profile.cpu += weight * (cpu - profile.cpu);
        profile.bytes += weight * (usage.bytes as f64 - profile.bytes);
        // Waiting that a crowded worker made longer says nothing of the kind, but an upper bound.
        let waiting = (wall - cpu - usage.queued.as_secs_f64()).max(0.0);
        if load <= 0.9 || profile.runs == 1 {
            profile.waiting += weight * (waiting - profile.waiting);
        } else if waiting < profile.waiting {
            profile.waiting += 0.01 * (waiting - profile.waiting);
        }
        profile.memory = if profile.runs == 1 {
            usage.memory as f64
        } else {
            (usage.memory as f64).max(0.99 * profile.memory)
        };
        profile.longest = wall.max(0.995 * profile.longest);
        self.renew(kind);
    }

    /// The CPU time that a task of a kind takes, once that is known well.
    pub(super) fn cpu_expected(&mut self, kind: KindNo) -> Option<f64> {
        let profile = self.get(kind);
        (profile.runs >= 8).then_some(profile.cpu)
    }

    /// Learns what tasks of a kind spawned.
    pub(super) fn learn_next(&mut self, kind: KindNo, children: Option<(KindNo, u32)>) {
        let profile = self.get(kind);
        let count = f64::from(children.map_or(0, |(_, count)| count));
        match (&mut profile.next, children) {
            (Some((next, often)), Some((child, _))) if *next == child => {
                *often += 0.2 * (count - *often);
            }
            (Some((_, often)), _) => *often *= 0.8,
            (next @ None, Some((child, _))) => *next = Some((child, count)),
            (None, None) => return,
        }
        self.renew(kind);
    }

    /// Whether a kind is followed by another with which it should share a worker.
    pub(super) fn is_chained(&mut self, kind: KindNo, to: KindNo) -> bool {
        let chains = self.elements.has(Element::Chains) && self.elements.has(Element::Channels);
        let next = self.get(kind).next;
        let follows = next.is_some_and(|(next, often)| next == to && (0.5..=1.5).contains(&often));
        chains && follows && self.get(to).channel_bytes >= CHANNEL_BYTES_MIN
    }

    /// A worker died with a task of this kind.
    pub(super) fn on_death(&mut self, kind: KindNo) {
        let profile = self.get(kind);
        profile.deaths = profile.deaths.saturating_add(1);
    }

    /// Whether its tasks must be alone, for their workers die.
    pub(super) fn is_quarantined(&mut self, kind: KindNo) -> bool {
        self.get(kind).deaths >= DEATHS_MAX
    }

    fn renew(&mut self, kind: KindNo) {
        let mut chain = [kind; CHAIN_MAX];
        let mut stages = [*self.get(kind); CHAIN_MAX];
        let mut length = 1;
        while length < CHAIN_MAX {
            let Some((next, _)) = stages[length - 1].next else { break };
            if chain[..length].contains(&next) || !self.is_chained(chain[length - 1], next) {
                break;
            }
            chain[length] = next;
            stages[length] = *self.get(next);
            length += 1;
        }
        self.get(kind).need = self.need_of(&stages[..length]);
    }

    fn need_of(&self, stages: &[Profile]) -> Need {
        let sum = |part: fn(&Profile) -> f64| stages.iter().map(part).sum::<f64>();
        let (cpu, bytes) = (sum(|stage| stage.cpu), sum(|stage| stage.bytes));
        let alone = (cpu + sum(|stage| stage.waiting)).max(1e-6);
        let memory = stages.iter().map(|stage| stage.memory).fold(0.0, f64::max);
        let free = (self.shape.memory.saturating_sub(self.shape.memory_base) as f64).max(1.0);
        let by_network = self.elements.has(Element::Network);
        let network = if by_network { bytes / alone } else { 0.0 };
        let shares = [
            cpu / alone / self.shape.cores,
            network / self.shape.network,
            memory / (MEMORY_PART * free),
        ];
        let share = shares.into_iter().fold(0.0, f64::max);
        let longest = TIME_MARGIN * sum(|stage| stage.longest);
        Need {
            cpu: cpu / alone,
            network,
            memory,
            share,
            work: share * alone,
            longest: Duration::from_secs_f64(longest.clamp(0.0, 1e9)),
        }
    }
}
