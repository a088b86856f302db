//! A queue that one may leave from the middle, and return to at one's old place.
//!
//! **Invariants**: places grow from front to back; the first and the last entry are present; absent
//! entries are at most as many as present ones plus a few, so that a line in which one waits
//! for ever while others come and go does not grow.

use std::collections::VecDeque;

/// Where somebody stands in a [`Line`]. Never used twice in one line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place(u64);

/// Absent entries that are tolerated before the line is closed up.
const SLACK: usize = 32;

/// A first-in, first-out queue with leaving and returning. Leaving costs O(log n), so that a crowd
/// that gives up does not cost the square of its size.
#[derive(Debug)]
pub struct Line<T> {
    entries: VecDeque<(Place, Option<T>)>,
    present: usize,
    next: u64,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), present: 0, next: 0 }
    }
}

impl<T> Line<T> {
    /// How many stand in line.
    pub fn len(&self) -> usize {
        self.present
    }

    /// Whether nobody stands in line.
    pub fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// Joins at the back.
    pub fn push(&mut self, item: T) -> Place {
        let place = Place(self.next);
        self.push_at(place, item);
        place
    }

    /// Joins at the back under a place given by another line; places must grow.
    pub fn push_at(&mut self, place: Place, item: T) {
        debug_assert!(place.0 >= self.next, "places grow");
        self.next = place.0 + 1;
        self.entries.push_back((place, Some(item)));
        self.present += 1;
    }

    /// Takes the one at the front.
    pub fn pop(&mut self) -> Option<(Place, T)> {
        let (place, item) = self.entries.pop_front()?;
        self.present -= 1;
        self.trim();
        Some((place, item.expect("the first entry is present")))
    }

    /// Leaves the line, from wherever one stands.
    pub fn leave(&mut self, place: Place) -> Option<T> {
        let index = self.index(place).ok()?;
        let item = self.entries[index].1.take()?;
        self.present -= 1;
        self.trim();
        if self.entries.len() > 2 * self.present + SLACK {
            self.entries.retain(|(_, item)| item.is_some());
        }
        Some(item)
    }

    /// Returns to a place that was left or popped before.
    pub fn restore(&mut self, place: Place, item: T) {
        debug_assert!(place.0 < self.next, "only a place that was given out is restored");
        match self.index(place) {
            Ok(index) => {
                debug_assert!(self.entries[index].1.is_none(), "nobody else stands there");
                self.entries[index].1 = Some(item);
            }
            Err(index) => self.entries.insert(index, (place, Some(item))),
        }
        self.present += 1;
    }

    /// The one who stands at a place.
    pub fn at(&mut self, place: Place) -> Option<&mut T> {
        let index = self.index(place).ok()?;
        self.entries[index].1.as_mut()
    }

    /// Whether somebody stands at a place.
    pub fn contains(&self, place: Place) -> bool {
        self.index(place).is_ok_and(|index| self.entries[index].1.is_some())
    }

    /// Everybody in line, from front to back.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &T)> {
        self.entries.iter().filter_map(|(place, item)| Some((*place, item.as_ref()?)))
    }

    /// Empties the line, from front to back.
    pub fn drain(&mut self) -> impl Iterator<Item = (Place, T)> {
        self.present = 0;
        std::mem::take(&mut self.entries)
            .into_iter()
            .filter_map(|(place, item)| Some((place, item?)))
    }

    fn index(&self, place: Place) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&place, |(place, _)| *place)
    }

    /// Restores the invariant that both ends are present.
    fn trim(&mut self) {
        while matches!(self.entries.front(), Some((_, None))) {
            self.entries.pop_front();
        }
        while matches!(self.entries.back(), Some((_, None))) {
            self.entries.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(line.entries.len() <= 2 * 2 + SLACK + 1, "{} entries", line.entries.len());
    }

    #[test]
    fn leaving_a_long_line_is_not_linear() {
        let mut line = Line::default();
        let places: Vec<Place> = (0..200_000).map(|n| line.push(n)).collect();
        for place in places.iter().skip(1).step_by(2).chain(places.iter().step_by(2).rev()) {
            assert!(line.leave(*place).is_some());
        }
        assert!(line.is_empty() && line.entries.is_empty());
    }
}
