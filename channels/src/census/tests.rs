//! Who is asleep, and who is not.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Context;

use super::*;
use crate::channel;

/// Rounds are of the whole process, and these tests are in one.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn poll(agent: &Counted, future: Pin<&mut impl Future>) -> bool {
    agent
        .poll_inside(Waker::noop(), |waker| future.poll(&mut Context::from_waker(waker)))
        .is_ready()
}

#[test]
fn an_agent_sleeps_from_its_answer_until_it_is_woken_or_polled() {
    let _one = ONE_AT_A_TIME.lock();
    let agent = Counted::new(Who::Main);
    let (sender, receiver) = channel::<u8>(1);
    let mut receive = pin!(receiver.recv());
    poll(&agent, receive.as_mut());
    let round = begin();
    assert!(agent.0.sleeps(round).is_none(), "it has not answered yet");
    poll(&agent, receive.as_mut());
    assert!(agent.0.sleeps(round).is_some());
    assert!(agent.0.sleeps(round + 1).is_none());
    poll(&agent, receive.as_mut());
    assert!(agent.0.sleeps(round).is_none(), "it was polled again");
    let round = begin();
    poll(&agent, receive.as_mut());
    assert!(agent.0.sleeps(round).is_some());
    sender.try_send_blocking(7).unwrap();
    assert!(agent.0.sleeps(round).is_none(), "it was woken");
    assert!(poll(&agent, receive.as_mut()));
}

#[test]
fn a_waker_held_by_anything_else_is_no_sleep() {
    let _one = ONE_AT_A_TIME.lock();
    let agent = Counted::new(Who::Main);
    let (_sender, receiver) = channel::<u8>(1);
    let kept = std::cell::RefCell::new(None);
    let mut receive = receiver.recv();
    let mut mixed = pin!(std::future::poll_fn(|context| {
        *kept.borrow_mut() = Some(context.waker().clone());
        Pin::new(&mut receive).poll(context)
    }));
    poll(&agent, mixed.as_mut());
    let round = begin();
    poll(&agent, mixed.as_mut());
    assert!(agent.0.sleeps(round).is_none());
}

#[test]
fn a_thread_speaks_for_the_task_that_it_is_in() {
    let _one = ONE_AT_A_TIME.lock();
    let (sender, receiver) = channel::<u8>(0);
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        set_role(Role::Pool);
        let agent = Counted::new(Who::Task("blocks", TaskId(1)));
        tell.send(agent.0.number).unwrap();
        poll(&agent, pin!(async { receiver.recv_blocking() }))
    });
    let task = told.recv().unwrap();
    let mut round = begin();
    let mut looks = 0;
    let (asleep, lines) = loop {
        std::thread::yield_now();
        looks += 1;
        // It may have begun to wait only after it was roused.
        if looks % 10_000 == 0 {
            round = begin();
        }
        let found = look(round).filter(|asleep| asleep.known.iter().any(|at| at.0 == task));
        let Some(asleep) = found else { continue };
        if let Some(lines) = describe(&asleep, 100) {
            break (asleep, lines);
        }
    };
    assert!(asleep.pool >= 1 && asleep.occupied >= 1, "{asleep:?}");
    let own = lines.iter().find(|line| line.contains("blocks")).expect("it is described");
    assert!(own.contains("receive from channel") && own.contains("tests.rs"), "{own}");
    sender.send_blocking(1).unwrap();
    assert!(thread.join().unwrap());
}
