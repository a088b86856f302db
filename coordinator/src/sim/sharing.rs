//! A resource of a worker that its tasks share evenly: its CPU, and its network.
//!
//! Work is done in *virtual time*, which goes as fast as each sharer is served; a sharer is done
//! when virtual time has come to where it stood at the start, plus its work. So that a change in
//! the number of sharers costs nothing but a new speed.
//!
//! With a gate, only so many share at once and the others wait in line.

use std::collections::VecDeque;

/// How fast each of `n` sharers is served.
#[derive(Clone, Copy, Debug)]
pub enum Service {
    /// Processors: at most one for each sharer, and a loss by interference beyond their number.
    Cpu {
        /// How many.
        cores: f64,
        /// `kappa` in `1 / (1 + kappa (n / cores - 1))`.
        interference: f64,
        /// 1.0 is a worker as it should be.
        speed: f64,
    },
    /// A network, in bytes a second.
    Network {
        /// Of the whole worker.
        total: f64,
        /// Of one connection.
        each: f64,
    },
}

impl Service {
    fn rate(self, sharers: usize) -> f64 {
        let n = sharers.max(1) as f64;
        match self {
            Self::Cpu { speed, .. } if self.is_free(n) => speed,
            Self::Cpu { cores, interference, speed } => {
                speed * cores / n / (1.0 + interference * (n / cores - 1.0))
            }
            Self::Network { total, each } => each.min(total / n),
        }
    }

    fn is_free(self, n: f64) -> bool {
        matches!(self, Self::Cpu { cores, .. } if n <= cores)
    }
}

/// Who is done, and who was let in for it after what time in line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// The one that is done.
    pub sharer: u32,
    /// The one that was let in.
    pub let_in: Option<(u32, f64)>,
}

/// The resource and its sharers, who are numbers of the caller.
#[derive(Debug)]
pub struct Sharing {
    service: Service,
    gate: usize,
    sharers: Vec<(f64, u32)>,
    /// Work, sharer, and since when it waits.
    line: VecDeque<(f64, u32, f64)>,
    virtual_time: f64,
    updated: f64,
    rate: f64,
    /// Goes up with every change, so that an older forecast is known to be stale.
    version: u32,
}

impl Sharing {
    /// Nobody shares it.
    pub fn new(service: Service, gate: Option<u32>) -> Self {
        Self {
            service,
            gate: gate.map_or(usize::MAX, |gate| gate as usize),
            sharers: Vec::new(),
            line: VecDeque::new(),
            virtual_time: 0.0,
            updated: 0.0,
            rate: service.rate(0),
            version: 0,
        }
    }

    /// How many are served.
    pub fn served(&self) -> usize {
        self.sharers.len()
    }

    /// Someone comes with work: CPU seconds, or bytes.
    pub fn enter(&mut self, now: f64, sharer: u32, work: f64) {
        self.advance(now);
        if self.sharers.len() < self.gate {
            self.sharers.push((self.virtual_time + work, sharer));
        } else {
            self.line.push_back((work, sharer, now));
        }
        self.changed();
    }

    /// The forecast: when the next is done if nothing changes, and the version to come back with.
    pub fn forecast(&self) -> Option<(f64, u32)> {
        let (target, _) = self.next()?;
        let wait = (target - self.virtual_time).max(0.0) / self.rate;
        Some((self.updated + wait, self.version))
    }

    /// The time of a forecast has come. `None` if the forecast was stale.
    pub fn leave(&mut self, now: f64, version: u32) -> Option<Left> {
        if version != self.version {
            return None;
        }
        self.advance(now);
        let (_, index) = self.next()?;
        let (target, sharer) = self.sharers.swap_remove(index);
        self.virtual_time = self.virtual_time.max(target);
        let let_in = self.line.pop_front().map(|(work, waiting, since)| {
            self.sharers.push((self.virtual_time + work, waiting));
            (waiting, now - since)
        });
        self.changed();
        Some(Left { sharer, let_in })
    }

    fn next(&self) -> Option<(f64, usize)> {
        let targets = self.sharers.iter().enumerate().map(|(index, (target, _))| (*target, index));
        targets.min_by(|a, b| a.0.total_cmp(&b.0))
    }

    fn advance(&mut self, now: f64) {
        if !self.sharers.is_empty() {
            self.virtual_time += self.rate * (now - self.updated);
        }
        self.updated = now;
    }

    fn changed(&mut self) {
        self.rate = self.service.rate(self.sharers.len());
        self.version = self.version.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is done when, of work that comes all at once.
    fn run(mut sharing: Sharing, works: &[f64]) -> Vec<(u32, f64)> {
        for (sharer, work) in works.iter().enumerate() {
            sharing.enter(0.0, sharer as u32, *work);
        }
        let mut done = Vec::new();
        while let Some((time, version)) = sharing.forecast() {
            let left = sharing.leave(time, version).unwrap();
            done.push((left.sharer, (time * 1e6).round() / 1e6));
        }
        done
    }

    fn cpu(cores: f64) -> Service {
        Service::Cpu { cores, interference: 0.0, speed: 1.0 }
    }

    #[test]
    fn processors_are_shared_evenly_and_none_has_two() {
        let done = run(Sharing::new(cpu(2.0), None), &[1.0, 2.0]);
        assert_eq!(done, [(0, 1.0), (1, 2.0)]);
        let done = run(Sharing::new(cpu(2.0), None), &[1.0, 1.0, 2.0]);
        // Three on two: two thirds each until 1.5; then one alone has its second to go.
        assert_eq!(done, [(0, 1.5), (1, 1.5), (2, 2.5)]);
    }

    #[test]
    fn sharers_beyond_the_processors_cost_some() {
        let service = Service::Cpu { cores: 1.0, interference: 0.1, speed: 0.5 };
        let done = run(Sharing::new(service, None), &[1.0, 1.0]);
        assert_eq!(done, [(0, 4.4), (1, 4.4)]);
    }

    #[test]
    fn a_connection_does_not_fill_the_network_but_two_do() {
        let network = Service::Network { total: 75e6, each: 60e6 };
        assert_eq!(run(Sharing::new(network, None), &[3e6]), [(0, 0.05)]);
        assert_eq!(run(Sharing::new(network, None), &[3e6, 3e6]), [(0, 0.08), (1, 0.08)]);
    }

    #[test]
    fn a_gate_lets_them_in_by_their_turn() {
        let done = run(Sharing::new(cpu(1.0), Some(1)), &[1.0, 0.5, 1.0]);
        assert_eq!(done, [(0, 1.0), (1, 1.5), (2, 2.5)]);
    }

    #[test]
    fn a_stale_forecast_is_told() {
        let mut sharing = Sharing::new(cpu(1.0), None);
        sharing.enter(0.0, 0, 1.0);
        let (time, version) = sharing.forecast().unwrap();
        sharing.enter(0.5, 1, 1.0);
        assert_eq!(sharing.leave(time, version), None);
        assert_eq!(sharing.forecast().unwrap().0, 1.5);
    }
}
