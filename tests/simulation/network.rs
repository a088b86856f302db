//! What will happen, and the links: batches in order, late, held back, but never lost while the
//! link lives, as TCP does it.

use std::collections::BTreeMap;

use bytes::Bytes;
use checker::generate::Random;

/// Something at an instant.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A host's frames leave it.
    Flush(usize),
    /// A batch arrives at the coordinator, on a link of this number.
    ToHome(usize, u64, Bytes),
    /// A batch arrives at a host.
    ToHost(usize, u64, Bytes),
    /// A host says, on a new link, which frame it had last.
    Resume(usize, u64, u64),
    /// The coordinator answers.
    Resumed(usize, u64, u64),
    /// A host looks for a new link.
    Retry(usize),
    /// A host hears that its session is over.
    Closed(usize, u64),
    /// The platform says that a process has ended.
    Broken(usize),
    /// A process ends.
    Exit(usize),
    HomeTick,
    HostTick(usize),
    /// A worker starts, or does not.
    Launched(u64),
    /// Something goes wrong.
    Fault,
}

/// One direction of one link.
#[derive(Clone, Copy, Default)]
struct Direction {
    /// When the last batch arrives: the next does not before.
    last: u64,
    /// Nothing arrives before.
    held_until: u64,
    /// Added to each delay.
    slow: u64,
}

#[derive(Default)]
pub(crate) struct Network {
    agenda: BTreeMap<(u64, u64), Happening>,
    names: u64,
    /// To the coordinator, and from it.
    links: BTreeMap<usize, [Direction; 2]>,
}

impl Network {
    pub(crate) fn at(&mut self, instant: u64, happening: Happening) {
        self.names += 1;
        self.agenda.insert((instant, self.names), happening);
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn take_due(&mut self, now: u64) -> Option<Happening> {
        let first = self.agenda.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// When what is sent now arrives.
    pub(crate) fn arrival(
        &mut self,
        host: usize,
        to_home: bool,
        now: u64,
        random: &mut Random,
    ) -> u64 {
        let direction = &mut self.links.entry(host).or_default()[usize::from(to_home)];
        let delay = 10 + u64::from(random.below(200)) + direction.slow;
        direction.last = (now + delay).max(direction.last).max(direction.held_until);
        direction.last
    }

    /// Holds back what is under way and what follows, in the directions named.
    pub(crate) fn hold(&mut self, host: usize, directions: [bool; 2], until: u64) {
        let late = |happening: &Happening| match happening {
            Happening::ToHost(at, ..) | Happening::Closed(at, _) | Happening::Resumed(at, ..) => {
                directions[0] && *at == host
            }
            Happening::ToHome(at, ..) | Happening::Resume(at, ..) => directions[1] && *at == host,
            _ => false,
        };
        let held = self.agenda.iter().filter(|(at, happening)| at.0 < until && late(happening));
        let held: Vec<(u64, u64)> = held.map(|(at, _)| *at).collect();
        for at in held {
            if let Some(happening) = self.agenda.remove(&at) {
                self.agenda.insert((until, at.1), happening);
            }
        }
        for (direction, held) in self.links.entry(host).or_default().iter_mut().zip(directions) {
            if held {
                direction.held_until = direction.held_until.max(until);
            }
        }
    }

    pub(crate) fn slow_down(&mut self, host: usize, by: u64) {
        self.links.entry(host).or_default().iter_mut().for_each(|direction| direction.slow = by);
    }

    /// The process is gone, and with it what it has not sent; the last batches of what it has may
    /// be lost too.
    pub(crate) fn lose_last(&mut self, host: usize, count: usize) {
        let from =
            |happening: &Happening| matches!(happening, Happening::ToHome(at, ..) if *at == host);
        let last = self.agenda.iter().rev().filter(|(_, happening)| from(happening)).take(count);
        let last: Vec<(u64, u64)> = last.map(|(at, _)| *at).collect();
        last.into_iter().for_each(|at| drop(self.agenda.remove(&at)));
    }
}
