//! Channels of this project: a coordinator, a client that sends and runs the laps, and a worker
//! that receives.

use std::env;

use anyhow::{Context, anyhow};
use channels::wire::Secret;
use coordinator::Settings;
use coordinator::platform::{Local, Program};
use coordinator::server::{Config, serve};
use runtime::{Message, Place, Receiver, RecvError, Runtime, Sender, channel, spawn, task};
use serde_bytes::ByteBuf;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::contender::{Lap, end_with_input, serve_laps};
use crate::meter;
use crate::row::Pattern;

/// The key of a coordinator that lives as long as the run and listens on loopback.
pub(crate) const KEY: Secret = Secret([7; 32]);

/// Runs a coordinator, and prints its address.
pub(crate) fn coordinate() -> anyhow::Result<()> {
    end_with_input();
    let program = Program {
        path: env::current_exe()?,
        arguments: Vec::new(),
        environment: vec![("FARSPAWN_WORKER_THREADS".into(), "2".into())],
    };
    run(Settings::default(), Box::new(Local::new(program)))
}

/// Serves until the process ends.
pub(crate) fn run(
    settings: Settings,
    platform: Box<dyn coordinator::platform::Platform>,
) -> anyhow::Result<()> {
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    executor.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("ws://{}", listener.local_addr()?);
        let (_stop, stopped) = oneshot::channel();
        let config = Config { settings, client_secrets: vec![KEY] };
        serve(listener, config, platform, stopped).await?;
        Ok(())
    })
}

/// Connects, starts the one worker and prints its process id, then runs laps.
pub(crate) fn run_laps(coordinator: &str) -> anyhow::Result<()> {
    let builder = Runtime::builder().workers(1).place(Place::Apart);
    let runtime = builder.coordinator(coordinator, KEY).build()?;
    // A worker without tasks would be sent home between laps.
    let (_resident, leave) = channel::<()>(0);
    let (tell, told) = channel(1);
    let process = runtime.block_on(async {
        drop(spawn(stay(leave, tell)));
        told.recv().await
    })?;
    println!("{process}");
    serve_laps(|lap| runtime.block_on(run_lap(lap)))
}

/// Keeps its worker until the client goes.
#[task]
async fn stay(leave: Receiver<()>, tell: Sender<u32>) {
    tell.send(std::process::id()).await.ok();
    leave.recv().await.ok();
}

#[task]
async fn take_numbers(values: Receiver<u64>, ready: Sender<()>, count: u64) -> Result<(), String> {
    take(values, ready, count).await
}

#[task]
async fn take_blocks(values: Receiver<ByteBuf>, ready: Sender<()>, n: u64) -> Result<(), String> {
    take(values, ready, n).await
}

async fn take<T: Message>(
    values: Receiver<T>,
    ready: Sender<()>,
    count: u64,
) -> Result<(), String> {
    ready.send(()).await.map_err(|error| error.to_string())?;
    for _ in 0..count {
        values.recv().await.map_err(|error| error.to_string())?;
    }
    match values.recv().await {
        Err(RecvError::Closed) => Ok(()),
        other => Err(format!("after the last message {:?}", other.map(|_| "another"))),
    }
}

#[task]
async fn echo(values: Receiver<u64>, back: Sender<u64>) {
    while let Ok(value) = values.recv().await {
        if back.send(value).await.is_err() {
            break;
        }
    }
}

async fn run_lap(lap: Lap) -> anyhow::Result<u128> {
    match (lap.row.pattern, lap.row.size) {
        (Pattern::PingPong, _) => ping_pong(lap).await,
        (Pattern::Stream, 8) => {
            stream(lap, |at| at, |values, ready| spawn(take_numbers(values, ready, lap.messages)))
                .await
        }
        (Pattern::Stream, size) => {
            let block = move |_| ByteBuf::from(vec![7; size]);
            stream(lap, block, |values, ready| spawn(take_blocks(values, ready, lap.messages)))
                .await
        }
    }
}

async fn stream<T: Message>(
    lap: Lap,
    value: impl Fn(u64) -> T,
    start: impl FnOnce(Receiver<T>, Sender<()>) -> runtime::JoinHandle<Result<(), String>>,
) -> anyhow::Result<u128> {
    let (sender, values) = channel(lap.row.capacity);
    let (tell, ready) = channel(1);
    let taker = start(values, tell);
    ready.recv().await?;
    let begun = meter::now()?;
    for at in 0..lap.messages {
        let sent = sender.send(value(at)).await;
        sent.map_err(|error| anyhow!("{error}")).context("sending")?;
    }
    drop(sender);
    taker.await?.map_err(|error| anyhow!(error))?;
    Ok(meter::now()? - begun)
}

async fn ping_pong(lap: Lap) -> anyhow::Result<u128> {
    let (there, values) = channel(lap.row.capacity);
    let (answers, back) = channel(lap.row.capacity);
    let partner = spawn(echo(values, answers));
    let trip = async |value| {
        there.send(value).await?;
        anyhow::ensure!(back.recv().await? == value, "the answer is another");
        Ok(())
    };
    trip(0).await?;
    let begun = meter::now()?;
    for at in 1..=lap.messages {
        trip(at).await?;
    }
    let nanos = meter::now()? - begun;
    drop(there);
    partner.await?;
    Ok(nanos)
}
