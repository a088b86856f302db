//! Large values: they take turns with all else, come through broken links, and go with whoever
//! dies while they are on their way.

use std::time::Duration;

use channels::id::{ChannelId, OperationId};
use channels::wire::{CHUNK_BYTES_MAX, Frame, MESSAGE_BYTES_MAX, Parcel};
use runtime::{Receiver, RecvError, SendError, Sender, TrySendError, channel, spawn, task};
use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::{run, with_processes};
use crate::proxy::Weather;
use crate::resume::Peer;
use crate::site::Site;

const MEBIBYTE: usize = 1 << 20;

/// A text that is nowhere like its beginning.
fn text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 20);
    while text.len() < bytes.min(99_991) {
        text.push_str(&text.len().to_string());
    }
    while text.len() < bytes {
        text.extend_from_within(..text.len().min(bytes - text.len()));
    }
    text.truncate(bytes);
    text
}

#[task]
async fn echo(here: Receiver<String>, back: Sender<String>) {
    while let Ok(text) = here.recv().await {
        back.send(text).await.unwrap();
    }
}

#[task]
async fn count_up(here: Receiver<u64>, back: Sender<u64>) {
    while let Ok(number) = here.recv().await {
        if back.send(number + 1).await.is_err() {
            break;
        }
    }
}

/// The largest that there may be goes and comes back; one byte more comes back as an error.
#[test]
fn the_largest_value_travels_and_a_larger_one_comes_back() {
    with_processes(1, async {
        let (there, here) = channel(1);
        let (back_in, back) = channel(1);
        let echoing = spawn(echo(here, back_in));
        // The length of a text that long takes five bytes.
        let largest = text(MESSAGE_BYTES_MAX - 5);
        there.send(largest.clone()).await.unwrap();
        assert!(back.recv().await.unwrap() == largest);
        let too_large = largest + "!";
        let expected = format!(
            "the value cannot be sent: the value takes {} bytes; a message holds at most {}",
            MESSAGE_BYTES_MAX + 1,
            MESSAGE_BYTES_MAX
        );
        let error = there.send(too_large).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        let SendError::Unsendable(value, _) = error else { panic!("{error}") };
        let error = there.try_send(value).await.unwrap_err();
        assert!(matches!(error, TrySendError::Unsendable(..)) && error.to_string() == expected);
        assert_eq!(error.into_inner().len(), MESSAGE_BYTES_MAX - 4, "the value comes back");
        there.send("it goes on".to_owned()).await.unwrap();
        assert_eq!(back.recv().await.unwrap(), "it goes on");
        drop(there);
        echoing.await.unwrap();
    });
}

#[task]
async fn double(text: String) -> String {
    text.clone() + &text
}

/// Arguments and outcomes are values too.
#[test]
fn arguments_and_outcomes_may_be_large() {
    with_processes(1, async {
        for bytes in [CHUNK_BYTES_MAX + 1, MEBIBYTE, 9 * MEBIBYTE] {
            let argument = text(bytes);
            assert!(spawn(double(argument.clone())).await.unwrap() == argument.clone() + &argument);
        }
    });
}

/// While a value of 100 MiB is on its way there and back, others play ping-pong.
#[test]
fn others_go_on_beside_a_large_value() {
    with_processes(1, async {
        let (there, here) = channel(0);
        let (back_in, back) = channel(0);
        let echoing = spawn(echo(here, back_in));
        let (ping, ping_out) = channel(0);
        let (pong_in, pong) = channel(0);
        let counting = spawn(count_up(ping_out, pong_in));
        ping.send(0).await.unwrap();
        assert_eq!(pong.recv().await, Ok(1));
        let large = text(100 * MEBIBYTE);
        let mut travel = Box::pin(async {
            there.send(large.clone()).await.unwrap();
            assert!(back.recv().await.unwrap() == large);
        });
        let mut trips = 0;
        loop {
            let trip = async {
                ping.send(trips).await.unwrap();
                assert_eq!(pong.recv().await, Ok(trips + 1));
            };
            tokio::select! {
                biased;
                () = &mut travel => break,
                () = trip => trips += 1,
            }
        }
        drop(travel);
        // In one piece each way, it would let one pass, or two.
        assert!(trips > 10, "only {trips} round trips went beside it");
        drop((there, ping, pong));
        echoing.await.unwrap();
        counting.await.unwrap();
    });
}

#[task]
async fn produce(texts: Sender<String>, ready: Sender<u32>, sizes: Vec<usize>) {
    ready.send(std::process::id()).await.unwrap();
    for bytes in sizes {
        texts.send(text(bytes)).await.unwrap();
    }
}

/// D2, D6: whatever part of a value a link takes along when it breaks, the rest comes on the next.
#[test]
fn large_values_come_through_links_that_break() {
    let sizes = [10, 50_000, 3 * MEBIBYTE, 1, CHUNK_BYTES_MAX, 70_000, 2 * MEBIBYTE, 5];
    for capacity in [0, 4] {
        let site = Site::start(1, Duration::from_secs(20));
        run(site.far_client(), async {
            let (texts_in, texts) = channel(capacity);
            let (ready_in, ready) = channel(0);
            let producing = spawn(produce(texts_in, ready_in, sizes.to_vec()));
            ready.recv().await.unwrap();
            site.set(Weather::CutWithin(3_000_000));
            for bytes in sizes {
                assert!(texts.recv().await.unwrap() == text(bytes), "{bytes} bytes");
            }
            assert_eq!(texts.recv().await, Err(RecvError::Closed));
            site.set(Weather::Clear);
            producing.await.unwrap();
        });
        let links = site.network.links() + site.client_network.links();
        assert!(links > 5, "only {links} links were made");
    }
}

/// D4: of a value whose sender dies in the midst of it nothing is seen.
#[test]
fn a_value_whose_sender_dies_half_way_is_none() {
    let site = Site::start(1, Duration::from_secs(20));
    run(site.client(), async {
        let (texts_in, texts) = channel(0);
        let (ready_in, ready) = channel(0);
        let sizes = vec![100_000, 64 * MEBIBYTE];
        let producing = spawn(produce(texts_in, ready_in, sizes));
        let process = ready.recv().await.unwrap();
        assert!(texts.recv().await.unwrap() == text(100_000));
        site.network.set(Weather::Slow(2_000_000));
        kill_process(Pid::from_raw(process as i32).unwrap(), Signal::KILL).unwrap();
        assert!(matches!(texts.recv().await, Err(RecvError::Lost(_))));
        assert!(producing.await.is_err());
    });
}

/// A send that is given up in the midst of its value has not happened, and holds nothing up.
#[test]
fn a_send_given_up_half_way_holds_nothing_up() {
    with_processes(1, async {
        let (there, here) = channel(0);
        let (back_in, back) = channel(0);
        let echoing = spawn(echo(here, back_in));
        there.send("first".to_owned()).await.unwrap();
        assert_eq!(back.recv().await.unwrap(), "first");
        for round in 0..5 {
            let mut sending = Box::pin(there.send(text(20 * MEBIBYTE)));
            assert!(futures::poll!(sending.as_mut()).is_pending());
            if round > 0 {
                tokio::task::yield_now().await;
            }
            drop(sending);
        }
        there.send("last".to_owned()).await.unwrap();
        let mut came = back.recv().await.unwrap();
        while came.len() == 20 * MEBIBYTE {
            came = back.recv().await.unwrap();
        }
        assert_eq!(came, "last");
        drop(there);
        echoing.await.unwrap();
    });
}

/// Whoever sends pieces that do not fit is told why, and is gone.
#[tokio::test]
async fn pieces_that_do_not_fit_end_the_session() {
    let parcel = Parcel::default();
    let (channel, operation) = (ChannelId(1), OperationId(1));
    let frame = Box::new(Frame::Send { channel, operation, parcel });
    let piece = |stream, left| {
        let bytes = vec![0; CHUNK_BYTES_MAX].into();
        Frame::Chunk { stream, left, bytes }
    };
    for (frames, expected) in [
        (vec![piece(2, 9), piece(1, 9)], "a piece of value 1 came after the value had ended"),
        (vec![piece(1, 9), Frame::Whole { stream: 1, frame }], "and 9 bytes are missing"),
        (vec![piece(1, 1 << 30)], "bytes; at most 134217728 are allowed"),
    ] {
        let reason = Peer::turned_for(frames).await;
        assert!(reason.contains("broke the protocol") && reason.contains(expected), "{reason}");
    }
}
