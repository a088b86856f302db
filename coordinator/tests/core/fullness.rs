//! A channel that holds too many bytes is full, whatever its capacity.

use coordinator::Limits;

use super::limits::{assert_open, of_bytes};
use super::*;

/// A node that sends whenever it may: under credits, or asks and waits for the answer.
struct Producer {
    channel: ChannelId,
    credits: u32,
    asked: u64,
    waits: bool,
    sent: usize,
}

impl Producer {
    fn hear(&mut self, bench: &mut Bench) {
        for frame in bench.sent(CLIENT) {
            match frame {
                Frame::Credit { credits, .. } => self.credits += credits,
                Frame::Sent { operation } if operation.0 == self.asked => self.waits = false,
                Frame::Again { operation, .. } if operation.0 == self.asked => {
                    self.waits = false;
                    self.sent -= 1;
                }
                _ => {}
            }
        }
    }

    /// Sends until it has to wait, or has sent so many.
    fn send(&mut self, bench: &mut Bench, bytes: usize, most: usize) {
        let channel = self.channel;
        self.hear(bench);
        for _ in 0..most {
            if self.waits {
                return;
            }
            self.sent += 1;
            if self.credits > 0 {
                self.credits -= 1;
                let parcels = of_bytes(bytes).into();
                bench.frame(CLIENT, Frame::Prepaid { channel, parcels });
            } else {
                self.asked += 1;
                self.waits = true;
                let (operation, parcel) = (OperationId(self.asked), of_bytes(bytes));
                bench.frame(CLIENT, Frame::Send { channel, operation, parcel });
            }
            self.hear(bench);
        }
    }
}

/// A channel of very many places does not fill the memory: its sender waits for the receiver.
#[test]
fn a_channel_that_holds_too_many_bytes_is_full() {
    const VALUE: usize = 1 << 20;
    let limits = Limits { channel_bytes_max: 16 * VALUE, ..Limits::default() };
    let policy = Policy { threads: 2, placement: None, ..Policy::default() };
    let mut bench = Bench::with(Settings { policy, limits, ..Settings::default() });
    let channel = bench.channel(1_000_000);
    let mut producer = Producer { channel, credits: 0, asked: 0, waits: false, sent: 0 };
    producer.send(&mut bench, VALUE, 1000);
    assert!(producer.waits, "it sent {} values", producer.sent);
    assert!((16..=21).contains(&producer.sent), "{} values", producer.sent);
    bench.frame(CLIENT, Frame::TrySend { channel, operation: OperationId(900), parcel: value(1) });
    let full = Frame::Full { operation: OperationId(900) };
    assert_eq!(bench.sent(CLIENT), [full], "and a send that does not wait finds no room");

    let mut received = 0;
    for operation in 1000..1100 {
        bench.receive(CLIENT, channel, operation);
        bench.accept(CLIENT, channel, operation);
        received += 1;
        producer.send(&mut bench, VALUE, 1000);
        let held = producer.sent - received;
        assert!(held <= 21, "{held} values are held");
        assert_eq!(producer.waits, held >= 16, "with {held} values of it");
    }
    assert_open(&mut bench);
}

/// One value larger than that goes into a channel that is empty.
#[test]
fn a_large_value_alone_has_room() {
    let limits = Limits { channel_bytes_max: 1000, ..Limits::default() };
    let policy = Policy { threads: 2, placement: None, ..Policy::default() };
    let mut bench = Bench::with(Settings { policy, limits, ..Settings::default() });
    let channel = bench.channel(2);
    for operation in [1, 2] {
        let parcel = of_bytes(5000);
        let operation = OperationId(operation);
        bench.frame(CLIENT, Frame::TrySend { channel, operation, parcel });
    }
    let full = Frame::Full { operation: OperationId(2) };
    assert_eq!(bench.sent(CLIENT), [sent(1), full]);
    bench.receive(CLIENT, channel, 3);
    bench.accept(CLIENT, channel, 3);
    bench.take();
    bench.frame(CLIENT, Frame::TrySend { channel, operation: OperationId(4), parcel: value(1) });
    assert_eq!(bench.sent(CLIENT), [sent(4)]);
}
