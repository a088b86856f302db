//! `test/chan/select8.go`: an arm is code of the function around it (C41). Go's `break` leaves the
//! `select` alone; Rust's leaves the block or the loop that it names, and the others of its kind
//! (`continue`, `return`, `?`) mean what they mean everywhere. With one, two and three cases, for
//! these may go different ways.

use crate::go::{go, program};
use runtime::{Receiver, RecvError, Sender, channel, select, task};

#[task]
async fn send_fives(to: Sender<u32>) {
    while to.send(5).await.is_ok() {}
}

fn fives() -> Receiver<u32> {
    let (to, from) = channel(0);
    go(send_fives(to));
    from
}

#[test]
fn break_leaves_the_block_around_the_select() {
    program(async {
        let from = fives();
        let (to_nobody, _nobody) = channel(0);
        let yes = true; // a condition, so that what comes after it can be reached
        'one_case: {
            select! {
                from.recv() => if yes { break 'one_case },
            }
            panic!("after break");
        }
        'only_default: {
            select! {
                default => if yes { break 'only_default },
            }
            panic!("after break");
        }
        'two_cases: {
            select! {
                from.recv() => if yes { break 'two_cases },
                default => if yes { break 'two_cases },
            }
            panic!("after break");
        }
        'three_cases: {
            select! {
                from.recv() => if yes { break 'three_cases },
                to_nobody.send(10) => panic!("nobody receives this"),
                default => if yes { break 'three_cases },
            }
            panic!("after break");
        }
    });
}

#[test]
fn break_and_continue_mean_the_loop_around_the_select() {
    program(async {
        let from = fives();
        let (_silent_in, silent) = channel::<u32>(0);
        let mut received = Vec::new();
        loop {
            select! {
                n = from.recv() => {
                    received.push(n.unwrap());
                    if received.len() < 3 {
                        continue;
                    }
                    break;
                }
                silent.recv() => panic!("nobody sends here"),
            }
        }
        assert_eq!(received, [5, 5, 5]);

        let mut sum = 0;
        let last = loop {
            select! {
                n = from.recv() => if sum < 20 { sum += n.unwrap() } else { break sum },
            }
        };
        assert_eq!(last, 20, "a loop has the value that an arm breaks with");

        let mut turns = 0;
        'outer: while turns < 5 {
            for _ in 0..10 {
                turns += 1;
                select! {
                    n = from.recv() => if n == Ok(5) { continue 'outer },
                    silent.recv() => break 'outer,
                }
            }
        }
        assert_eq!(turns, 5);
    });
}

/// The first number or, if `from` is closed, the error.
async fn first(from: &Receiver<u32>, silent: &Receiver<u32>) -> Result<u32, RecvError> {
    select! {
        n = from.recv() => {
            let n = n?;
            if n == 5 {
                return Ok(n);
            }
        }
        silent.recv() => {}
    }
    panic!("the arm did not return");
}

#[test]
fn return_and_the_question_mark_leave_the_function() {
    program(async {
        let (_silent_in, silent) = channel::<u32>(0);
        assert_eq!(first(&fives(), &silent).await, Ok(5));
        let (to, from) = channel(0);
        drop(to);
        assert_eq!(first(&from, &silent).await, Err(RecvError::Closed));
    });
}

#[test]
fn a_select_has_the_value_of_its_arm() {
    program(async {
        let from = fives();
        let text = select! {
            n = from.recv() => format!("received {}", n.unwrap()),
        };
        assert_eq!(text, "received 5");
        let (_silent_in, silent) = channel::<u32>(0);
        let text = select! {
            default => "nothing was ready",
            _ = silent.recv() => "received",
        };
        assert_eq!(text, "nothing was ready");
    });
}
