//! The tasks that wait, in the order in which they should be tried.
//!
//! First the application that was given least; of its tasks the deepest in the spawn tree, for
//! those before it wait for it; then the oldest. Tasks of one application, depth and kind differ in
//! nothing but their age: if the oldest of them fits nowhere, none does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::placement::{AppNo, KindNo, TaskNo};

/// How often the oldest may be passed over, by others that fit where it does not.
const PASSED_MAX: u32 = 64;

/// A place in the order of all that ever came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

#[derive(Debug)]
struct Class {
    app: AppNo,
    depth: u16,
    kind: KindNo,
    line: VecDeque<(Place, TaskNo)>,
}

#[derive(Debug, Default)]
struct App {
    /// What it was given, in seconds of a worker.
    given: f64,
    heads: BTreeSet<(Reverse<u16>, Place, usize)>,
}

/// The pool.
#[derive(Debug, Default)]
pub(super) struct Pool {
    classes: Vec<Class>,
    numbers: BTreeMap<(AppNo, u16, KindNo), usize>,
    apps: BTreeMap<AppNo, App>,
    /// Applications with tasks that wait, by what they were given, in bits that sort as numbers do.
    order: BTreeSet<(u64, AppNo)>,
    /// The oldest of each class that somebody may wait for, of all applications.
    children: BTreeSet<(Reverse<u16>, Place, usize)>,
    last: u64,
    passed: u32,
    len: usize,
}

/// A task that might be next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) task: TaskNo,
    pub(super) kind: KindNo,
    pub(super) depth: u16,
    pub(super) place: Place,
    class: usize,
    is_first: bool,
}

impl Pool {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A new task comes last.
    pub(super) fn push(&mut self, task: TaskNo, app: AppNo, depth: u16, kind: KindNo) -> Place {
        self.last += 1;
        let place = Place(self.last);
        self.insert(task, app, depth, kind, place);
        place
    }

    /// A task comes back to its old place.
    pub(super) fn insert(
        &mut self,
        task: TaskNo,
        app: AppNo,
        depth: u16,
        kind: KindNo,
        place: Place,
    ) {
        let next = self.classes.len();
        let number = *self.numbers.entry((app, depth, kind)).or_insert(next);
        if number == next {
            self.classes.push(Class { app, depth, kind, line: VecDeque::new() });
        }
        let class = &mut self.classes[number];
        let old = class.line.front().map(|(place, _)| *place);
        let index = match class.line.back() {
            Some((last, _)) if *last > place => {
                class.line.partition_point(|(other, _)| *other < place)
            }
            _ => class.line.len(),
        };
        class.line.insert(index, (place, task));
        self.len += 1;
        self.renew_head(number, old);
    }

    /// A task is given up. True if it was there.
    pub(super) fn remove(&mut self, app: AppNo, depth: u16, kind: KindNo, place: Place) -> bool {
        let Some(&number) = self.numbers.get(&(app, depth, kind)) else { return false };
        let line = &mut self.classes[number].line;
        let old = line.front().map(|(place, _)| *place);
        let Ok(index) = line.binary_search_by_key(&place, |(place, _)| *place) else {
            return false;
        };
        line.remove(index);
        self.len -= 1;
        self.renew_head(number, old);
        true
    }

    /// The next to be tried, best first.
    pub(super) fn candidates(&self, look_ahead: usize, found: &mut Vec<Candidate>) {
        found.clear();
        let count = if self.passed < PASSED_MAX { look_ahead.max(1) } else { 1 };
        for (_, app) in &self.order {
            for (Reverse(depth), place, class) in &self.apps[app].heads {
                if found.len() == count {
                    return;
                }
                let Some((_, task)) = self.classes[*class].line.front() else { continue };
                let kind = self.classes[*class].kind;
                let (task, depth, place) = (*task, *depth, *place);
                let is_first = found.is_empty();
                found.push(Candidate { task, kind, depth, place, class: *class, is_first });
            }
        }
    }

    /// The deepest in the spawn tree of all that somebody may wait for.
    pub(super) fn deepest(&self) -> Option<Candidate> {
        let (Reverse(depth), place, class) = *self.children.first()?;
        let Class { kind, line, .. } = &self.classes[class];
        let (_, task) = *line.front()?;
        Some(Candidate { task, kind: *kind, depth, place, class, is_first: false })
    }

    /// A candidate goes to a worker, and its application is given so much.
    pub(super) fn take(&mut self, candidate: &Candidate, work: f64) {
        let class = &mut self.classes[candidate.class];
        let Some((old, _)) = class.line.pop_front() else { return };
        let app = class.app;
        self.len -= 1;
        self.passed = if candidate.is_first { 0 } else { self.passed + 1 };
        self.renew_head(candidate.class, Some(old));
        self.give(app, work);
    }

    /// An application is given so much.
    pub(super) fn give(&mut self, app: AppNo, work: f64) {
        let state = self.apps.entry(app).or_default();
        let waits = self.order.remove(&(state.given.to_bits(), app));
        state.given += work;
        if waits {
            self.order.insert((state.given.to_bits(), app));
        }
    }

    fn renew_head(&mut self, number: usize, old: Option<Place>) {
        let Class { app, depth, line, .. } = &self.classes[number];
        let new = line.front().map(|(place, _)| *place);
        if old == new {
            return;
        }
        let (app, depth) = (*app, Reverse(*depth));
        if depth != Reverse(0) {
            old.map(|old| self.children.remove(&(depth, old, number)));
            new.map(|new| self.children.insert((depth, new, number)));
        }
        // Who comes back starts with the one that was given least: it does not save up.
        let least = self.order.first().map_or(0.0, |(given, _)| f64::from_bits(*given));
        let state = self.apps.entry(app).or_default();
        let waited = !state.heads.is_empty();
        if let Some(old) = old {
            state.heads.remove(&(depth, old, number));
        }
        if let Some(new) = new {
            state.heads.insert((depth, new, number));
        }
        let waits = !state.heads.is_empty();
        if waited && !waits {
            self.order.remove(&(state.given.to_bits(), app));
        } else if waits && !waited {
            state.given = state.given.max(least);
            self.order.insert((state.given.to_bits(), app));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(pool: &mut Pool, work: f64) -> Vec<u32> {
        let mut order = Vec::new();
        let mut found = Vec::new();
        loop {
            pool.candidates(8, &mut found);
            let Some(first) = found.first().copied() else { return order };
            pool.take(&first, work);
            order.push(first.task.0);
        }
    }

    const APP: AppNo = AppNo(0);
    const KIND: KindNo = KindNo(0);

    #[test]
    fn the_deepest_first_then_the_oldest() {
        let mut pool = Pool::default();
        pool.push(TaskNo(1), APP, 0, KIND);
        pool.push(TaskNo(2), APP, 0, KindNo(1));
        let third = pool.push(TaskNo(3), APP, 1, KIND);
        pool.push(TaskNo(4), APP, 0, KIND);
        assert_eq!(pool.len(), 4);
        assert_eq!(pool.deepest().map(|child| child.task), Some(TaskNo(3)));
        assert!(pool.remove(APP, 1, KIND, third));
        assert_eq!(pool.deepest(), None, "nobody waits for the others");
        assert!(!pool.remove(APP, 1, KIND, third), "it left");
        pool.insert(TaskNo(3), APP, 1, KIND, third);
        assert_eq!(order(&mut pool, 1.0), [3, 1, 2, 4]);
        assert_eq!(pool.len(), 0);
    }

    #[test]
    fn applications_are_given_the_same() {
        let mut pool = Pool::default();
        (0..4).for_each(|task| _ = pool.push(TaskNo(task), AppNo(0), 0, KIND));
        (10..12).for_each(|task| _ = pool.push(TaskNo(task), AppNo(1), 0, KIND));
        assert_eq!(order(&mut pool, 1.0), [0, 10, 1, 11, 2, 3]);
    }

    #[test]
    fn the_oldest_is_not_passed_over_for_ever() {
        let mut pool = Pool::default();
        pool.push(TaskNo(0), APP, 0, KIND);
        (1..200).for_each(|task| _ = pool.push(TaskNo(task), APP, 0, KindNo(1)));
        let mut found = Vec::new();
        let mut passed = 0;
        loop {
            pool.candidates(8, &mut found);
            let Some(second) = found.get(1).copied() else { break };
            pool.take(&second, 1.0);
            passed += 1;
        }
        assert_eq!(passed, PASSED_MAX);
        assert_eq!(found[0].task, TaskNo(0));
    }

    #[test]
    fn who_comes_back_finds_its_old_place() {
        let mut pool = Pool::default();
        let places: Vec<Place> = (0..3).map(|task| pool.push(TaskNo(task), APP, 0, KIND)).collect();
        let mut found = Vec::new();
        for _ in 0..2 {
            pool.candidates(1, &mut found);
            pool.take(&found[0].clone(), 1.0);
        }
        pool.insert(TaskNo(1), APP, 0, KIND, places[1]);
        pool.insert(TaskNo(0), APP, 0, KIND, places[0]);
        assert_eq!(order(&mut pool, 1.0), [0, 1, 2]);
    }
}
