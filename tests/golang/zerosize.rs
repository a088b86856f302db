//! `test/chan/zerosize.go`: channels of a type without size can be made, as a rendezvous and with a
//! buffer (C01, C03). Go's program makes them; this one uses them as well.

use crate::go::{go, program};
use runtime::{Message, Sender, channel, task};

#[task]
async fn send_unit(units: Sender<()>) {
    units.send(()).await.unwrap();
}

#[task]
async fn send_nothing(nothings: Sender<[u8; 0]>) {
    nothings.send([]).await.unwrap();
}

async fn passes<T: Message + PartialEq + std::fmt::Debug>(
    start: impl Fn(Sender<T>),
    expected: impl Fn() -> T,
) {
    assert_eq!(size_of::<T>(), 0);
    for capacity in [0, 1] {
        let (sender, receiver) = channel(capacity);
        start(sender);
        assert_eq!(receiver.recv().await, Ok(expected()), "capacity {capacity}");
        assert!(receiver.recv().await.is_err(), "there was one");
    }
}

#[test]
fn a_message_may_have_no_size() {
    program(async {
        passes(|units| go(send_unit(units)), || ()).await;
        passes(|nothings| go(send_nothing(nothings)), || []).await;
    });
}
