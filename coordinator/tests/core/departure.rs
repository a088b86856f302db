//! Workers that leave of their own will.

use super::*;

fn draining() -> Frame {
    Frame::Draining { reason: "its time is over".to_owned() }
}

fn run(frames: &[Frame]) -> (u32, Parcel) {
    match frames {
        [Frame::Run { attempt, arguments, .. }]
        | [Frame::Seats { .. }, Frame::Run { attempt, arguments, .. }] => {
            (*attempt, arguments.clone())
        }
        other => panic!("{other:?}"),
    }
}

/// The worker gets no more, may end what it has, and another comes in its place.
#[test]
fn a_worker_that_drains_is_replaced_and_comes_to_its_end() {
    let (mut bench, worker, _, task) = with_worker(0, 0);
    bench.frame(worker, draining());
    assert_eq!(bench.sent(worker), [Frame::Shutdown {}]);
    bench.spawn(0, Vec::new());
    assert_eq!(bench.take(), [Command::Launch { launch: 2 }], "beside the one that leaves");
    let second = bench.worker(2);
    assert_eq!(run(&bench.sent(second)).0, 1);
    let finished = Frame::Finished { task, attempt: 1, outcome: value(1), usage: Usage::default() };
    bench.frame(worker, finished);
    bench.frame(worker, Frame::Goodbye {});
    let commands = bench.take();
    assert!(commands.contains(&Command::Stop { launch: 1 }), "{commands:?}");
    let reason = "goodbye".to_owned();
    assert!(commands.contains(&Command::Close { session: worker, reason }), "{commands:?}");
}

/// A task that was not begun runs elsewhere, for the first time, whether or not it may be retried;
/// and the channels in its arguments stay open on the way.
#[test]
fn a_task_that_was_not_begun_goes_elsewhere_with_its_handles() {
    for retries in [0, 1] {
        let mut bench = Bench::new(1);
        let channel = bench.channel(0);
        let (task, _) = bench.spawn(retries, passages(channel));
        let worker = bench.worker(1);
        let (_, arguments) = run(&bench.sent(worker));
        bench.detach(CLIENT, channel);
        bench.frame(worker, draining());
        let unstarted = Frame::Unstarted { task, attempt: 1, arguments: arguments.clone() };
        bench.frame(worker, unstarted);
        bench.detach(worker, channel);
        bench.take();
        bench.frame(worker, Frame::Goodbye {});
        let commands = bench.take();
        assert!(!commands.iter().any(|it| matches!(it, Command::Send { .. })), "{commands:?}");
        let second = bench.worker(2);
        assert_eq!(run(&bench.sent(second)), (1, arguments), "the attempt is the first");
        bench.receive(second, channel, 1);
        bench.send(second, channel, 2, value(7));
        assert!(bench.sent(second).contains(&offer(channel, 1, 7)), "it is open");
        let outcome =
            Frame::Finished { task, attempt: 1, outcome: value(1), usage: Usage::default() };
        bench.detach(second, channel);
        bench.frame(second, outcome);
        assert_eq!(bench.core.channels(), 1, "that of the outcome");
    }
}

/// One that was aborted meanwhile ends; one that is another's is none of its affair.
#[test]
fn what_is_not_wanted_back_is_dropped() {
    let (mut bench, worker, channel, task) = with_worker(0, 0);
    let result = ChannelId(task.0);
    bench.receive(CLIENT, result, 1);
    bench.frame(CLIENT, Frame::Abort { task });
    bench.take();
    let unstarted = |attempt| {
        let arguments = Parcel { passages: passages(channel), ..Parcel::default() };
        Frame::Unstarted { task, attempt, arguments }
    };
    bench.frame(worker, unstarted(9));
    assert_eq!(bench.sent(CLIENT), [], "there was no such attempt");
    bench.frame(worker, unstarted(1));
    assert!(matches!(bench.sent(CLIENT)[..], [Frame::Offer { .. }]), "its outcome: cancelled");
    bench.frame(worker, unstarted(1));
    assert_eq!(bench.take(), []);
    bench.detach(CLIENT, channel);
    bench.detach(worker, channel);
    bench.accept(CLIENT, result, 1);
    bench.frame(CLIENT, Frame::Detach { channel: result, side: Side::Receive, arrivals: 0 });
    assert!(bench.core.channels() <= 1);
    // Handles that it does not have cannot come back with anything.
    bench.frame(worker, unstarted(1));
    assert!(bench.take().iter().any(|it| matches!(it, Command::Close { .. })));
}

/// Tasks under way at the goodbye were cut off: they are lost, and so is what they had open.
#[test]
fn a_goodbye_with_tasks_under_way_is_a_loss() {
    let (mut bench, worker, channel, _) = with_worker(1, 0);
    bench.frame(CLIENT, Frame::Detach { channel, side: Side::Send, arrivals: 1 });
    bench.receive(CLIENT, channel, 1);
    bench.frame(worker, draining());
    bench.take();
    bench.frame(worker, Frame::Goodbye {});
    let ended = bench.sent(CLIENT);
    let why = "its time is over";
    let is_lost = matches!(&ended[..], [Frame::Ended { end: End::Lost(cause), .. }]
        if cause.contains(why));
    assert!(is_lost, "{ended:?}");
}

/// The attempts of a task whose workers all go after the same time.
fn cut_off(retries: u32, ran_ms: u64, life_ms: u64) -> (u32, String) {
    let mut bench = Bench::new(1);
    let (task, result) = bench.spawn(retries, Vec::new());
    bench.receive(CLIENT, result, 1);
    for attempt in 1..=20 {
        let worker = bench.worker(u64::from(attempt));
        assert_eq!(run(&bench.sent(worker)).0, attempt);
        bench.frame(worker, draining());
        bench.take();
        bench.frame(worker, Frame::CutOff { task, attempt, ran_ms, life_ms });
        bench.frame(worker, Frame::Goodbye {});
        let commands = bench.commands.iter();
        let mut frames = commands.filter_map(|command| match command {
            Command::Send { session: CLIENT, frame: Frame::Offer { parcel, .. } } => Some(parcel),
            _ => None,
        });
        if let Some(parcel) = frames.next() {
            return (attempt, String::from_utf8_lossy(&parcel.payload).into_owned());
        }
    }
    panic!("it runs on and on");
}

/// What came late costs no retry, though not for ever; what had all the time would never end.
#[test]
fn a_task_that_is_cut_off_is_judged_by_the_time_it_had() {
    let (attempts, said) = cut_off(5, 960, 1000);
    assert!(attempts == 1 && said.contains("make the task smaller"), "{attempts}: {said}");
    assert!(said.contains("960ms of the 1s"), "{said}");
    assert_eq!(cut_off(2, 500, 1000).0, 3 + 3, "three are spared, and three are counted");
    assert_eq!(cut_off(1, 960, 0).0, 3 + 2, "it was not the worker's time");
    let (attempts, said) = cut_off(0, 1, 1000);
    assert!(attempts == 1 && said.contains("its time is over"), "it may not run twice: {said}");
}

/// With a policy at the wheel the same: none of its tasks comes back to the worker that leaves.
#[test]
fn a_policy_takes_a_worker_that_drains_for_gone() {
    for name in coordinator::placement::choice::Policy::ALL {
        let mut bench = policies::bench(name, 2);
        let (first, _) = bench.spawn(0, Vec::new());
        let worker = bench.worker(1);
        assert_eq!(run(&bench.sent(worker)).0, 1);
        bench.frame(worker, draining());
        let arguments = Parcel::default();
        bench.frame(worker, Frame::Unstarted { task: first, attempt: 1, arguments });
        let commands = bench.take();
        let again = |command: &Command| {
            matches!(command, Command::Send { session, frame: Frame::Run { .. } }
                if *session == worker)
        };
        assert!(!commands.iter().any(again), "{name}: {commands:?}");
        bench.frame(worker, Frame::Goodbye {});
        bench.now += Duration::from_secs(5);
        bench.event(Event::Tick);
        let second = bench.worker(2);
        assert_eq!(run(&bench.sent(second)).0, 1, "{name}");
        let outcome = value(1);
        bench.frame(
            second,
            Frame::Finished { task: first, attempt: 1, outcome, usage: Usage::default() },
        );
        assert_eq!(bench.core.totals().ended, 1, "{name}");
    }
}

/// What a worker that drains still does goes by its old name, and is not the next one's.
#[test]
fn a_worker_in_its_place_does_not_inherit_its_tasks() {
    for name in coordinator::placement::choice::Policy::ALL {
        let mut bench = policies::bench(name, 2);
        let (first, _) = bench.spawn(0, Vec::new());
        let worker = bench.worker(1);
        bench.take();
        bench.frame(worker, draining());
        bench.spawn(0, Vec::new());
        bench.now += Duration::from_secs(6);
        for session in [CLIENT, worker] {
            bench.frame(session, Frame::Heartbeat {});
        }
        bench.event(Event::Tick);
        let second = bench.worker(2);
        assert_eq!(run(&bench.sent(second)).0, 1, "{name}");
        let finish =
            |task, outcome| Frame::Finished { task, attempt: 1, outcome, usage: Usage::default() };
        bench.frame(worker, finish(first, value(1)));
        policies::wait(&mut bench, 30, &[worker, second]);
        let frames = bench.sent(second);
        assert!(!frames.contains(&Frame::Shutdown {}), "{name}: it has a task: {frames:?}");
        bench.frame(worker, Frame::Goodbye {});
        assert_eq!(bench.core.totals().ended, 1, "{name}");
    }
}

#[test]
fn a_client_does_not_drain() {
    let mut bench = Bench::new(1);
    bench.frame(CLIENT, draining());
    assert!(bench.take().iter().any(|it| matches!(it, Command::Close { .. })));
}
