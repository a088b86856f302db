//! The channel part of `test/range.go`: `for v := range c` is a loop over what comes until the
//! channel is closed and empty (C23, C45). Here that is `while let Ok(…) = recv()`, or the
//! [`Stream`](futures::Stream) that a receiver is; the expression is evaluated once.

use futures::StreamExt;

use crate::go::{go, program};
use runtime::{Receiver, Sender, channel, task};

const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz";

#[task]
async fn count(from: char, to: char, letters: Sender<char>) {
    for letter in from..=to {
        letters.send(letter).await.unwrap();
    }
    letters.close().await.unwrap();
}

fn letters(capacity: usize) -> Receiver<char> {
    let (sender, receiver) = channel(capacity);
    go(count('a', 'z', sender));
    receiver
}

#[test]
fn a_loop_takes_what_comes_until_the_close() {
    program(async {
        for capacity in [0, 1, 30] {
            let mut text = String::new();
            let receiver = letters(capacity);
            while let Ok(letter) = receiver.recv().await {
                text.push(letter);
            }
            assert_eq!(text, ALPHABET);
        }
    });
}

#[test]
fn a_receiver_is_a_stream() {
    program(async {
        for capacity in [0, 1, 30] {
            let text: String = letters(capacity).collect().await;
            assert_eq!(text, ALPHABET);

            let mut made = 0;
            let mut counted = 0;
            let mut stream = {
                made += 1;
                letters(capacity)
            };
            while stream.next().await.is_some() {
                counted += 1;
            }
            assert_eq!((made, counted), (1, 26));
            assert_eq!(stream.next().await, None, "its end stays");
        }
    });
}
