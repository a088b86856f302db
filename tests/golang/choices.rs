//! All paths through code that asks, and dice for what is not worth all paths.

/// Walks through all paths: `choose(n)` answers 0, 1, … n - 1 on successive paths, for each
/// combination of earlier answers.
#[derive(Default)]
pub(crate) struct Choices {
    /// Each answer of this path, and how many there were to the question.
    answers: Vec<(usize, usize)>,
    /// How many questions this path has asked.
    asked: usize,
    begun: bool,
}

impl Choices {
    /// Goes on to the next path, if there is one.
    pub(crate) fn next_path(&mut self) -> bool {
        self.asked = 0;
        if !self.begun {
            self.begun = true;
            return true;
        }
        while self.answers.pop_if(|(answer, of)| *answer + 1 == *of).is_some() {}
        match self.answers.last_mut() {
            Some((answer, _)) => *answer += 1,
            None => return false,
        }
        true
    }

    pub(crate) fn choose(&mut self, of: usize) -> usize {
        if self.asked == self.answers.len() {
            self.answers.push((0, of));
        }
        let (answer, was) = self.answers[self.asked];
        assert_eq!(of, was, "a path asks the same questions until its answers differ");
        self.asked += 1;
        answer
    }

    pub(crate) fn maybe(&mut self) -> bool {
        self.choose(2) == 0
    }
}

/// Numbers that look random and are the same in each run: SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, of: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits % of as u64) as usize
    }

    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            things.swap(end, self.roll(end + 1));
        }
    }
}

#[test]
fn all_paths_are_walked_once() {
    let (mut choices, mut paths) = (Choices::default(), Vec::new());
    while choices.next_path() {
        let first = choices.choose(3);
        paths.push((first, (first == 1).then(|| choices.maybe())));
    }
    assert_eq!(paths, [(0, None), (1, Some(true)), (1, Some(false)), (2, None)]);
}
