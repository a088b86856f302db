//! The pure coordinator, driven by hand: frames in, frames out, no socket and no clock.

mod bill;
mod children;
mod crowds;
mod departure;
mod flow;
mod handles;
mod landing;
mod large;
mod launches;
mod leases;
mod limits;
mod nonsense;
mod peers;
mod policies;
mod proposals;
mod selects;
mod sessions;
mod tasks;
mod wandering;

use std::time::Duration;

use channels::id::{ChannelId, OperationId, SessionId, TaskId};
use channels::wire::{Build, End, Frame, PROTOCOL_VERSION, Parcel, Passage};
use channels::wire::{Role, Side, SpawnOptions, Usage};
use coordinator::{Command, Coordinator, Event, Settings, scheduler::Policy};

const CLIENT: SessionId = SessionId(1);

/// With a client, and what it has commanded since somebody last looked.
struct Bench {
    core: Coordinator,
    now: Duration,
    commands: Vec<Command>,
    next: u128,
}

impl Bench {
    fn new(workers_max: usize) -> Self {
        let policy = Policy { workers_max, threads: 2, placement: None, ..Policy::default() };
        Self::with(Settings { policy, ..Settings::default() })
    }

    fn with(settings: Settings) -> Self {
        let place = settings.policy.place;
        let core = Coordinator::new(settings);
        let mut bench = Self { core, now: Duration::ZERO, commands: Vec::new(), next: 0 };
        bench.connect(CLIENT, Role::Client { workers_max: 0, place });
        bench.commands.clear();
        bench
    }

    fn event(&mut self, event: Event) {
        self.core.handle(self.now, event, &mut self.commands);
    }

    fn connect(&mut self, session: SessionId, role: Role) {
        let build = Build { release: "1".to_owned(), tasks: 1, hash: 7 };
        self.event(Event::Connected { session, version: PROTOCOL_VERSION, build, role });
    }

    /// A worker that answers a launch.
    fn worker(&mut self, number: u64) -> SessionId {
        let session = SessionId(100 + number);
        let process = number as u32;
        self.connect(
            session,
            Role::Worker { launch: number, threads: 2, memory_bytes: 1 << 30, process },
        );
        session
    }

    fn frame(&mut self, session: SessionId, frame: Frame) {
        self.event(Event::Received { session, frame });
    }

    fn die(&mut self, session: SessionId) {
        self.event(Event::Lost { session, cause: "killed".to_owned() });
    }

    fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// The frames that a session was sent since somebody last looked, and nothing else of it.
    fn sent(&mut self, to: SessionId) -> Vec<Frame> {
        self.take()
            .into_iter()
            .filter_map(|command| match command {
                Command::Send { session, frame } if session == to => Some(frame),
                _ => None,
            })
            .collect()
    }

    /// A channel that the client has exported, with both of its ends.
    fn channel(&mut self, capacity: u32) -> ChannelId {
        self.next += 1;
        let channel = ChannelId(self.next);
        self.frame(CLIENT, Frame::Export { channel, capacity, senders: 1, receivers: 1 });
        channel
    }

    /// A send of a node that gives back whatever credits it gets.
    fn send(&mut self, session: SessionId, channel: ChannelId, operation: u64, parcel: Parcel) {
        let operation = OperationId(operation);
        let from = self.commands.len();
        self.frame(session, Frame::Send { channel, operation, parcel });
        self.repay(from);
    }

    /// Gives back all credits that were granted by commands from one on.
    fn repay(&mut self, from: usize) {
        let mut repaid = Vec::new();
        let mut at = 0;
        self.commands.retain(|command| {
            at += 1;
            match command {
                Command::Send { session, frame: Frame::Credit { channel, credits, .. } }
                    if at > from =>
                {
                    repaid.push((*session, *channel, *credits));
                    false
                }
                _ => true,
            }
        });
        for (session, channel, credits) in repaid {
            let detaches = u64::MAX;
            self.frame(session, Frame::Repay { channel, credits, detaches });
        }
    }

    fn receive(&mut self, session: SessionId, channel: ChannelId, operation: u64) {
        self.frame(
            session,
            Frame::Receive { channel, operation: OperationId(operation), select: 0 },
        );
    }

    fn accept(&mut self, session: SessionId, channel: ChannelId, operation: u64) {
        self.frame(session, Frame::Accept { channel, operation: OperationId(operation) });
    }

    /// A session gives both ends of a channel back.
    fn detach(&mut self, session: SessionId, channel: ChannelId) {
        for side in [Side::Send, Side::Receive] {
            self.frame(session, Frame::Detach { channel, side, arrivals: 1 });
        }
    }

    fn spawn(&mut self, retries: u32, passages: Vec<Passage>) -> (TaskId, ChannelId) {
        self.next += 2;
        let (task, result) = (TaskId(self.next), ChannelId(self.next));
        let options = SpawnOptions { retries, ..SpawnOptions::default() };
        let arguments = Parcel { passages, ..Parcel::default() };
        let name = "task".to_owned();
        let spawn = Frame::Spawn { task, name, signature: 7, options, result, arguments };
        self.frame(CLIENT, spawn);
        (task, result)
    }
}

fn value(byte: u8) -> Parcel {
    Parcel { codec: 1, payload: vec![byte].into(), passages: Vec::new() }
}

fn carrying(channel: ChannelId, side: Side) -> Parcel {
    let passages = vec![Passage { channel, side, capacity: 1 }];
    Parcel { codec: 1, payload: vec![0].into(), passages }
}

fn passages(channel: ChannelId) -> Vec<Passage> {
    [Side::Send, Side::Receive].map(|side| Passage { channel, side, capacity: 1 }).to_vec()
}

fn offer(channel: ChannelId, operation: u64, byte: u8) -> Frame {
    leases::offer_again(channel, operation, byte, 1)
}

fn sent(operation: u64) -> Frame {
    Frame::Sent { operation: OperationId(operation) }
}

/// A worker that has both ends of a channel, by a task that was given them.
fn with_worker(capacity: u32, retries: u32) -> (Bench, SessionId, ChannelId, TaskId) {
    let mut bench = Bench::new(1);
    let channel = bench.channel(capacity);
    let (task, _) = bench.spawn(retries, passages(channel));
    assert_eq!(bench.take(), [Command::Launch { launch: 1 }]);
    let worker = bench.worker(1);
    assert!(matches!(bench.sent(worker)[..], [Frame::Run { .. }]));
    (bench, worker, channel, task)
}

#[test]
fn a_value_is_offered_and_its_sender_told_when_it_is_taken() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(0);
    bench.send(CLIENT, channel, 1, value(5));
    assert_eq!(bench.take(), [], "a rendezvous waits");
    bench.receive(CLIENT, channel, 2);
    assert_eq!(bench.sent(CLIENT), [offer(channel, 2, 5)]);
    bench.accept(CLIENT, channel, 2);
    assert_eq!(bench.sent(CLIENT), [sent(1)]);
}

/// D3: what a dead receiver was offered and had not taken goes to the next, in its old place.
#[test]
fn an_offer_to_a_dead_worker_comes_back_in_order() {
    let (mut bench, worker, channel, _) = with_worker(2, 0);
    bench.receive(worker, channel, 1);
    bench.send(CLIENT, channel, 1, value(1));
    bench.send(CLIENT, channel, 2, value(2));
    bench.take();
    bench.die(worker);
    bench.receive(CLIENT, channel, 3);
    bench.receive(CLIENT, channel, 4);
    let offers: Vec<Frame> = bench.sent(CLIENT);
    let again = [leases::offer_again(channel, 3, 1, 2), offer(channel, 4, 2)];
    assert!(offers.ends_with(&again), "{offers:?}");
}

/// D4: a send of a dead worker that had not returned never happened; one that had, did.
#[test]
fn what_a_dead_worker_sent_is_a_prefix() {
    let (mut bench, worker, channel, _) = with_worker(1, 0);
    bench.send(worker, channel, 1, value(1));
    bench.send(worker, channel, 2, value(2));
    assert_eq!(bench.sent(worker), [sent(1)]);
    bench.die(worker);
    bench.take();
    bench.receive(CLIENT, channel, 1);
    assert_eq!(bench.sent(CLIENT), [offer(channel, 1, 1)]);
    bench.accept(CLIENT, channel, 1);
    bench.receive(CLIENT, channel, 2);
    assert_eq!(bench.sent(CLIENT), [], "nothing of it comes after");
}

/// D8: the last send handle dropped is a close; the last one vanished is a loss.
#[test]
fn a_vanished_sender_is_lost_and_a_dropped_one_closed() {
    let (mut bench, worker, channel, _) = with_worker(1, 0);
    bench.frame(CLIENT, Frame::Detach { channel, side: Side::Send, arrivals: 1 });
    bench.send(worker, channel, 1, value(9));
    bench.die(worker);
    bench.take();
    bench.receive(CLIENT, channel, 1);
    assert_eq!(bench.sent(CLIENT), [offer(channel, 1, 9)], "what was sent is received first");
    bench.accept(CLIENT, channel, 1);
    bench.receive(CLIENT, channel, 2);
    let ended = bench.sent(CLIENT);
    assert!(
        matches!(&ended[..], [Frame::Ended { end: End::Lost(why), .. }] if why.contains("killed")),
        "{ended:?}"
    );

    let other = bench.channel(1);
    bench.frame(CLIENT, Frame::Detach { channel: other, side: Side::Send, arrivals: 1 });
    bench.receive(CLIENT, other, 3);
    assert!(matches!(bench.sent(CLIENT)[..], [Frame::Ended { end: End::Closed, .. }]));
}

/// D10: a task that may run again goes back to the pool, and its channels stay open meanwhile.
#[test]
fn a_retried_task_keeps_the_channels_in_its_arguments() {
    let (mut bench, worker, channel, task) = with_worker(0, 1);
    for (side, arrivals) in [(Side::Send, 1), (Side::Receive, 0)] {
        bench.frame(CLIENT, Frame::Detach { channel, side, arrivals });
    }
    bench.receive(CLIENT, channel, 1);
    bench.die(worker);
    let commands = bench.take();
    assert!(commands.contains(&Command::Launch { launch: 2 }), "{commands:?}");
    assert!(!commands.iter().any(|command| matches!(command, Command::Send { .. })));
    let second = bench.worker(2);
    assert!(matches!(bench.sent(second)[0], Frame::Run { attempt: 2, .. }));
    // A late word of the first attempt changes nothing.
    let usage = Usage::default();
    bench.frame(second, Frame::Finished { task, attempt: 1, outcome: value(1), usage });
    assert_eq!(bench.take(), []);
    bench.die(second);
    assert!(matches!(bench.sent(CLIENT)[..], [Frame::Ended { end: End::Lost(_), .. }],));
}

#[test]
fn a_lost_task_has_one_outcome() {
    let (mut bench, worker, _, _) = with_worker(0, 0);
    let (_, result) = bench.spawn(0, Vec::new());
    bench.receive(CLIENT, result, 1);
    bench.take();
    bench.die(worker);
    assert!(bench.take().contains(&Command::Launch { launch: 2 }), "the second task still waits");
    bench.event(Event::LaunchEnded { launch: 2, cause: "no".to_owned() });
    for launch in 3..=4 {
        assert!(bench.take().contains(&Command::Launch { launch }));
        bench.event(Event::LaunchEnded { launch, cause: "no".to_owned() });
    }
    let frames = bench.sent(CLIENT);
    assert!(matches!(frames[..], [Frame::Offer { .. }]), "no worker can be started: {frames:?}");
}

#[test]
fn a_silent_node_is_fenced_and_a_heard_one_is_not() {
    let (mut bench, worker, _, _) = with_worker(0, 0);
    for second in 1..=30 {
        bench.now = Duration::from_secs(second);
        bench.frame(CLIENT, Frame::Heartbeat {});
        bench.event(Event::Tick);
    }
    let commands = bench.take();
    let closed = |command: &&Command| matches!(command, Command::Close { .. });
    let closed: Vec<_> = commands.iter().filter(closed).collect();
    assert!(matches!(&closed[..], [Command::Close { session, .. }] if *session == worker));
    assert!(commands.contains(&Command::Stop { launch: 1 }), "whatever is left of it is ended");
    let heartbeat = Command::Send { session: CLIENT, frame: Frame::Heartbeat {} };
    assert!(commands.contains(&heartbeat), "the client hears that the coordinator is there");
}

/// What a node must not send ends its link, and nobody else's.
#[test]
fn a_node_that_breaks_the_protocol_is_turned_away() {
    let stranger = ChannelId(999);
    let operation = OperationId(1);
    let passages = vec![Passage { channel: stranger, side: Side::Send, capacity: 1 }];
    let smuggled = Parcel { passages, ..value(1) };
    let (task, result) = (TaskId(1), ChannelId(1));
    let bad: Vec<Box<dyn Fn(ChannelId) -> Frame>> = vec![
        Box::new(move |_| Frame::Send { channel: stranger, operation, parcel: value(1) }),
        Box::new(move |_| Frame::Receive { channel: stranger, operation, select: 0 }),
        Box::new(move |_| Frame::Close { channel: stranger, operation }),
        Box::new(move |channel| Frame::Accept { channel, operation }),
        Box::new(move |channel| Frame::Detach { channel, side: Side::Send, arrivals: u32::MAX }),
        Box::new(move |_| Frame::Detach { channel: stranger, side: Side::Send, arrivals: 1 }),
        Box::new(move |channel| Frame::Export { channel, capacity: 1, senders: 1, receivers: 1 }),
        Box::new(move |_| Frame::Export {
            channel: ChannelId(5),
            capacity: u32::MAX,
            senders: 1,
            receivers: 1,
        }),
        Box::new(move |channel| Frame::Restore {
            channel: stranger,
            parcel: carrying(channel, Side::Send),
        }),
        Box::new(move |channel| Frame::Send { channel, operation, parcel: smuggled.clone() }),
        Box::new(move |_| Frame::Finished {
            task,
            attempt: 1,
            outcome: carrying(stranger, Side::Send),
            usage: Usage {
                wall_us: u64::MAX,
                cpu_us: u64::MAX,
                queued_us: u64::MAX,
                bytes: u64::MAX,
                channel_bytes: u64::MAX,
                memory: u64::MAX,
            },
        }),
        Box::new(move |_| Frame::Spawn {
            task,
            name: String::new(),
            signature: 0,
            options: SpawnOptions::default(),
            result,
            arguments: carrying(stranger, Side::Receive),
        }),
        Box::new(|_| Frame::Shutdown {}),
        Box::new(move |_| Frame::Sent { operation }),
    ];
    for frame in bad {
        let (mut bench, worker, channel, _) = with_worker(1, 0);
        let frame = frame(channel);
        let words = frame.to_string();
        bench.frame(worker, frame);
        let commands = bench.take();
        let closed = |command: &Command| {
            matches!(command, Command::Close { session, reason }
                if *session == worker && reason.contains("protocol"))
        };
        assert!(commands.iter().any(closed), "{words}: {commands:?}");
        bench.send(CLIENT, channel, 50, value(1));
        bench.receive(CLIENT, channel, 51);
        let frames = bench.sent(CLIENT);
        assert!(frames.contains(&sent(50)), "{words}: others go on: {frames:?}");
    }
}

/// Frames that are merely late or foolish change nothing.
#[test]
fn harmless_nonsense_is_ignored() {
    let (mut bench, worker, channel, task) = with_worker(1, 0);
    let operation = OperationId(77);
    bench.frame(worker, Frame::Decline { channel, operation });
    bench.frame(worker, Frame::CancelSend { channel, operation });
    bench.frame(worker, Frame::Abort { task: TaskId(12345) });
    let outcome = value(0);
    bench.frame(worker, Frame::Finished { task, attempt: 9, outcome, usage: Usage::default() });
    let (running, held, runs_seen) = (u32::MAX, u32::MAX, u64::MAX);
    let cpu = f32::NAN;
    bench.frame(worker, Frame::Report { cpu, memory: cpu, running, held, runs_seen });
    assert_eq!(bench.take(), []);
    bench.frame(SessionId(4242), Frame::Heartbeat {});
    assert_eq!(bench.take(), []);
}

#[test]
fn a_node_that_does_not_fit_is_told_what_differs() {
    let mut bench = Bench::new(1);
    let reason = |commands: Vec<Command>| match &commands[..] {
        [Command::Close { reason, .. }] => reason.clone(),
        other => panic!("{other:?}"),
    };
    let role = Role::Worker { launch: 1, threads: 1, memory_bytes: 1, process: 1 };
    let build = Build { release: "1".to_owned(), tasks: 2, hash: 8 };
    let (session, version) = (SessionId(9), PROTOCOL_VERSION);
    bench.event(Event::Connected { session, version, build: build.clone(), role: role.clone() });
    let text = reason(bench.take());
    assert!(text.contains("2 task kinds") && text.contains("1 task kinds"), "{text}");
    bench.event(Event::Connected { session, version: 99, build, role });
    assert!(reason(bench.take()).contains("version 99"));
    let worker = bench.worker(33);
    let commands = bench.take();
    assert!(matches!(&commands[..], [Command::Close { session, .. }] if *session == worker));
}

/// Algorithm 1, line 7: one slot of two threads; a parked task gives it up.
#[test]
fn tasks_go_where_there_is_room() {
    let (mut bench, worker, _, _) = with_worker(0, 0);
    bench.spawn(0, Vec::new());
    assert_eq!(bench.take(), [], "the only worker is full, and there may be no other");
    let (cpu, memory) = (0.1, 0.1);
    bench.frame(worker, Frame::Report { cpu, memory, running: 1, held: 1, runs_seen: 1 });
    assert_eq!(bench.take(), []);
    bench.frame(worker, Frame::Report { cpu, memory, running: 0, held: 1, runs_seen: 1 });
    assert!(matches!(bench.sent(worker)[..], [Frame::Run { .. }]));
    bench.spawn(0, Vec::new());
    bench.frame(worker, Frame::Report { cpu, memory, running: 0, held: 1, runs_seen: 1 });
    assert_eq!(bench.take(), [], "an old reading does not count what was sent since");
    bench.frame(worker, Frame::Report { cpu, memory: 0.95, running: 0, held: 2, runs_seen: 2 });
    assert_eq!(bench.take(), [], "line 6: its memory is over the threshold");
}

#[test]
fn an_idle_worker_is_let_go_and_a_new_one_started_when_needed() {
    let mut bench = Bench::new(1);
    let (task, _) = bench.spawn(0, Vec::new());
    let worker = bench.worker(1);
    let finished = Frame::Finished { task, attempt: 1, outcome: value(1), usage: Usage::default() };
    bench.frame(worker, finished);
    bench.take();
    for second in 1..=11 {
        bench.now = Duration::from_secs(second);
        bench.frame(worker, Frame::Heartbeat {});
        bench.frame(CLIENT, Frame::Heartbeat {});
        bench.event(Event::Tick);
    }
    assert!(bench.sent(worker).contains(&Frame::Shutdown {}));
    bench.spawn(0, Vec::new());
    assert!(bench.take().contains(&Command::Launch { launch: 2 }));
    bench.frame(worker, Frame::Goodbye {});
    let commands = bench.take();
    assert!(commands.contains(&Command::Stop { launch: 1 }), "{commands:?}");
}
