//! Which server a connection is for, and which application a key is of.
//!
//! Each client has a *realm*: a coordinator of its own, with workers, tasks and channels that
//! nobody else reaches, whichever application it is of. A realm begins with its client's hello and
//! ends with its last session. An application has one more, for the tasks that came over HTTP, from
//! the first such task on.
//!
//! The application comes from the credential, never from a message: a client shows its key, a
//! worker the secret of a launch, and a link that resumes a session goes where the session is and
//! shows its secret there. Where to look for a launch is found by a hash with random keys, so that
//! the time of the search says nothing of the secret; the realm compares it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Weak};

use channels::id::SessionId;
use channels::node::Node;
use channels::wire::{Frame, Role, Secret, Stats};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};

use super::quota::{Allowance, Quotas, Usage};
use crate::bill::Report;
use crate::platform::Platform;
use crate::scheduler::{Health, Totals};
use crate::server::{Config, Door, INPUTS_WAITING_MAX, Input, Register, Seen, Server, Shut, Visit};
use crate::{Load, Room, Settings};

/// What nodes are told when the coordinator ends.
const ENDED: &str = "the coordinator has ended";
/// Runs that have ended and are told of, for each application.
const RUNS_MAX: usize = 16;
/// What a client is that is not HTTP.
const PROGRAM: &str = "program";

/// Makes the place where an application's workers run, for each of its clients.
pub type MakePlatform = Box<dyn Fn() -> io::Result<Box<dyn Platform>> + Send + Sync>;

/// An application: whose tasks, on which workers, with which keys.
pub struct Application {
    /// Its name, for people and metrics.
    pub name: String,
    /// Each opens it. More than one, so that a key can be replaced while it is in use.
    pub keys: Vec<Secret>,
    /// What each of its coordinators is told.
    pub settings: Settings,
    /// Clients at once, not counting HTTP.
    pub clients_max: usize,
    /// Where its workers run.
    pub platform: MakePlatform,
}

/// The desk where all connections come by.
pub(super) struct Desk {
    this: Weak<Self>,
    pub(super) applications: Vec<Application>,
    /// Of each application, what opens it now.
    keys: Mutex<Vec<Vec<Secret>>>,
    /// Of each application, what it has left.
    pub(super) allowances: Vec<Arc<Allowance>>,
    /// Where workers find it.
    address: String,
    hasher: RandomState,
    state: Mutex<State>,
    /// A realm has ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    realms: BTreeMap<u64, Realm>,
    sessions: BTreeMap<SessionId, u64>,
    launches: BTreeMap<u64, u64>,
    next_realm: u64,
    next_session: u64,
    is_stopping: bool,
    /// Of realms that have ended, by application.
    done: BTreeMap<usize, Done>,
}

/// What is known of realms that have ended.
#[derive(Clone, Default)]
struct Done {
    /// What they did, all of them.
    totals: Totals,
    billed_ms: u64,
    dollars: f64,
    /// The last ones.
    runs: VecDeque<Arc<Run>>,
}

/// A realm, from its client's first word.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// Counts the realms of this coordinator.
    run: u64,
    /// Whose: a program's, or that of tasks over HTTP.
    client: &'static str,
    has_ended: bool,
    workers: Vec<Health>,
    report: Report,
}

/// How an application is.
#[derive(Clone, Debug)]
pub(super) struct Overview {
    pub(super) clients: usize,
    pub(super) stats: Stats,
    pub(super) usage: Usage,
    pub(super) billed_ms: u64,
    pub(super) dollars: f64,
    /// The youngest first.
    pub(super) runs: Vec<Arc<Run>>,
}

struct Realm {
    application: usize,
    /// Of its client's hello; none if that is inside.
    nonce: Option<u64>,
    /// What its client showed; none if that is inside.
    key: Option<Secret>,
    inbox: mpsc::Sender<Input>,
    /// Ends the realm, with what its nodes are told.
    stop: oneshot::Sender<String>,
}

/// Why there is no realm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the coordinator is stopping")]
    Stopping,
    #[error("the application has {0} clients, as many as it may have")]
    Clients(usize),
    #[error("there is no place for its workers now")]
    Place,
}

impl Desk {
    pub(super) fn new(
        applications: Vec<Application>,
        quotas: Quotas,
        address: String,
    ) -> Arc<Self> {
        let allowance = |_: &Application| Arc::new(Allowance::new(quotas));
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            keys: Mutex::new(applications.iter().map(|of| of.keys.clone()).collect()),
            allowances: applications.iter().map(allowance).collect(),
            applications,
            address,
            hasher: RandomState::new(),
            state: Mutex::default(),
            ended: Notify::new(),
        })
    }

    /// Which application a key is of. All keys are looked at, whichever it is.
    pub(super) fn find(&self, shown: &Secret) -> Option<usize> {
        let mut found = None;
        for (at, keys) in self.keys.lock().iter().enumerate() {
            for key in keys {
                if key.matches(shown) {
                    found = Some(at);
                }
            }
        }
        found
    }

    /// The keys are these from now on. Who came in by another is told so, and out.
    pub(super) fn change_keys(&self, keys: Vec<Vec<Secret>>) {
        let mut out = Vec::new();
        {
            let mut state = self.state.lock();
            let is_known = |realm: &Realm| {
                let known = keys.get(realm.application);
                realm.key.as_ref().is_none_or(|own| known.is_some_and(|keys| keys.contains(own)))
            };
            let gone = state.realms.iter().filter(|(_, realm)| !is_known(realm));
            for number in gone.map(|(number, _)| *number).collect::<Vec<_>>() {
                if let Some(realm) = state.realms.get_mut(&number) {
                    let (never, _) = oneshot::channel();
                    out.push(std::mem::replace(&mut realm.stop, never));
                }
            }
            *self.keys.lock() = keys;
        }
        tracing::info!("the keys were read again; {} clients had one that is gone", out.len());
        for stop in out {
            // One that has ended meanwhile does not hear it.
            stop.send("its key is not good any more".to_owned()).ok();
        }
    }

    /// Whose a connection is; or what it is told.
    fn owner(&self, frame: &Frame) -> Result<usize, Box<Frame>> {
        match frame {
            Frame::Hello { role: Role::Client { .. }, secret, .. } => {
                self.find(secret).ok_or_else(unknown)
            }
            known => self.realm_of(known, |realm| realm.application),
        }
    }

    /// Something of the realm that a worker, or who resumes a session, is of; or its answer.
    fn realm_of<R>(&self, frame: &Frame, read: impl FnOnce(&Realm) -> R) -> Result<R, Box<Frame>> {
        let state = self.state.lock();
        let (number, answer): (_, fn() -> Box<Frame>) = match frame {
            Frame::Hello { secret, .. } => (state.launches.get(&self.hash(secret)), unknown),
            Frame::Resume { session, .. } => (state.sessions.get(session), over),
            _ => return Err(turned("a hello was expected")),
        };
        number.and_then(|number| state.realms.get(number)).map(read).ok_or_else(answer)
    }

    /// A client's realm: a new one, unless it says hello again.
    fn client(
        &self,
        application: usize,
        nonce: u64,
        key: &Secret,
    ) -> Result<mpsc::Sender<Input>, Refused> {
        let mut state = self.state.lock();
        let mut own = state.realms.values().filter(|realm| realm.application == application);
        if let Some(realm) = own.clone().find(|realm| realm.nonce == Some(nonce)) {
            return Ok(realm.inbox.clone());
        }
        let clients_max = self.applications[application].clients_max;
        if own.by_ref().filter(|realm| realm.nonce.is_some()).count() >= clients_max {
            return Err(Refused::Clients(clients_max));
        }
        self.open(&mut state, application, Some((nonce, key.clone())), None)
    }

    /// A realm whose client is a node of this process.
    pub(super) fn inside(
        &self,
        application: usize,
        node: Arc<Node>,
        rung: Arc<Notify>,
    ) -> Result<(), Refused> {
        let mut state = self.state.lock();
        self.open(&mut state, application, None, Some((node, rung))).map(|_| ())
    }

    fn open(
        &self,
        state: &mut State,
        number: usize,
        outside: Option<(u64, Secret)>,
        inside: Option<(Arc<Node>, Arc<Notify>)>,
    ) -> Result<mpsc::Sender<Input>, Refused> {
        let Some(desk) = self.this.upgrade().filter(|_| !state.is_stopping) else {
            return Err(Refused::Stopping);
        };
        state.next_realm += 1;
        let realm = state.next_realm;
        let (inbox, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
        let (stop, stopped) = oneshot::channel();
        let application = &self.applications[number];
        let config = Config {
            settings: application.settings.clone(),
            client_secrets: outside.iter().map(|(_, key)| key.clone()).collect(),
        };
        let platform = (application.platform)().map_err(|error| {
            tracing::error!("{}: there is no place for workers: {error}", application.name);
            Refused::Place
        })?;
        let allowance = self.allowances[number].clone();
        let book = Book { desk: desk.clone(), realm, allowance, hashes: BTreeMap::new() };
        let stopped = async { stopped.await.unwrap_or_else(|_| ENDED.to_owned()) };
        let address = self.address.clone();
        tracing::info!("{}: realm {realm} begins", application.name);
        tokio::spawn(async move {
            let mut server = Server::new(address, config, platform).within(Box::new(book));
            if let Some((node, rung)) = inside {
                server.attach(node, rung);
            }
            let totals = server.run(inputs, stopped).await;
            desk.close(realm, totals);
        });
        let (nonce, key) = outside.unzip();
        let opened = Realm { application: number, nonce, key, inbox: inbox.clone(), stop };
        state.realms.insert(realm, opened);
        Ok(inbox)
    }

    /// A realm has ended; what it did is in the books already.
    fn close(&self, number: u64, totals: Totals) {
        let mut state = self.state.lock();
        state.sessions.retain(|_, realm| *realm != number);
        state.launches.retain(|_, realm| *realm != number);
        if let Some(realm) = state.realms.remove(&number) {
            state.done.entry(realm.application).or_default().totals.add(totals);
            let name = &self.applications[realm.application].name;
            tracing::info!("{name}: realm {number} has ended: {totals:?}");
        }
        drop(state);
        self.ended.notify_waiters();
    }

    /// How an application is: the sum over its realms, and each.
    pub(super) async fn look(&self, application: usize) -> Overview {
        let (realms, done) = {
            let state = self.state.lock();
            let own = state.realms.iter().filter(|(_, realm)| realm.application == application);
            let realms: Vec<_> =
                own.map(|(run, realm)| (*run, realm.client(), realm.inbox.clone())).collect();
            (realms, state.done.get(&application).cloned().unwrap_or_default())
        };
        let mut overview = Overview {
            clients: realms.iter().filter(|(_, client, _)| *client == PROGRAM).count(),
            stats: done.totals.stats(),
            usage: self.allowances[application].usage(),
            billed_ms: done.billed_ms,
            dollars: done.dollars,
            runs: Vec::new(),
        };
        for (run, client, inbox) in realms.into_iter().rev() {
            let (answer, answered) = oneshot::channel();
            // One that has ended meanwhile says nothing, and is among the others next time.
            if inbox.send(Input::Asked(answer)).await.is_ok()
                && let Ok(Seen { stats, report, workers }) = answered.await
            {
                overview.stats.add(&stats);
                overview.billed_ms += report.billed_ms;
                overview.dollars += report.dollars;
                let run = Run { run, client, has_ended: false, workers, report };
                overview.runs.push(Arc::new(run));
            }
        }
        overview.runs.extend(done.runs);
        overview
    }

    /// From now on no client comes.
    pub(super) fn drain(&self) {
        self.state.lock().is_stopping = true;
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().is_stopping
    }

    /// Waits until no client is there any more.
    pub(super) async fn emptied(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.state.lock().realms.values().all(|realm| realm.nonce.is_none()) {
                return;
            }
            ended.await;
        }
    }

    /// Ends all realms. They tell their nodes.
    pub(super) fn stop(&self) {
        // Each ends when this end of it is dropped.
        let stops: Vec<_> = {
            let mut state = self.state.lock();
            state.is_stopping = true;
            state.sessions.clear();
            state.launches.clear();
            std::mem::take(&mut state.realms).into_values().collect()
        };
        drop(stops);
    }

    fn hash(&self, secret: &Secret) -> u64 {
        self.hasher.hash_one(secret.0)
    }
}

impl Door for Desk {
    fn look(&self, frame: &Frame) -> Result<Visit, Shut> {
        let allowance = &self.allowances[self.owner(frame).map_err(Shut::Turned)?];
        let place = match (allowance.connect(), frame) {
            (Ok(place), _) => place,
            // Its session goes on as soon as there is room.
            (Err(_), Frame::Resume { .. }) => {
                return Err(Shut::Later("its application has no place for another connection"));
            }
            (Err(most), _) => {
                let text =
                    format!("the application has {most} connections, as many as it may have");
                return Err(Shut::Turned(turned(&text)));
            }
        };
        let later = "its application has said hello too often";
        let wait = allowance.greet().ok_or(Shut::Later(later))?;
        Ok(Visit { wait, _place: Some(place), share: Some(allowance.clone()) })
    }

    fn lead(&self, frame: &Frame) -> Result<mpsc::Sender<Input>, Box<Frame>> {
        match frame {
            Frame::Hello { role: Role::Client { .. }, secret, nonce, .. } => {
                let application = self.find(secret).ok_or_else(unknown)?;
                let opened = self.client(application, *nonce, secret);
                opened.map_err(|refused| turned(&refused.to_string()))
            }
            known => self.realm_of(known, |realm| realm.inbox.clone()),
        }
    }
}

fn turned(reason: &str) -> Box<Frame> {
    Box::new(Frame::Turned { reason: reason.to_owned() })
}

fn unknown() -> Box<Frame> {
    turned("its secret is not the one that was given out, or was used before")
}

/// As a server answers, so that nobody learns which sessions there are.
fn over() -> Box<Frame> {
    let reason = "the session is over, or the secret is not its own";
    Box::new(Frame::Fenced { reason: reason.to_owned() })
}

/// What a realm says of its sessions and launches.
struct Book {
    desk: Arc<Desk>,
    realm: u64,
    allowance: Arc<Allowance>,
    /// Of each launch's secret.
    hashes: BTreeMap<u64, u64>,
}

impl Register for Book {
    fn name_session(&mut self) -> SessionId {
        let mut state = self.desk.state.lock();
        state.next_session += 1;
        let session = SessionId(state.next_session);
        state.sessions.insert(session, self.realm);
        session
    }

    fn on_launch(&mut self, launch: u64, secret: &Secret) {
        let hash = self.desk.hash(secret);
        self.hashes.insert(launch, hash);
        self.desk.state.lock().launches.insert(hash, self.realm);
    }

    fn on_launch_ended(&mut self, launch: u64) {
        if let Some(hash) = self.hashes.remove(&launch) {
            self.desk.state.lock().launches.remove(&hash);
        }
    }

    fn on_over(&mut self, session: SessionId) {
        self.desk.state.lock().sessions.remove(&session);
    }

    fn on_load(&mut self, load: Load) {
        self.allowance.on_load(self.realm, load);
    }

    fn room(&self) -> Room {
        self.allowance.room(self.realm)
    }

    fn on_end(&mut self, last: Seen) {
        self.allowance.on_end(self.realm);
        let mut state = self.desk.state.lock();
        let state = &mut *state;
        let Some(realm) = state.realms.get(&self.realm) else { return };
        let done = state.done.entry(realm.application).or_default();
        done.billed_ms += last.report.billed_ms;
        done.dollars += last.report.dollars;
        done.runs.truncate(RUNS_MAX - 1);
        done.runs.push_front(Arc::new(Run {
            run: self.realm,
            client: realm.client(),
            has_ended: true,
            workers: Vec::new(),
            report: last.report,
        }));
    }
}

impl Realm {
    fn client(&self) -> &'static str {
        if self.nonce.is_some() { PROGRAM } else { "http" }
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Application({}, {} keys)", self.name, self.keys.len())
    }
}
