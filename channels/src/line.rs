//! A queue that one may leave from the middle, and return to at one's old place.
//!
//! **Invariants**: places grow from front to back; `first` stands before all others, if it is
//! there; of `others` the first and the last entry are present, and absent entries are at most as
//! many as present ones plus a few, so that a line in which one waits for ever while others come
//! and go does not grow.

use std::collections::VecDeque;

/// Where somebody stands in a [`Line`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Place(u64);

/// Gives out places, none twice. Several lines may share it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Places(u64);

impl Places {
    /// A place behind all that were given out.
    #[inline]
    pub fn allot(&mut self) -> Place {
        self.0 += 1;
        Place(self.0)
    }
}

/// Absent entries that are tolerated before the line is closed up.
const SLACK: usize = 32;

/// A first-in, first-out queue with leaving and returning. Leaving costs O(log n), so that a crowd
/// that gives up does not cost the square of its size. Most lines are of one: it stands in the line
/// itself, and nothing is allocated for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Line<T> {
    first: Option<(Place, T)>,
    others: Option<Box<Others<T>>>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Others<T> {
    entries: VecDeque<(Place, Option<T>)>,
    absent: usize,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { first: None, others: None }
    }
}

impl<T> Line<T> {
    /// How many stand in line.
    pub fn len(&self) -> usize {
        let others = self.others.as_ref().map_or(0, |others| others.entries.len() - others.absent);
        usize::from(self.first.is_some()) + others
    }

    /// Whether nobody stands in line.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.has_no_others()
    }

    #[inline]
    fn has_no_others(&self) -> bool {
        self.others.as_ref().is_none_or(|others| others.entries.is_empty())
    }

    /// Joins at the back: the place is behind all others here.
    #[inline]
    pub fn push(&mut self, place: Place, item: T) {
        self.push_with(place, || item);
    }

    /// The same with an item that is made in its place: a large one is moved once.
    #[inline]
    pub fn push_with(&mut self, place: Place, item: impl FnOnce() -> T) {
        if self.is_empty() {
            self.first = Some((place, item()));
        } else {
            self.others().entries.push_back((place, Some(item())));
        }
    }

    /// Takes the one at the front.
    #[inline]
    pub fn pop(&mut self) -> Option<(Place, T)> {
        if self.first.is_some() {
            return self.first.take();
        }
        self.others.as_mut()?.pop()
    }

    /// The one at the front, who stays.
    #[inline]
    pub fn front(&self) -> Option<(Place, &T)> {
        if let Some((place, item)) = &self.first {
            return Some((*place, item));
        }
        let (place, item) = self.others.as_ref()?.entries.front()?;
        Some((*place, item.as_ref()?))
    }

    /// Leaves the line, from wherever one stands.
    #[inline]
    pub fn leave(&mut self, place: Place) -> Option<T> {
        self.leave_as(place, |item| item)
    }

    /// The same, of which a part is wanted: a large one is moved once.
    #[inline]
    pub fn leave_as<R>(&mut self, place: Place, part: impl FnOnce(T) -> R) -> Option<R> {
        if self.is_first(place) {
            return self.first.take().map(|(_, item)| part(item));
        }
        self.others.as_mut()?.leave(place).map(part)
    }

    #[inline]
    fn is_first(&self, place: Place) -> bool {
        self.first.as_ref().is_some_and(|(first, _)| *first == place)
    }

    /// Returns to a place that was left or popped before, or takes one wherever it is.
    #[inline]
    pub fn restore(&mut self, place: Place, item: T) {
        self.restore_with(place, || item);
    }

    /// The same with an item that is made in its place.
    #[inline]
    pub fn restore_with(&mut self, place: Place, item: impl FnOnce() -> T) {
        if self.is_empty() {
            self.first = Some((place, item()));
        } else {
            self.restore_among(place, item());
        }
    }

    fn restore_among(&mut self, place: Place, item: T) {
        match self.first.take_if(|(first, _)| place < *first) {
            None => self.others().insert(place, item),
            Some((behind, first)) => {
                self.others().entries.push_front((behind, Some(first)));
                self.first = Some((place, item));
            }
        }
    }

    /// Whoever stands at a place.
    #[inline]
    pub fn at(&mut self, place: Place) -> Option<&mut T> {
        if self.is_first(place) {
            return self.first.as_mut().map(|(_, item)| item);
        }
        self.others.as_mut()?.at(place)
    }

    /// Everybody in line, from front to back.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &T)> {
        let entries = self.others.iter().flat_map(|others| &others.entries);
        let others = entries.filter_map(|(place, item)| Some((*place, item.as_ref()?)));
        self.first.iter().map(|(place, item)| (*place, item)).chain(others)
    }

    /// The same, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let entries = self.others.iter_mut().flat_map(|others| &mut others.entries);
        let others = entries.filter_map(|(_, item)| item.as_mut());
        self.first.iter_mut().map(|(_, item)| item).chain(others)
    }

    /// Empties the line, from front to back.
    pub fn drain(&mut self) -> impl Iterator<Item = (Place, T)> {
        let others = self.others.take().map(|others| others.entries).into_iter().flatten();
        let others = others.filter_map(|(place, item)| Some((place, item?)));
        self.first.take().into_iter().chain(others)
    }

    fn others(&mut self) -> &mut Others<T> {
        self.others.get_or_insert_with(Box::default)
    }
}

impl<T> Default for Others<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), absent: 0 }
    }
}

impl<T> Others<T> {
    #[inline]
    fn pop(&mut self) -> Option<(Place, T)> {
        let (place, item) = self.entries.pop_front()?;
        if self.absent > 0 {
            self.trim();
        }
        Some((place, item.expect("the first entry is present")))
    }

    #[inline]
    fn leave(&mut self, place: Place) -> Option<T> {
        if self.entries.front()?.0 == place {
            return self.pop().map(|(_, item)| item);
        }
        self.leave_from_within(place)
    }

    fn leave_from_within(&mut self, place: Place) -> Option<T> {
        let index = self.index(place).ok()?;
        let item = self.entries[index].1.take()?;
        self.absent += 1;
        self.trim();
        if 2 * self.absent > self.entries.len() + SLACK {
            self.entries.retain(|(_, item)| item.is_some());
            self.absent = 0;
        }
        Some(item)
    }

    fn insert(&mut self, place: Place, item: T) {
        match self.index(place) {
            Ok(index) => {
                debug_assert!(self.entries[index].1.is_none(), "nobody else stands there");
                self.entries[index].1 = Some(item);
                self.absent -= 1;
            }
            Err(index) => self.entries.insert(index, (place, Some(item))),
        }
    }

    fn at(&mut self, place: Place) -> Option<&mut T> {
        let index = self.index(place).ok()?;
        self.entries[index].1.as_mut()
    }

    fn index(&self, place: Place) -> Result<usize, usize> {
        if self.entries.back().is_none_or(|(last, _)| *last < place) {
            return Err(self.entries.len());
        }
        self.entries.binary_search_by_key(&place, |(place, _)| *place)
    }

    /// Restores the invariant that both ends are present.
    fn trim(&mut self) {
        while matches!(self.entries.front(), Some((_, None))) {
            self.entries.pop_front();
            self.absent -= 1;
        }
        while matches!(self.entries.back(), Some((_, None))) {
            self.entries.pop_back();
            self.absent -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join<T>(line: &mut Line<T>, places: &mut Places, item: T) -> Place {
        let place = places.allot();
        line.push(place, item);
        place
    }

    /// Behind the first, present and absent.
    fn entries<T>(line: &Line<T>) -> usize {
        line.others.as_ref().map_or(0, |others| others.entries.len())
    }

    #[test]
    fn first_in_first_out_with_leaving_and_returning() {
        let (mut line, mut all) = (Line::default(), Places::default());
        let places: Vec<Place> = (0..5).map(|n| join(&mut line, &mut all, n)).collect();
        assert_eq!(line.leave(places[2]), Some(2));
        assert_eq!(line.leave(places[2]), None, "one leaves once");
        assert_eq!(line.pop(), Some((places[0], 0)));
        line.restore(places[0], 0);
        line.restore(places[2], 2);
        let order: Vec<i32> = std::iter::from_fn(|| line.pop().map(|(_, n)| n)).collect();
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn returning_to_an_emptied_line_keeps_the_order_of_places() {
        let (mut line, mut all) = (Line::default(), Places::default());
        let (first, second) = (join(&mut line, &mut all, 'a'), join(&mut line, &mut all, 'b'));
        line.pop();
        line.pop();
        join(&mut line, &mut all, 'c');
        line.restore(second, 'b');
        line.restore(first, 'a');
        let order: String = line.drain().map(|(_, letter)| letter).collect();
        assert_eq!(order, "abc");
        assert!(line.is_empty());
    }

    #[test]
    fn a_line_in_which_one_waits_for_ever_does_not_grow() {
        let (mut line, mut all) = (Line::default(), Places::default());
        join(&mut line, &mut all, 0);
        let mut last = join(&mut line, &mut all, 0);
        for n in 0..10_000 {
            let next = join(&mut line, &mut all, n);
            line.leave(last);
            last = next;
        }
        assert_eq!(line.len(), 2);
        let entries = entries(&line);
        assert!(entries <= 2 * 2 + SLACK + 1, "{entries} entries");
    }

    #[test]
    fn a_line_that_many_leave_from_within_closes_up() {
        for count in [100, 101] {
            let (mut line, mut all) = (Line::default(), Places::default());
            let places: Vec<Place> = (0..count).map(|n| join(&mut line, &mut all, n)).collect();
            // The first of those behind the first stays too: what leaves in front of it is gone.
            assert!(places[2..count - 1].iter().all(|place| line.leave(*place).is_some()));
            assert!(entries(&line) <= 2 * 2 + SLACK + 1, "{} entries", entries(&line));
            assert_eq!((line.len(), line.at(places[count - 1])), (3, Some(&mut (count - 1))));
        }
    }

    #[test]
    fn both_ends_of_a_line_are_present() {
        let (mut line, mut all) = (Line::default(), Places::default());
        join(&mut line, &mut all, -1);
        let places: Vec<Place> = (0..6).map(|n| join(&mut line, &mut all, n)).collect();
        line.pop();
        assert_eq!([1, 2, 4].map(|at| line.leave(places[at])), [1, 2, 4].map(Some));
        assert_eq!((line.len(), line.pop()), (3, Some((places[0], 0))));
        assert_eq!((line.len(), entries(&line)), (2, 3), "3 is the first");
        line.leave(places[5]);
        assert_eq!((line.len(), entries(&line)), (1, 1), "3 is the last");
        line.leave(places[3]);
        assert_eq!((line.is_empty(), line.len()), (true, 0));
    }

    #[test]
    fn whoever_returns_is_found_and_counted() {
        let (mut line, mut all) = (Line::default(), Places::default());
        let places: Vec<Place> = (0..3).map(|n| join(&mut line, &mut all, n)).collect();
        line.leave(places[1]);
        assert_eq!((line.at(places[1]).is_some(), line.iter().count()), (false, 2));
        line.restore(places[1], 7);
        assert_eq!((line.at(places[1]).copied(), line.len()), (Some(7), 3));
        line.iter_mut().for_each(|n| *n += 1);
        line.leave(places[1]);
        assert_eq!(line.drain().collect::<Vec<_>>(), [(places[0], 1), (places[2], 3)]);
        assert_eq!(line.len(), 0);
    }

    #[test]
    fn whoever_returns_between_two_others_is_counted() {
        let (mut line, mut all) = (Line::default(), Places::default());
        let places: Vec<Place> = (0..5).map(|n| join(&mut line, &mut all, n)).collect();
        line.leave(places[2]);
        line.leave(places[3]);
        assert_eq!((line.len(), entries(&line)), (3, 4), "their entries are kept");
        line.restore(places[2], 2);
        assert_eq!((line.len(), entries(&line)), (4, 4));
        line.restore(places[3], 3);
        assert_eq!((line.len(), line.drain().count()), (5, 5));
    }

    #[test]
    fn whoever_returns_before_the_first_is_the_first() {
        let (mut line, mut all) = (Line::default(), Places::default());
        let places: Vec<Place> = (0..4).map(|n| join(&mut line, &mut all, n)).collect();
        assert_eq!([line.pop(), line.pop()], [0, 1].map(|n| Some((places[n], n))));
        assert_eq!(line.drain().count(), 2);
        line.restore(places[2], 2);
        line.restore(places[1], 1);
        line.restore(places[3], 3);
        line.restore(places[0], 0);
        assert_eq!(line.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(
            places.iter().map(|place| line.at(*place).copied()).collect::<Vec<_>>(),
            [0, 1, 2, 3].map(Some)
        );
        assert_eq!(
            places.iter().map(|place| line.leave(*place)).collect::<Vec<_>>(),
            [0, 1, 2, 3].map(Some)
        );
        assert!(line.is_empty());
    }

    #[test]
    fn one_alone_takes_no_room_of_its_own() {
        let (mut line, mut all) = (Line::default(), Places::default());
        for n in 0..10 {
            let place = join(&mut line, &mut all, n);
            assert_eq!((line.len(), line.others.is_none()), (1, true));
            assert_eq!(line.leave(place), Some(n));
        }
    }

    #[test]
    fn leaving_a_long_line_is_not_linear() {
        let (mut line, mut all) = (Line::default(), Places::default());
        let places: Vec<Place> = (0..200_000).map(|n| join(&mut line, &mut all, n)).collect();
        for place in places.iter().skip(1).step_by(2).chain(places.iter().step_by(2).rev()) {
            assert!(line.leave(*place).is_some());
        }
        assert!(line.is_empty());
    }
}
