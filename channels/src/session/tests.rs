//! Two sides of a session over links that lose, delay and come twice: every history of a few
//! steps, and long ones at random. What one side says the other hears, in order, each once.

use super::*;
use crate::id::OperationId;
use crate::wire::read_batch;

/// What travels on a link. A batch is whole or lost: cut at whichever byte, it is no message.
#[derive(Clone, Debug)]
enum Post {
    Resume { last: u64, secret: Secret },
    Resumed { last: u64, secret: Secret },
    Fenced,
    Batch(Bytes),
}

#[derive(Clone, Debug, Default)]
struct Wire {
    up: VecDeque<Post>,
    down: VecDeque<Post>,
    broken: bool,
}

impl Wire {
    fn carry_up(&mut self, posts: impl IntoIterator<Item = Post>) {
        if !self.broken {
            self.up.extend(posts);
        }
    }

    fn carry_down(&mut self, posts: impl IntoIterator<Item = Post>) {
        if !self.broken {
            self.down.extend(posts);
        }
    }
}

/// One side's shell, as far as it matters: the session, which link is its own, and what it heard.
#[derive(Debug)]
struct Shell {
    session: Session,
    link: Option<usize>,
    said: u64,
    heard: Vec<u64>,
}

impl Shell {
    fn new() -> Self {
        Self { session: Session::new(7), link: Some(0), said: 0, heard: Vec::new() }
    }

    fn say(&mut self, frames: u64) {
        let mut batch = BatchWriter::default();
        for _ in 0..frames {
            self.said += 1;
            let (operation, length) = (OperationId(0), self.said);
            batch.push(&Frame::Measured { operation, length });
        }
        self.session.seal(batch);
    }

    fn post(&mut self) -> Vec<Post> {
        let mut posts = Vec::new();
        while let Some(batch) = self.session.next_batch() {
            posts.push(Post::Batch(batch));
        }
        posts.extend(self.session.acknowledgement().map(Post::Batch));
        posts
    }

    fn hear(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let size = bytes.len();
        let (envelope, frames) = read_batch(bytes).unwrap();
        if self.session.receive(envelope, &frames, size)? == Received::New {
            self.heard.extend(frames.iter().filter_map(|frame| match frame {
                Frame::Measured { length, .. } => Some(*length),
                _ => None,
            }));
        }
        Ok(())
    }
}

/// A node, its home, and all links that there ever were.
#[derive(Debug)]
struct World {
    node: Shell,
    home: Shell,
    keys: Keys,
    secret: Secret,
    secrets: u8,
    /// The link that the node has asked on, and not been answered.
    asked: Option<usize>,
    wires: Vec<Wire>,
    /// Secrets that the node has used, and something came after.
    spent: Vec<Secret>,
}

impl World {
    fn new() -> Self {
        let secret = Secret([0; 32]);
        Self {
            node: Shell::new(),
            home: Shell::new(),
            keys: Keys::new(secret.clone()),
            secret,
            secrets: 0,
            asked: None,
            wires: vec![Wire::default()],
            spent: Vec::new(),
        }
    }

    /// The node drops its link, if it has one, and asks on a new one.
    fn redial(&mut self) {
        self.node.session.unlink();
        self.node.link = None;
        let (last, secret) = (self.node.session.received(), self.secret.clone());
        self.asked = Some(self.wires.len());
        self.wires.push(Wire::default());
        self.wires.last_mut().unwrap().up.push_back(Post::Resume { last, secret });
    }

    fn flush(&mut self) {
        if let Some(link) = self.node.link {
            self.wires[link].carry_up(self.node.post());
        }
        if let Some(link) = self.home.link {
            self.wires[link].carry_down(self.home.post());
        }
    }

    /// The home takes the next thing from a link, which may be one that the node has left.
    fn deliver_up(&mut self, link: usize) {
        match self.wires[link].up.pop_front() {
            Some(Post::Resume { last, secret }) => {
                let mut fresh = self.secrets;
                let opened = self.keys.open(&secret, || {
                    fresh += 1;
                    Secret([fresh; 32])
                });
                self.secrets = fresh;
                let Some(secret) = opened else {
                    assert_ne!(self.asked, Some(link), "the node is never locked out");
                    return self.wires[link].carry_down([Post::Fenced]);
                };
                self.home.session.unlink();
                self.home.session.link(last).expect("the node keeps the rules");
                self.home.link = Some(link);
                let last = self.home.session.received();
                self.wires[link].carry_down([Post::Resumed { last, secret }]);
            }
            Some(Post::Batch(bytes)) if self.home.link == Some(link) => {
                self.home.hear(bytes).expect("a link keeps order");
                self.keys.confirm();
            }
            _ => {}
        }
    }

    /// The node takes the next thing from the link that is its own, and drops it if it is not.
    fn deliver_down(&mut self, link: usize) {
        match self.wires[link].down.pop_front() {
            Some(Post::Resumed { last, secret }) if self.asked == Some(link) => {
                self.asked = None;
                self.node.session.link(last).expect("the home keeps the rules");
                self.node.link = Some(link);
                self.spent.push(std::mem::replace(&mut self.secret, secret));
            }
            Some(Post::Fenced) => assert_ne!(self.asked, Some(link), "it was refused"),
            Some(Post::Batch(bytes)) if self.node.link == Some(link) => {
                self.node.hear(bytes).expect("a link keeps order");
            }
            _ => {}
        }
    }

    /// A link breaks: what is on the way is lost, and the sides may or may not see it.
    fn cut(&mut self, link: usize, seen: bool) {
        self.wires[link] = Wire { broken: true, ..Wire::default() };
        if seen && self.home.link == Some(link) {
            self.home.link = None;
            self.home.session.unlink();
        }
    }

    fn step(&mut self, choice: u64) {
        let newest = self.wires.len() - 1;
        let link = newest.saturating_sub((choice >> 8) as usize % 3);
        match choice % 12 {
            0 | 1 => self.node.say(1 + (choice >> 4) % 3),
            2 | 3 => self.home.say(1 + (choice >> 4) % 3),
            4 | 5 => self.flush(),
            6 | 7 => self.deliver_up(link),
            8 | 9 => self.deliver_down(link),
            10 => self.cut(link, choice & 0x10 == 0),
            _ => self.redial(),
        }
        self.check();
    }

    /// What was heard is what was said, from the beginning, without a hole.
    fn check(&self) {
        for (speaker, hearer) in [(&self.node, &self.home), (&self.home, &self.node)] {
            assert!(hearer.heard.len() as u64 <= speaker.said);
            assert!(hearer.heard.iter().zip(1..).all(|(heard, said)| *heard == said));
            assert!(speaker.session.acknowledged() <= hearer.session.received());
        }
    }

    /// Links stay whole from now on: all that was said is heard, and nothing is kept.
    fn heal(&mut self) {
        self.redial();
        for _ in 0..4 {
            self.node.session.tick();
            self.home.session.tick();
            self.flush();
            for link in 0..self.wires.len() {
                while !self.wires[link].up.is_empty() {
                    self.deliver_up(link);
                }
                while !self.wires[link].down.is_empty() {
                    self.deliver_down(link);
                }
            }
        }
        self.check();
        for (speaker, hearer) in [(&self.node, &self.home), (&self.home, &self.node)] {
            assert_eq!(hearer.heard.len() as u64, speaker.said, "all is heard");
            assert_eq!(speaker.session.kept_bytes(), 0, "nothing is kept");
        }
        for spent in self.spent.clone() {
            assert!(self.keys.open(&spent, || unreachable!()).is_none(), "it was used");
        }
    }
}

#[test]
fn long_histories_keep_order_over_links_that_break() {
    for seed in 1..=2000_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut world = World::new();
        for _ in 0..200 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            world.step(random >> 20);
        }
        world.heal();
    }
}

/// Every history of five steps that begins with both sides having spoken.
#[test]
fn all_short_histories_keep_order() {
    // Deliveries from the newest link and from the one before; a cut that is seen, and one not.
    let choices: [u64; 9] = [0, 2, 4, 6, 6 + 0xfc, 8, 8 + 0xfc, 10 + 0x60, 11];
    assert_eq!((choices[4] % 12, (choices[4] >> 8) % 3), (6, 1));
    assert_eq!((choices[6] % 12, (choices[6] >> 8) % 3), (8, 1));
    assert_eq!((choices[7] % 12, choices[7] & 0x10), (10, 0));
    let depth = 5;
    for history in 0..choices.len().pow(depth) {
        let mut world = World::new();
        world.node.say(2);
        world.home.say(1);
        world.flush();
        let mut rest = history;
        for _ in 0..depth {
            world.step(choices[rest % choices.len()]);
            rest /= choices.len();
        }
        world.heal();
    }
}

fn batch(session: &mut Session, frames: u64) -> (Envelope, Vec<Frame>, usize) {
    let mut writer = BatchWriter::default();
    (0..frames).for_each(|_| writer.push(&Frame::Goodbye {}));
    session.seal(writer);
    let bytes = session.next_batch().unwrap();
    let size = bytes.len();
    let (envelope, frames) = read_batch(bytes).unwrap();
    (envelope, frames, size)
}

#[test]
fn batches_that_break_a_rule_are_refused_and_change_nothing() {
    let (mut here, mut there) = (Session::new(7), Session::new(7));
    let (envelope, frames, size) = batch(&mut here, 3);
    let refused = |there: &mut Session, change: &dyn Fn(&mut Envelope)| {
        let mut changed = envelope;
        change(&mut changed);
        there.receive(changed, &frames, size).unwrap_err()
    };
    for (change, words) in [
        (&(|e: &mut Envelope| e.epoch = 8) as &dyn Fn(&mut Envelope), "epoch"),
        (&|e: &mut Envelope| e.acknowledged = 1, "never sent"),
        (&|e: &mut Envelope| e.acknowledged = u64::MAX, "never sent"),
        (&|e: &mut Envelope| e.sequence = 0, "about the link"),
        (&|e: &mut Envelope| e.sequence = 2, "frame 2 came where frame 1"),
        (&|e: &mut Envelope| e.sequence = u64::MAX, "was expected"),
    ] {
        let fault = refused(&mut there, change).to_string();
        assert!(fault.contains(words), "{fault}");
    }
    assert_eq!(there.receive(envelope, &frames, size), Ok(Received::New));
    assert_eq!(there.receive(envelope, &frames, size), Ok(Received::Repeated));
    let more = [&frames[..], &frames[..]].concat();
    assert!(matches!(there.receive(envelope, &more, size), Err(Fault::Rule(_))));
    assert_eq!(there.received(), 3);
    assert!(there.link(1).is_err(), "a frame that was never sent");
    assert!(here.link(2).is_err(), "no batch ends there");
    assert!(here.link(4).is_err());
    assert_eq!(here.link(3), Ok(()));
    assert!(here.link(0).is_err(), "it was known before");
}

#[test]
fn the_window_bounds_what_is_kept_until_it_is_acknowledged() {
    let window = Window { bytes: 2000, frames: 10 };
    let (mut here, mut there) = (Session::new(1), Session::new(1));
    let mut batches = Vec::new();
    while here.has_room(window) {
        batches.push(batch(&mut here, 4));
    }
    assert_eq!(batches.len(), 3, "frames count");
    for (envelope, frames, size) in &batches {
        assert_eq!(there.receive(*envelope, frames, *size), Ok(Received::New));
    }
    assert_eq!(there.acknowledgement(), None, "there is no hurry");
    there.tick();
    let acknowledgement = there.acknowledgement().unwrap();
    assert_eq!(there.acknowledgement(), None, "once is enough");
    let (envelope, frames) = read_batch(acknowledgement).unwrap();
    assert_eq!(here.receive(envelope, &frames, 26), Ok(Received::New));
    here.tick();
    assert_eq!(here.acknowledgement(), None, "acknowledgements are not acknowledged");
    assert!(here.has_room(window));
    assert_eq!(here.kept_bytes(), 0);
    let mut large = BatchWriter::default();
    let parcel = crate::wire::Parcel { payload: vec![0; 3000].into(), ..Default::default() };
    let (channel, operation) = (crate::id::ChannelId(1), OperationId(1));
    large.push(&Frame::Send { channel, operation, parcel });
    here.seal(large);
    assert!(!here.has_room(window), "bytes count");
}

/// A quarter of the window is acknowledged unasked, and a heartbeat at once.
#[test]
fn acknowledgements_do_not_wait_for_ever() {
    let (mut here, mut there) = (Session::new(1), Session::new(1));
    let mut acknowledged = 0;
    for _ in 0..Window::NODE.frames / 64 {
        let (envelope, frames, size) = batch(&mut here, 128);
        assert_eq!(there.receive(envelope, &frames, size), Ok(Received::New));
        acknowledged += u64::from(there.acknowledgement().is_some());
    }
    assert_eq!(acknowledged, 8);
    let mut writer = BatchWriter::default();
    writer.push(&Frame::Heartbeat {});
    here.seal(writer);
    let (envelope, frames) = read_batch(here.next_batch().unwrap()).unwrap();
    assert_eq!(there.receive(envelope, &frames, 31), Ok(Received::New));
    assert!(there.acknowledgement().is_some());
}

#[test]
fn a_secret_opens_one_link_and_its_answer_may_be_lost() {
    let [first, second, third] = [1, 2, 3].map(|byte| Secret([byte; 32]));
    let mut keys = Keys::new(first.clone());
    let wrong = Secret([9; 32]);
    assert_eq!(keys.open(&wrong, || unreachable!()), None);
    assert_eq!(keys.open(&first, || second.clone()), Some(second.clone()));
    assert_eq!(keys.open(&first, || unreachable!()), Some(second.clone()), "it was lost");
    keys.confirm();
    assert_eq!(keys.open(&first, || unreachable!()), None, "it was used");
    assert_eq!(keys.open(&second, || third.clone()), Some(third.clone()));
    assert_eq!(keys.open(&third, || first.clone()), Some(first));
    assert_eq!(keys.open(&second, || unreachable!()), None, "a later one was shown");
}
