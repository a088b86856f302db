//! One run: client, coordinator and workers, in virtual time, from a seed.
//!
//! What happens next is drawn from all that could: a task that is ready, or something whose instant
//! has come. Faults are drawn too, which kinds a seed has first of all (a swarm). The client is
//! spared, for with it the program ends; a delay is all that it sees.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

use channels::id::{OperationId, SessionId};
use channels::session::Session;
use channels::wire::{BatchWriter, Build, Frame, PROTOCOL_VERSION, Place, Role};
use checker::generate::Random;
use checker::{Commit, History, Record, TaskEnd};
use coordinator::scheduler::Policy;
use coordinator::{Command, Event, Settings};

use crate::executor::Shared;
use crate::home::Home;
use crate::host::{Host, State};
use crate::links::Link;
use crate::network::{Happening, Network};
use crate::planted::Plant;
use crate::program::{Arguments, Program, act};

/// Silence after which a worker is fenced, in microseconds.
pub(crate) const LEASE: u64 = 6_000;
/// Within this time the home hears what a worker said, or has fenced it: a batch is late by less
/// than a lease, and so is the next one, or else it is silent for longer.
const LAG: u64 = 3 * LEASE;
/// The virtual time that a program may take.
const TIME_MAX: u64 = 5_000_000;

/// How tasks ended.
type Ends = Vec<(u32, TaskEnd)>;

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) history: History,
    pub(crate) log: Vec<Commit>,
    /// Of all that happened, in order.
    pub(crate) trace: u64,
    /// What went wrong, in words; for a failure's text.
    pub(crate) faults: Vec<String>,
    /// Channels that the coordinator still has after everybody let go.
    pub(crate) left_over: usize,
    pub(crate) ended: bool,
    /// Values that workers received on channels that had been at home at the client.
    pub(crate) moved: usize,
    /// How often a link broke and the session went on.
    pub(crate) resumed: u64,
    /// How many channels came home to a process.
    pub(crate) landed: u64,
}

/// Which faults a seed has.
pub(crate) struct Swarm {
    crashes: bool,
    freezes: bool,
    partitions: bool,
    slow: bool,
    failed_launches: bool,
    /// Links break, and are found anew.
    cuts: bool,
    /// Whether the platform ends workers that are fenced. (Lambda does not: they thaw and go on.)
    stops: bool,
    count: u32,
}

pub(crate) struct World {
    pub(crate) shared: Shared,
    pub(crate) random: Random,
    pub(crate) home: Home,
    pub(crate) hosts: Vec<Host>,
    pub(crate) network: Network,
    pub(crate) links: Vec<Link>,
    started: Rc<RefCell<VecDeque<Arguments>>>,
    pub(crate) swarm: Swarm,
    pub(crate) fenced: BTreeSet<u32>,
    trace: u64,
    faults: Vec<String>,
    pub(crate) plant: Plant,
    pub(crate) planted: u32,
    pub(crate) resumed: u64,
    /// Frames that a planted bug holds back.
    pub(crate) late: Vec<(usize, Frame)>,
}

/// Runs the program of a seed.
pub(crate) fn run(seed: u64, plant: Plant) -> Ran {
    channels::chance::seed(seed);
    let mut random = Random::new(seed);
    let mut flip = || random.once_in(2);
    let mut swarm = Swarm {
        crashes: flip(),
        freezes: flip(),
        partitions: flip(),
        slow: flip(),
        failed_launches: flip(),
        cuts: flip(),
        stops: flip(),
        count: 1 + random.below(4),
    };
    if plant == Plant::Zombies {
        (swarm.freezes, swarm.stops, swarm.count) = (true, false, 8);
    }
    let policy = Policy {
        workers_max: 2 + random.below(3) as usize,
        place: Place::Apart,
        ..Policy::default()
    };
    let lease = Duration::from_micros(lease_of(plant));
    let home = Home::new(Settings { policy, lease, ..Settings::default() });
    let world = World {
        shared: Shared::default(),
        random,
        home,
        hosts: Vec::new(),
        network: Network::default(),
        links: Vec::new(),
        started: Rc::default(),
        swarm,
        fenced: BTreeSet::new(),
        trace: 0xcbf2_9ce4_8422_2325,
        faults: Vec::new(),
        plant,
        planted: 0,
        resumed: 0,
        late: Vec::new(),
    };
    world.run(Program::new(seed))
}

fn lease_of(plant: Plant) -> u64 {
    if plant == Plant::NoFence { 2 * TIME_MAX } else { LEASE }
}

impl World {
    fn run(mut self, program: Program) -> Ran {
        let mut history = History { settled: true, lag: LAG, ..History::default() };
        history.channels.clone_from(&program.channels);
        let late = program.late();
        self.connect(0);
        for _ in 0..self.swarm.count {
            let when = u64::from(self.random.below(20_000));
            self.network.at(when, Happening::Fault);
        }
        self.network.at(0, Happening::HomeTick);
        let ends: Rc<RefCell<Option<Ends>>> = Rc::default();
        let (started, told) = (self.started.clone(), ends.clone());
        let client = &mut self.hosts[0];
        let main = program.main(
            client.place.clone(),
            client.node.clone(),
            move |arguments| started.borrow_mut().push_back(arguments),
            move |ends| drop(told.borrow_mut().replace(ends)),
        );
        client.tasks.spawn(0, &self.shared, Box::pin(main));
        while ends.borrow().is_none() && self.shared.now() < TIME_MAX {
            self.step();
        }
        let ended = ends.borrow().is_some();
        if ended {
            // Until the last handle is given back, and whoever died is fenced.
            let until = self.shared.now() + 12 * LEASE;
            while self.shared.now() < until {
                self.step();
            }
        }
        history.ends = ends.take().unwrap_or_default();
        for host in &self.hosts {
            history.merge(host.place.recorder.records());
            if host.launch > 0 && host.state == State::Down && !host.said_goodbye {
                self.fenced.insert(host.name as u32);
            }
        }
        history.fenced = self.fenced;
        let (trace, faults) = (self.trace, self.faults);
        // Of a channel that was elsewhere first, the home's log is not the whole story.
        let (mut log, unfollowed) = (self.home.log(), self.home.unfollowed());
        log.retain(|commit| !late.contains(&commit.channel()));
        log.retain(|commit| !unfollowed.contains(&commit.channel()));
        let moved = |r: &&Record| r.is_take() && r.session > 0 && late.contains(&r.channel);
        let moved = history.records.iter().filter(moved).count();
        let (left_over, resumed, landed) = (self.home.channels(), self.resumed, self.home.landed);
        Ran { history, log, trace, faults, left_over, ended, moved, resumed, landed }
    }

    /// Something happens.
    fn step(&mut self) {
        for host in self.shared.take_rung() {
            let when = self.shared.now() + u64::from(self.random.below(30));
            self.network.at(when, Happening::Flush(host));
        }
        let now = self.shared.now();
        let due = self.network.next().is_some_and(|at| at <= now);
        if self.shared.has_ready() && (!due || self.random.once_in(2)) {
            return self.poll();
        }
        if let Some(happening) = self.network.take_due(now) {
            return self.happen(happening);
        }
        let next = self.network.next().into_iter().chain(self.shared.next_timer()).min();
        self.shared.set_now(next.unwrap_or(TIME_MAX));
    }

    fn poll(&mut self) {
        let random = &mut self.random;
        let Some(name) = self.shared.take_ready(|count| random.below(count)) else { return };
        match self.hosts[name.0].state {
            State::Up => {}
            // It will look when it thaws.
            State::Frozen(until) if until > self.shared.now() => {
                return self.shared.rouse_at(until, name);
            }
            State::Frozen(_) => self.hosts[name.0].state = State::Up,
            State::Down => return,
        }
        self.note(&format_args!("{} polls {}", name.0, name.1));
        self.hosts[name.0].poll(name);
        while let Some(arguments) = self.started.borrow_mut().pop_front() {
            let host = &mut self.hosts[0];
            let task = Box::pin(act(host.place.clone(), arguments));
            host.tasks.spawn(0, &self.shared, task);
        }
        let took = u64::from(self.random.below(4));
        self.shared.set_now(self.shared.now() + took);
    }

    pub(crate) fn note(&mut self, what: &dyn Display) {
        let line = format!("{} {what}", self.shared.now());
        if std::env::var_os("FARSPAWN_TRACE").is_some() {
            println!("{line}");
        }
        // The names of selects are drawn from one counter in the process, whoever else runs in it.
        let named = line.split(" select=").next().unwrap_or_default();
        for byte in named.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.shared.now();
        match happening {
            Happening::Flush(host) => self.flush(host),
            Happening::ToHome(host, link, bytes) => self.at_home(host, link, bytes),
            Happening::ToHost(host, link, bytes) => self.at_host(host, link, bytes),
            Happening::Resume(host, link, last) => self.resume(host, link, last),
            Happening::Resumed(host, link, last) => self.resumed(host, link, last),
            Happening::Retry(host) => self.retry(host),
            Happening::Closed(host, link) if link != self.links[host].number => {}
            Happening::Closed(host, _) => self.lose(host, "the coordinator closed the connection"),
            Happening::Broken(host) => {
                if self.plant == Plant::NoFence {
                    return;
                }
                let (launch, cause) = (self.hosts[host].launch, "its process ended".to_owned());
                if !self.hosts[host].said_goodbye {
                    self.fenced.insert(host as u32);
                }
                self.handle(Event::LaunchEnded { launch, cause });
            }
            Happening::Exit(host) => self.hosts[host].state = State::Down,
            Happening::HomeTick => {
                self.handle(Event::Tick);
                for host in 0..self.links.len() {
                    self.links[host].home.tick();
                    self.pump_home(host);
                }
                self.network.at(now + LEASE / 8, Happening::HomeTick);
            }
            Happening::HostTick(host) => self.host_tick(host),
            Happening::Launched(launch) => {
                if self.swarm.failed_launches && self.random.once_in(4) {
                    let cause = "it could not be started".to_owned();
                    return self.handle(Event::LaunchEnded { launch, cause });
                }
                self.connect(launch);
            }
            Happening::Fault => self.fault(),
        }
    }

    /// A process says hello.
    fn connect(&mut self, launch: u64) {
        let name = self.hosts.len();
        self.hosts.push(Host::new(name, launch, &self.shared));
        self.links.push(Link::default());
        let build = Build { release: "0".to_owned(), tasks: 1, hash: 1 };
        let role = match launch {
            0 => Role::Client { workers_max: 0, place: Place::Apart },
            launch => Role::Worker { launch, threads: 2, memory_bytes: 1 << 30, process: 1 },
        };
        let (session, version) = (self.hosts[name].session, PROTOCOL_VERSION);
        self.handle(Event::Connected { session, version, build, role });
        self.network.at(self.shared.now() + LEASE / 4, Happening::HostTick(name));
    }

    fn host_tick(&mut self, host: usize) {
        let now = self.shared.now();
        match self.hosts[host].state {
            State::Down => return,
            State::Frozen(until) if until > now => {
                return self.network.at(until, Happening::HostTick(host));
            }
            State::Frozen(_) | State::Up => self.hosts[host].state = State::Up,
        }
        let lease = if self.plant == Plant::Zombies { TIME_MAX } else { lease_of(self.plant) };
        self.links[host].host.tick();
        if !self.hosts[host].tick(now, lease) {
            return self.lose(host, "the coordinator was silent");
        }
        self.network.at(now + LEASE / 4, Happening::HostTick(host));
    }

    /// A host's link is gone for good. Its tasks may see that before the process ends.
    pub(crate) fn lose(&mut self, host: usize, cause: &str) {
        let now = self.shared.now();
        match self.hosts[host].state {
            State::Down => return,
            State::Frozen(until) if until > now => {
                let link = self.links[host].number;
                return self.network.at(until, Happening::Closed(host, link));
            }
            State::Frozen(_) | State::Up => {}
        }
        self.hosts[host].node.lose(cause);
        let exit = now + u64::from(self.random.below(300));
        self.network.at(exit, Happening::Exit(host));
        self.network.at(exit + 100, Happening::Broken(host));
    }

    /// A frame arrives at the coordinator, unless a planted bug has it otherwise.
    pub(crate) fn deliver(&mut self, host: usize, frame: Frame) {
        self.note(&format_args!("{host} -> {frame}"));
        for event in self.plant.of(self, host, frame) {
            self.handle(event);
        }
    }

    pub(crate) fn is_fenced(&self, host: usize) -> bool {
        self.fenced.contains(&(host as u32))
    }

    pub(crate) fn received(host: usize, frame: Frame) -> Event {
        Event::Received { session: SessionId(host as u64), frame }
    }

    /// A name for an operation that no node uses.
    pub(crate) fn forged_operation(&mut self) -> OperationId {
        self.planted += 1;
        OperationId((1 << 40) + u64::from(self.planted))
    }

    pub(crate) fn handle(&mut self, event: Event) {
        let now = self.shared.now();
        let mut batches: BTreeMap<usize, BatchWriter> = BTreeMap::new();
        for command in self.home.handle(now, event) {
            self.note(&command);
            match command {
                Command::Admit { session, epoch, .. } => {
                    let link = &mut self.links[session.0 as usize];
                    (link.home, link.host) = (Session::new(epoch), Session::new(epoch));
                }
                Command::Send { session, frame } => {
                    batches.entry(session.0 as usize).or_default().push(&frame);
                }
                Command::Close { session, .. } => {
                    let host = session.0 as usize;
                    if !self.hosts[host].said_goodbye {
                        self.fenced.insert(host as u32);
                    }
                    let when = self.network.arrival(host, false, now, &mut self.random);
                    let deaf = if self.plant == Plant::Zombies { 5 * LEASE } else { 0 };
                    let link = self.links[host].number;
                    self.links[host].is_over = true;
                    self.network.at(when + deaf, Happening::Closed(host, link));
                }
                Command::Launch { launch } => {
                    let when = now + 100 + u64::from(self.random.below(3000));
                    self.network.at(when, Happening::Launched(launch));
                }
                Command::Stop { .. } if !self.swarm.stops => {}
                Command::Stop { launch } => {
                    let found = self.hosts.iter().find(|host| host.launch == launch);
                    if let Some(host) = found.map(|host| host.name) {
                        let when = now + u64::from(self.random.below(2000));
                        self.network.at(when, Happening::Exit(host));
                    }
                }
            }
        }
        for (host, batch) in batches {
            self.send(host, batch);
        }
    }

    /// Something goes wrong with one of the workers, or the client's link is slow.
    fn fault(&mut self) {
        let now = self.shared.now();
        let workers: Vec<usize> = self
            .hosts
            .iter()
            .filter(|h| h.state == State::Up && h.launch > 0)
            .map(|h| h.name)
            .collect();
        if workers.is_empty() {
            return;
        }
        let host = workers[self.random.below(workers.len() as u32) as usize];
        let long = u64::from(self.random.below(3 * LEASE as u32));
        let what = match self.random.below(7) {
            0 | 1 if self.swarm.crashes => {
                self.hosts[host].state = State::Down;
                let lost = self.random.below(3) as usize;
                self.network.lose_last(host, lost);
                // Its kernel says so, or the whole machine is silent.
                let told = self.random.once_in(2);
                if told {
                    let when = self.network.arrival(host, true, now, &mut self.random);
                    self.network.at(when, Happening::Broken(host));
                }
                format!("{now}: worker {host} crashes; told: {told}; {lost} batches lost")
            }
            2 if self.swarm.freezes => {
                self.hosts[host].state = State::Frozen(now + long);
                format!("{now}: worker {host} freezes for {long}")
            }
            3 if self.swarm.partitions => {
                let directions = match self.random.below(3) {
                    0 => [true, false],
                    1 => [false, true],
                    _ => [true, true],
                };
                self.network.hold(host, directions, now + long);
                format!("{now}: worker {host} is cut off for {long}, {directions:?}")
            }
            4 if self.swarm.slow => {
                let host = if self.random.once_in(3) { 0 } else { host };
                let by = u64::from(self.random.below(1000));
                self.network.slow_down(host, by);
                format!("{now}: the link of {host} is slower by {by}")
            }
            5 | 6 if self.swarm.cuts => {
                let host = if self.random.once_in(3) { 0 } else { host };
                self.cut(host);
                format!("{now}: the link of {host} breaks")
            }
            _ => return,
        };
        self.note(&what);
        self.faults.push(what);
    }
}
