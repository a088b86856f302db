//! What the coordinator keeps for an idle channel, and for an idle connection.
//!
//! Channels are held by the pure coordinator in this process. Connections are real: a coordinator
//! in a process of its own, whose workers are sockets of this one; each says hello and answers
//! nothing more. Both are resident memory before and after, over their number.

use std::fs;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use channels::id::{ChannelId, SessionId, TaskId};
use channels::wire::{
    BatchWriter, Build, Envelope, Frame, PROTOCOL_VERSION, Parcel, Place, Role, Secret,
    SpawnOptions, link_batch,
};
use coordinator::platform::{Ended, Launch, Platform};
use coordinator::scheduler::Policy;
use coordinator::{Coordinator, Event, Limits, Settings};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, connect_async};

use crate::contender::{Process, end_with_input};
use crate::ours::{self, KEY};

/// Silence that nobody minds: these workers say nothing.
const LEASE: Duration = Duration::from_secs(3600);
const CHANNEL_BYTES_MAX: f64 = 1024.0;
const CONNECTION_BYTES_MAX: f64 = 32.0 * 1024.0;

/// Prints both figures.
pub(crate) fn report(channels: usize, connections: usize, json: bool) -> anyhow::Result<()> {
    let channel = of_channels(channels)?;
    print("channel", channels, channel, CHANNEL_BYTES_MAX, json);
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connection = executor.block_on(of_connections(connections))?;
    print("connection", connections, connection, CONNECTION_BYTES_MAX, json);
    Ok(())
}

fn print(what: &str, count: usize, bytes: f64, bytes_max: f64, json: bool) {
    if json {
        println!("{}", json!({ "idle": what, "held": count, "bytes": bytes, "target": bytes_max }));
    } else {
        println!("{count} idle {what}s: {bytes:.0} B each (target <= {bytes_max:.0})");
    }
}

fn build() -> Build {
    Build { release: "bench".to_owned(), tasks: 1, hash: 7 }
}

fn of_channels(count: usize) -> anyhow::Result<f64> {
    let limits = Limits { channels_max: count, ..Limits::default() };
    let mut core = Coordinator::new(Settings { limits, ..Settings::default() });
    let mut commands = Vec::new();
    let session = SessionId(1);
    let role = Role::Client { workers_max: 1, place: Place::Auto };
    let version = PROTOCOL_VERSION;
    let connected = Event::Connected { session, version, build: build(), role };
    core.handle(Duration::ZERO, connected, &mut commands);
    let before = resident(std::process::id())?;
    for at in 0..count {
        // As random as identities are.
        let channel =
            ChannelId((at as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let frame = Frame::Export { channel, capacity: 128, senders: 1, receivers: 1 };
        core.handle(Duration::ZERO, Event::Received { session, frame }, &mut commands);
        commands.clear();
    }
    let after = resident(std::process::id())?;
    anyhow::ensure!(core.channels() == count, "{} channels are held", core.channels());
    Ok((after - before) / count as f64)
}

type Socket = WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn of_connections(count: usize) -> anyhow::Result<f64> {
    let mut coordinator = Process::role(&["coordinator-of", &count.to_string()])?;
    let address = coordinator.line()?;
    let role = Role::Client { workers_max: count as u32, place: Place::Apart };
    let (mut client, mut envelope) = connect(&address, role, KEY).await?;
    let before = resident(coordinator.id())?;
    let mut workers = Vec::new();
    while workers.len() < count {
        // Each task wants a worker of its own.
        spawn(&mut client, &mut envelope).await?;
        let line = coordinator.line()?;
        let (launch, secret) = line.split_once(' ').context("a launch and its secret")?;
        let launch = launch.parse()?;
        let secret = Secret::from_hex(secret).context("a secret in hexadecimal digits")?;
        let role = Role::Worker { launch, threads: 1, memory_bytes: 1 << 30, process: 0 };
        workers.push(connect(&address, role, secret).await?);
    }
    let after = resident(coordinator.id())?;
    Ok((after - before) / count as f64)
}

/// Says hello and is welcomed.
async fn connect(address: &str, role: Role, secret: Secret) -> anyhow::Result<(Socket, Envelope)> {
    let (mut socket, _) = connect_async(address).await?;
    let (version, build) = (PROTOCOL_VERSION, build());
    let hello = link_batch(&Frame::Hello { version, build, role, secret, nonce: 1 });
    socket.send(Message::Binary(hello)).await?;
    match socket.next().await.context("the coordinator hung up")?? {
        Message::Binary(bytes) => {
            let (_, frames) = channels::wire::read_batch(bytes)?;
            match frames.first() {
                Some(Frame::Welcome { epoch, .. }) => {
                    let envelope = Envelope { epoch: *epoch, sequence: 1, acknowledged: 0 };
                    Ok((socket, envelope))
                }
                other => bail!("instead of a welcome came {other:?}"),
            }
        }
        other => bail!("instead of a batch came {other:?}"),
    }
}

async fn spawn(socket: &mut Socket, envelope: &mut Envelope) -> anyhow::Result<()> {
    let number = u128::from(envelope.sequence);
    let (task, result) = (TaskId(number), ChannelId(number));
    let (name, options) = ("idle".to_owned(), SpawnOptions::default());
    let arguments = Parcel::default();
    let spawn = Frame::Spawn { task, name, signature: 7, options, result, arguments };
    say(socket, envelope, &spawn).await
}

async fn say(socket: &mut Socket, envelope: &mut Envelope, frame: &Frame) -> anyhow::Result<()> {
    let mut batch = BatchWriter::default();
    batch.push(frame);
    let bytes = batch.finish(*envelope);
    envelope.sequence += 1;
    Ok(socket.send(Message::Binary(bytes)).await?)
}

/// Runs a coordinator that tells its launches on its standard output.
pub(crate) fn coordinate(workers: usize) -> anyhow::Result<()> {
    end_with_input();
    let policy = Policy { workers_max: workers, threads: 1, placement: None, ..Policy::default() };
    ours::run(Settings { policy, lease: LEASE, ..Settings::default() }, Box::new(Told::default()))
}

/// Workers that somebody else makes.
#[derive(Default)]
struct Told(Vec<Ended>);

impl Platform for Told {
    fn launch(&mut self, launch: Launch, ended: Ended) {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{} {}", launch.number, launch.secret.to_hex()).ok();
        out.flush().ok();
        self.0.push(ended);
    }

    fn stop(&mut self, _: u64) {}
}

/// Memory of a process that is in use now, in bytes.
fn resident(process: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kibibytes.context("a process has resident memory")?.trim().parse::<f64>()? * 1024.0)
}
