//! Where channels were made, for whoever has to say which channel is meant: places in the source,
//! each known by a number, for a channel is small and there may be a million.

use std::cell::Cell;
use std::panic::Location;

use parking_lot::Mutex;

/// Every place at which a channel was made so far.
static PLACES: Mutex<Vec<&'static Location<'static>>> = Mutex::new(Vec::new());

thread_local! {
    /// The place of the last channel that this thread made: most are made in loops.
    static LAST: Cell<Option<(&'static Location<'static>, Made)>> = const { Cell::new(None) };
}

/// Where a channel was made. 0 if that is not known: elsewhere, or at one place too many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made(u16);

impl Made {
    /// The place from which the caller was called.
    #[track_caller]
    pub(crate) fn here() -> Self {
        let place = Location::caller();
        if let Some((last, made)) = LAST.get()
            && std::ptr::eq(last, place)
        {
            return made;
        }
        let made = Self::of(place);
        LAST.set(Some((place, made)));
        made
    }

    fn of(place: &'static Location<'static>) -> Self {
        let mut places = PLACES.lock();
        if let Some(at) = places.iter().position(|known| *known == place) {
            return Self(at as u16 + 1);
        }
        if places.len() >= usize::from(u16::MAX) {
            return Self::default();
        }
        places.push(place);
        Self(places.len() as u16)
    }

    /// The place, if it is known.
    pub(crate) fn place(self) -> Option<&'static Location<'static>> {
        let at = usize::from(self.0).checked_sub(1)?;
        PLACES.lock().get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_known_once() {
        let here = || Made::here();
        let made = [here(), here(), Made::here(), here()];
        assert_eq!([made[0].0, made[3].0], [made[1].0; 2], "the same place");
        assert_ne!(made[0].0, made[2].0);
        let lines = made.map(|made| made.place().map(Location::line));
        assert!(lines[0] < lines[2] && lines[0].is_some(), "{lines:?}");
        assert!(Made::default().place().is_none());
    }
}
