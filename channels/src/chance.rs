//! Where random bits come from: the operating system, each time anew, so that a process restored
//! from a snapshot shares nothing with its copies. A simulation on one thread gives a seed instead,
//! so that the same seed is the same run; only programs built with the feature `simulation`, which
//! are tests, can do that.

#[cfg(feature = "simulation")]
pub use seeded::seed;

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[cfg(feature = "simulation")]
    if seeded::fill(&mut bytes) {
        return bytes;
    }
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    bytes
}

#[cfg(feature = "simulation")]
mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From here on, identities made on this thread and the order in which its selects look at
    /// their cases come from a seed.
    pub fn seed(seed: u64) {
        STATE.set(Some(seed));
        #[cfg(not(any(loom, shuttle)))]
        crate::select::reseed();
    }

    /// SplitMix64. False if no seed was given.
    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        let Some(mut state) = STATE.get() else { return false };
        for chunk in bytes.chunks_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
        STATE.set(Some(state));
        true
    }
}
