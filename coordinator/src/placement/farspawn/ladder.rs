//! Workers in order of their load, in steps of 1/256: whoever moves costs the same however many
//! there are, and so does finding the next.

/// Steps for a load of 1.
const RESOLUTION: f64 = 256.0;
/// Loads of 4 and more are one.
const RUNGS: usize = 1024;

/// The order.
#[derive(Debug)]
pub(super) struct Ladder {
    rungs: Vec<Vec<u32>>,
    /// A bit for each rung on which somebody is.
    taken: [u64; RUNGS / 64],
    /// Rung and place on it, by worker.
    places: Vec<Option<(u16, u32)>>,
}

impl Ladder {
    pub(super) fn new() -> Self {
        Self { rungs: vec![Vec::new(); RUNGS], taken: [0; RUNGS / 64], places: Vec::new() }
    }

    /// Puts a worker where it belongs.
    pub(super) fn set(&mut self, worker: u32, load: f64) {
        let rung = Self::rung(load);
        if self.places.len() <= worker as usize {
            self.places.resize(worker as usize + 1, None);
        }
        match self.places[worker as usize] {
            Some((old, _)) if usize::from(old) == rung => return,
            Some(_) => self.remove(worker),
            None => {}
        }
        let on_rung = &mut self.rungs[rung];
        self.places[worker as usize] = Some((rung as u16, on_rung.len() as u32));
        on_rung.push(worker);
        self.taken[rung / 64] |= 1 << (rung % 64);
    }

    /// Takes a worker off.
    pub(super) fn remove(&mut self, worker: u32) {
        let Some(place) = self.places.get_mut(worker as usize) else { return };
        let Some((rung, index)) = place.take() else { return };
        let on_rung = &mut self.rungs[usize::from(rung)];
        on_rung.swap_remove(index as usize);
        if let Some(moved) = on_rung.get(index as usize) {
            self.places[*moved as usize] = Some((rung, index));
        }
        if on_rung.is_empty() {
            self.taken[usize::from(rung) / 64] &= !(1 << (rung % 64));
        }
    }

    /// From the least loaded upwards.
    pub(super) fn upwards(&self) -> impl Iterator<Item = u32> {
        let mut next = self.taken_from(0);
        let rungs = std::iter::from_fn(move || {
            let rung = next?;
            next = self.taken_from(rung + 1);
            Some(rung)
        });
        rungs.flat_map(|rung| self.rungs[rung].iter().copied())
    }

    /// Whether nobody has less than this load, but for who has none at all. A step counts as full:
    /// to look at everybody on it would cost more than it gains.
    pub(super) fn is_full(&self, load: f64) -> bool {
        self.taken_from(0).is_none_or(|rung| rung > 0 && rung >= Self::rung(load))
    }

    /// From this load downwards.
    pub(super) fn downwards(&self, load: f64) -> impl Iterator<Item = u32> {
        let mut next = self.taken_until(Self::rung(load));
        let rungs = std::iter::from_fn(move || {
            let rung = next?;
            next = rung.checked_sub(1).and_then(|rung| self.taken_until(rung));
            Some(rung)
        });
        rungs.flat_map(|rung| self.rungs[rung].iter().copied())
    }

    fn rung(load: f64) -> usize {
        ((load * RESOLUTION) as usize).min(RUNGS - 1)
    }

    /// The lowest taken rung that is not below this one.
    fn taken_from(&self, rung: usize) -> Option<usize> {
        let mut word = rung / 64;
        let mut bits = self.taken.get(word)? & (u64::MAX << (rung % 64));
        while bits == 0 {
            word += 1;
            bits = *self.taken.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// The highest taken rung that is not above this one.
    fn taken_until(&self, rung: usize) -> Option<usize> {
        let mut word = rung / 64;
        let mut bits = self.taken[word] & (u64::MAX >> (63 - rung % 64));
        while bits == 0 {
            word = word.checked_sub(1)?;
            bits = self.taken[word];
        }
        Some(word * 64 + 63 - bits.leading_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_and_down_in_order() {
        let mut ladder = Ladder::new();
        for (worker, load) in [(0, 0.5), (1, 0.0), (2, 9.0), (3, 0.25), (4, 1.0)] {
            ladder.set(worker, load);
        }
        assert_eq!(ladder.upwards().collect::<Vec<_>>(), [1, 3, 0, 4, 2]);
        assert_eq!(ladder.downwards(0.6).collect::<Vec<_>>(), [0, 3, 1]);
        ladder.set(1, 0.55);
        ladder.remove(3);
        ladder.remove(7);
        assert_eq!(ladder.downwards(100.0).collect::<Vec<_>>(), [2, 4, 1, 0]);
        assert_eq!(ladder.upwards().count(), 4);
        assert!(ladder.is_full(0.5) && !ladder.is_full(0.51));
    }

    #[test]
    fn workers_of_one_load_are_all_there() {
        let mut ladder = Ladder::new();
        (0..1000).for_each(|worker| ladder.set(worker, 0.5));
        (0..1000).step_by(2).for_each(|worker| ladder.remove(worker));
        let mut left: Vec<u32> = ladder.upwards().collect();
        left.sort_unstable();
        assert_eq!(left, (1..1000).step_by(2).collect::<Vec<_>>());
    }
}
