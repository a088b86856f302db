//! Connections that have not yet shown who they are.
//!
//! A *guest* stands here from its acceptance until its first word says whose it is, or its time is
//! over. There is room for so many; one more pushes out the one that has stood here for longest.
//! So whoever connects and says nothing keeps nobody out who has something to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Where they stand.
#[derive(Debug)]
pub(crate) struct Porch {
    /// Guests at once.
    guests_max: usize,
    guests: Mutex<Guests>,
}

#[derive(Debug, Default)]
struct Guests {
    /// In the order in which they came.
    there: BTreeMap<u64, oneshot::Sender<()>>,
    next: u64,
}

/// One of them. Dropped, it is none any more.
#[derive(Debug)]
pub(crate) struct Guest {
    porch: Arc<Porch>,
    number: u64,
}

impl Porch {
    pub(crate) fn new(guests_max: usize) -> Arc<Self> {
        Arc::new(Self { guests_max, guests: Mutex::default() })
    }

    /// One comes. It must go when it is told to.
    pub(crate) fn enter(self: &Arc<Self>) -> (Guest, oneshot::Receiver<()>) {
        let (push, pushed) = oneshot::channel();
        let mut guests = self.guests.lock();
        if guests.there.len() >= self.guests_max
            && let Some((_, oldest)) = guests.there.pop_first()
        {
            // It may be about to go by itself.
            oldest.send(()).ok();
        }
        guests.next += 1;
        let number = guests.next;
        guests.there.insert(number, push);
        (Guest { porch: self.clone(), number }, pushed)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.porch.guests.lock().there.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_for_the_youngest() {
        let porch = Porch::new(3);
        let mut guests: Vec<_> = (0..3).map(|_| porch.enter()).collect();
        drop(guests.remove(0));
        guests.push(porch.enter());
        assert!(guests[0].1.try_recv().is_err(), "one had gone before");
        guests.push(porch.enter());
        assert_eq!(guests[0].1.try_recv(), Ok(()));
        assert!(guests[1].1.try_recv().is_err());
        drop(guests);
        assert!(porch.guests.lock().there.is_empty());
    }
}
