//! The order in which a select looks at its cases. Not a source of secrets: a fast generator of its
//! own on each thread.

#[cfg(any(loom, shuttle))]
use checked::below;
#[cfg(not(any(loom, shuttle)))]
use own::below;
#[cfg(all(feature = "simulation", not(any(loom, shuttle))))]
pub(crate) use own::reseed;
use smallvec::SmallVec;

/// All of `0..count`, in random order.
pub(super) fn order(count: usize) -> SmallVec<[usize; 16]> {
    let mut order = SmallVec::with_capacity(count);
    find(count, |at| {
        order.push(at);
        false
    });
    order
}

/// The case that a select of so many tries first.
#[inline]
pub fn first(count: usize) -> usize {
    if count > 1 { below(count) } else { 0 }
}

/// Visits `0..count` in random order, each order as likely as the others, until a visit says that
/// it was the last.
#[inline]
pub(super) fn find(count: usize, mut visit: impl FnMut(usize) -> bool) -> Option<usize> {
    if count == 0 {
        return None;
    }
    // Most visits end at the first: the order is drawn only as far as it is needed.
    let first = first(count);
    if visit(first) { Some(first) } else { others(count, first, visit) }
}

/// The same for all but the one that was visited first.
#[inline]
pub(super) fn others(
    count: usize,
    first: usize,
    mut visit: impl FnMut(usize) -> bool,
) -> Option<usize> {
    match count {
        0 | 1 => return None,
        2 => return visit(1 - first).then_some(1 - first),
        _ => {}
    }
    let mut rest: SmallVec<[u32; 16]> = (0..count as u32).collect();
    rest.swap_remove(first);
    while !rest.is_empty() {
        let case = rest.swap_remove(below(rest.len())) as usize;
        if visit(case) {
            return Some(case);
        }
    }
    None
}

#[cfg(not(any(loom, shuttle)))]
mod own {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<u64> = Cell::new(seed());
    }

    fn seed() -> u64 {
        u64::from_le_bytes(crate::chance::bytes()) | 1
    }

    /// Begins anew with another seed.
    #[cfg(feature = "simulation")]
    pub(crate) fn reseed() {
        STATE.set(seed());
    }

    /// A number below `bound`, each as likely as the others.
    pub(super) fn below(bound: usize) -> usize {
        let mut state = STATE.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        STATE.set(state);
        ((u128::from(state) * bound as u128) >> 64) as usize
    }
}

/// A model checker runs the same again: it draws itself, or nothing is drawn.
#[cfg(any(loom, shuttle))]
mod checked {
    #[cfg(loom)]
    pub(super) fn below(_: usize) -> usize {
        0
    }

    #[cfg(shuttle)]
    pub(super) fn below(bound: usize) -> usize {
        use shuttle::rand::Rng;
        shuttle::rand::thread_rng().gen_range(0..bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_visited_once_and_each_is_first_equally_often() {
        let mut firsts = [0u32; 5];
        for _ in 0..10_000 {
            let mut seen = Vec::new();
            assert_eq!(
                find(5, |case| {
                    seen.push(case);
                    false
                }),
                None
            );
            firsts[seen[0]] += 1;
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
        }
        assert!(firsts.iter().all(|count| (1800..2200).contains(count)), "{firsts:?}");
    }
}
