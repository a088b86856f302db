//! Time as channels (C59). Each timer is a task of this process's executor that ends when its
//! channel does, so a timer that nobody waits for costs nothing.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use channels::{Receiver, Sender, TrySendError, channel_here};
use futures::future::{Either, select};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::client;

/// No clock is asked for more: a hundred years.
const PERIOD_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Go's `time.After`: a channel that gets the time, once, when so much of it has passed, and is
/// closed then. In a [`select!`](crate::select!) it is a timeout. Precise to about a millisecond.
///
/// Dropping the receiver ends the timer.
///
/// # Panics
///
/// Outside of a runtime.
///
/// ```
/// use std::time::Duration;
/// use runtime::{after, channel, select};
///
/// #[runtime::main]
/// async fn main() {
///     let (_sender, receiver) = channel::<u8>(0);
///     let text = select! {
///         _ = receiver.recv() => "a value",
///         after(Duration::from_millis(5)) => "nothing came",
///     };
///     assert_eq!(text, "nothing came");
/// }
/// ```
#[track_caller]
pub fn after(duration: Duration) -> Receiver<SystemTime> {
    let (sender, receiver) = channel_here(1);
    client::executor().spawn(async move {
        let slept = pin!(sleep(duration));
        if let Either::Left(_) = select(slept, pin!(sender.ended_here())).await {
            tell_time(&sender).await.ok();
        }
    });
    receiver
}

/// Go's `time.Tick`: a channel that gets the time again and again. It holds one tick: if nobody
/// took the last one when the next is due, the next is dropped.
///
/// Dropping the receiver ends the ticker.
///
/// # Panics
///
/// If the period is zero, or outside of a runtime.
///
/// ```
/// use std::time::Duration;
///
/// #[runtime::main]
/// async fn main() {
///     let ticks = runtime::ticker(Duration::from_millis(2));
///     let first = ticks.recv().await.unwrap();
///     assert!(ticks.recv().await.unwrap() > first);
/// }
/// ```
#[track_caller]
pub fn ticker(period: Duration) -> Receiver<SystemTime> {
    assert!(!period.is_zero(), "a ticker's period is more than zero");
    let (sender, receiver) = channel_here(1);
    client::executor().spawn(async move {
        let period = period.min(PERIOD_MAX);
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut ended = pin!(sender.ended_here());
        loop {
            let tick = pin!(ticks.tick());
            if let Either::Right(_) = select(tick, ended.as_mut()).await {
                break;
            }
            match tell_time(&sender).await {
                Ok(()) | Err(TrySendError::Full(_)) => {}
                Err(_) => break,
            }
        }
    });
    receiver
}

#[expect(clippy::disallowed_methods, reason = "the time of day is what a timer tells")]
async fn tell_time(sender: &Sender<SystemTime>) -> Result<(), TrySendError<SystemTime>> {
    sender.try_send(SystemTime::now()).await
}
