//! `test/ken/chan1.go`: one sender, ten receivers and a buffer of two; every number is received by
//! exactly one of them (C04, C14). Go's program ends after the last send; this one closes the
//! channel and looks at what each has received.

use crate::go::{go, program};
use runtime::{Receiver, Sender, channel, select, task};
use tokio::task::yield_now;

const NUMBERS: usize = 1_000;
const RECEIVERS: usize = 10;
const CAPACITY: usize = 2;

#[task]
async fn collect(from: Receiver<usize>, report: Sender<Vec<usize>>) {
    let mut received = Vec::new();
    loop {
        select! {
            n = from.recv() => match n {
                Ok(n) => received.push(n),
                Err(_) => break,
            },
        }
    }
    report.send(received).await.unwrap();
}

#[test]
fn every_number_is_received_once() {
    program(async {
        let (to, from) = channel(CAPACITY);
        let (report, reports) = channel(0);
        for _ in 0..RECEIVERS {
            go(collect(from.clone(), report.clone()));
            yield_now().await;
        }
        for n in 0..NUMBERS {
            to.send(n).await.unwrap();
        }
        to.close().await.unwrap();
        let mut times = vec![0; NUMBERS];
        for _ in 0..RECEIVERS {
            let received = reports.recv().await.unwrap();
            assert!(received.is_sorted(), "a receiver gets one sender's numbers in order");
            for n in received {
                times[n] += 1;
            }
        }
        assert!(times.iter().all(|times| *times == 1), "{times:?}");
    });
}
