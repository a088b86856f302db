//! A queue that one may leave from the middle, and return to at one's old place.
//!
//! **Invariants**: places grow from front to back; the first and the last entry are present; absent
//! entries are at most as many as present ones plus a few, so that a line in which one waits
//! for ever while others come and go does not grow.

use std::collections::VecDeque;

/// Where somebody stands in a [`Line`]. Never used twice in one line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place(u64);

/// Absent entries that are tolerated before the line is closed up.
const SLACK: usize = 32;

/// A first-in, first-out queue with leaving and returning. Leaving costs O(log n), so that a crowd
/// that gives up does not cost the square of its size. A line in which nobody ever stood is a
/// pointer: most lines are such.
#[derive(Debug)]
pub struct Line<T>(Option<Box<Standing<T>>>);

#[derive(Debug)]
struct Standing<T> {
    entries: VecDeque<(Place, Option<T>)>,
    absent: usize,
    next: u64,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Line<T> {
    /// How many stand in line.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |line| line.entries.len() - line.absent)
    }

    /// Whether nobody stands in line.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|line| line.entries.is_empty())
    }

    /// Joins at the back.
    #[inline]
    pub fn push(&mut self, item: T) -> Place {
        let line = self.standing();
        let place = Place(line.next);
        line.next += 1;
        line.entries.push_back((place, Some(item)));
        place
    }

    /// Takes the one at the front.
    #[inline]
    pub fn pop(&mut self) -> Option<(Place, T)> {
        self.0.as_mut()?.pop()
    }

    /// Leaves the line, from wherever one stands.
    #[inline]
    pub fn leave(&mut self, place: Place) -> Option<T> {
        let line = self.0.as_mut()?;
        if line.entries.front()?.0 == place {
            return line.pop().map(|(_, item)| item);
        }
        line.leave_from_within(place)
    }

    /// Returns to a place that was left or popped before, or takes one that another line gave.
    #[inline]
    pub fn restore(&mut self, place: Place, item: T) {
        let line = self.standing();
        if line.entries.back().is_none_or(|(last, _)| *last < place) {
            line.next = line.next.max(place.0 + 1);
            line.entries.push_back((place, Some(item)));
        } else {
            line.insert(place, item);
        }
    }

    /// Whoever stands at a place.
    pub fn at(&mut self, place: Place) -> Option<&mut T> {
        let line = self.0.as_mut()?;
        let index = line.index(place).ok()?;
        line.entries[index].1.as_mut()
    }

    /// Everybody in line, from front to back.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &T)> {
        let entries = self.0.iter().flat_map(|line| &line.entries);
        entries.filter_map(|(place, item)| Some((*place, item.as_ref()?)))
    }

    /// The same, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let entries = self.0.iter_mut().flat_map(|line| &mut line.entries);
        entries.filter_map(|(_, item)| item.as_mut())
    }

    /// Empties the line, from front to back.
    pub fn drain(&mut self) -> impl Iterator<Item = (Place, T)> {
        let entries = self.0.as_mut().map(|line| {
            line.absent = 0;
            std::mem::take(&mut line.entries)
        });
        let entries = entries.into_iter().flatten();
        entries.filter_map(|(place, item)| Some((place, item?)))
    }

    /// A line in which one stands at most takes the room of one.
    #[inline]
    fn standing(&mut self) -> &mut Standing<T> {
        self.0.get_or_insert_with(|| {
            Box::new(Standing { entries: VecDeque::with_capacity(1), absent: 0, next: 0 })
        })
    }
}

impl<T> Standing<T> {
    #[inline]
    fn pop(&mut self) -> Option<(Place, T)> {
        let (place, item) = self.entries.pop_front()?;
        if self.absent > 0 {
            self.trim();
        }
        Some((place, item.expect("the first entry is present")))
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

    fn index(&self, place: Place) -> Result<usize, usize> {
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

    /// Present and absent.
    fn entries<T>(line: &Line<T>) -> usize {
        line.0.as_ref().map_or(0, |line| line.entries.len())
    }

    #[test]
    fn first_in_first_out_with_leaving_and_returning() {
        let mut line = Line::default();
        let places: Vec<Place> = (0..5).map(|n| line.push(n)).collect();
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
        let mut line = Line::default();
        let (first, second) = (line.push('a'), line.push('b'));
        line.pop();
        line.pop();
        line.push('c');
        line.restore(second, 'b');
        line.restore(first, 'a');
        let order: String = line.drain().map(|(_, letter)| letter).collect();
        assert_eq!(order, "abc");
        assert!(line.is_empty());
    }

    #[test]
    fn a_line_in_which_one_waits_for_ever_does_not_grow() {
        let mut line = Line::default();
        line.push(0);
        let mut last = line.push(0);
        for n in 0..10_000 {
            let next = line.push(n);
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
            let mut line = Line::default();
            let places: Vec<Place> = (0..count).map(|n| line.push(n)).collect();
            assert!(places[1..count - 1].iter().all(|place| line.leave(*place).is_some()));
            assert!(entries(&line) <= 2 * 2 + SLACK + 1, "{} entries", entries(&line));
            assert_eq!((line.len(), line.at(places[count - 1])), (2, Some(&mut (count - 1))));
        }
    }

    #[test]
    fn both_ends_of_a_line_are_present() {
        let mut line = Line::default();
        let places: Vec<Place> = (0..6).map(|n| line.push(n)).collect();
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
        let mut line = Line::default();
        let places: Vec<Place> = (0..3).map(|n| line.push(n)).collect();
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
    fn a_place_that_another_line_gave_is_not_given_again() {
        let mut other = Line::default();
        let place = [(); 5].map(|()| other.push('o'))[4];
        for others in [0, 1] {
            let mut line = Line::default();
            (0..others).for_each(|_| assert!(line.push('b') < place));
            line.restore(place, 'a');
            assert!(line.push('c') > place);
            assert_eq!(line.at(place), Some(&mut 'a'));
        }
    }

    #[test]
    fn one_takes_the_room_of_one_and_many_grow_by_doubling() {
        let mut line = Line::default();
        line.push(0);
        let room = |line: &Line<i32>| line.0.as_ref().map_or(0, |line| line.entries.capacity());
        assert_eq!(room(&line), 1);
        for n in 1..1000 {
            line.push(n);
        }
        assert!(room(&line) >= 1000);
    }

    #[test]
    fn leaving_a_long_line_is_not_linear() {
        let mut line = Line::default();
        let places: Vec<Place> = (0..200_000).map(|n| line.push(n)).collect();
        for place in places.iter().skip(1).step_by(2).chain(places.iter().step_by(2).rev()) {
            assert!(line.leave(*place).is_some());
        }
        assert!(line.is_empty());
    }
}
