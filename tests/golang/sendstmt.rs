//! `test/chan/sendstmt.go`: the channel of a case may come out of another channel, in the middle of
//! the `select` (C07, C33), and the value that is sent may be any expression.

use crate::go::{go, program};
use runtime::{Receiver, Sender, channel, select, task};

#[test]
fn a_channel_comes_out_of_a_channel_in_a_case() {
    program(async {
        let (channels_in, channels) = channel::<Sender<u32>>(1);
        let (numbers_in, numbers) = channel(1);
        channels_in.send(numbers_in).await.unwrap();
        select! {
            sent = channels.recv().await.unwrap().send(2) => sent.unwrap(),
            default => panic!("there is room for one"),
        }
        assert_eq!(numbers.recv().await, Ok(2));
    });
}

#[test]
fn a_value_may_be_any_expression() {
    program(async {
        let (sender, receiver) = channel(1);
        let (left, right) = (false, true);
        sender.send(left || right).await.unwrap();
        assert_eq!(receiver.recv().await, Ok(true));
        select! {
            sent = sender.send(if left { right } else { left || right }) => sent.unwrap(),
        }
        assert_eq!(receiver.recv().await, Ok(true));
    });
}

/// Answers each question on the channel that came with it.
#[task]
async fn answer(questions: Receiver<(u32, Sender<u32>)>) {
    while let Ok((n, reply)) = questions.recv().await {
        reply.send(n * n).await.unwrap();
    }
}

/// Channels in messages between goroutines, which Go's program does not go as far as.
#[test]
fn a_question_brings_the_channel_for_its_answer() {
    program(async {
        let (ask, questions) = channel(0);
        go(answer(questions.clone()));
        go(answer(questions));
        for n in 0..100 {
            let (reply, replies) = channel(0);
            ask.send((n, reply)).await.unwrap();
            assert_eq!(replies.recv().await, Ok(n * n));
        }
    });
}
