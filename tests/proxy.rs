//! A network that misbehaves: a proxy before a TCP server, on a thread of its own.
//!
//! A link through it is two pumps, one for each way. What they do with what they read is the
//! [`Weather`], which may change at any time, for links that are there and for new ones. When
//! either end of a link closes, or the proxy cuts it, both ends see it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Which way bytes go: up is to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Up,
    Down,
}

/// What the network does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Weather {
    /// It carries everything.
    Clear,
    /// It carries everything so much later, in order.
    Delay(Duration),
    /// It carries so many bytes a second each way.
    Slow(u64),
    /// It swallows one direction, and says nothing: half-open.
    Swallow(Way),
    /// Each link breaks after a number of bytes, both ways together, up to this one: within the
    /// handshake, within a batch, after it.
    CutWithin(u64),
    /// New links are closed at once.
    Closed,
}

/// A proxy. Its links are cut when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    cuts: watch::Sender<u64>,
    links: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Proxy {
    /// A proxy before that server, in clear weather.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback works");
        listener.set_nonblocking(true).expect("a socket can be set");
        let address = listener.local_addr().expect("it is bound");
        let (weather, now) = watch::channel(Weather::Clear);
        let (cuts, cut) = watch::channel(0);
        let links = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let counted = links.clone();
        let thread = thread::spawn(move || {
            let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
            executor.expect("threads and sockets can be had").block_on(async {
                let listener = TcpListener::from_std(listener).expect("it is non-blocking");
                tokio::select! {
                    () = accept(listener, server, now, cut, counted) => {}
                    _ = stopped => {}
                }
            });
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Self { address, weather, cuts, links, stop, thread }
    }

    /// Where to connect instead of to the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather, from the next byte on.
    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Cuts all links that there are.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many links there were so far.
    pub(crate) fn links(&self) -> u64 {
        self.links.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    weather: watch::Receiver<Weather>,
    cuts: watch::Receiver<u64>,
    links: Arc<AtomicU64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let number = links.fetch_add(1, Ordering::Relaxed);
        if *weather.borrow() == Weather::Closed {
            continue;
        }
        // Marked before the server hears of the link, so that no later cut misses it.
        let mut cuts = cuts.clone();
        cuts.mark_unchanged();
        let (weather, fortune) = (weather.clone(), Arc::new(Fortune::of(number)));
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(server).await else { return };
            client.set_nodelay(true).ok();
            server.set_nodelay(true).ok();
            // Half of the links end by a reset, half by an orderly close.
            if number.is_multiple_of(2) {
                client.set_zero_linger().ok();
                server.set_zero_linger().ok();
            }
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                () = pump(Way::Up, from_client, to_server, weather.clone(), &fortune) => {}
                () = pump(Way::Down, from_server, to_client, weather, &fortune) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

/// How long a link holds: random enough, and the same in each run for the same number.
struct Fortune {
    random: u64,
    carried: AtomicI64,
}

impl Fortune {
    fn of(link: u64) -> Self {
        let mixed = (link + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let random = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16;
        Self { random, carried: AtomicI64::new(0) }
    }

    /// How many of so many bytes come through before the link breaks.
    fn within(&self, bytes_max: u64, wanted: usize) -> usize {
        let limit = (self.random % bytes_max.max(1)) as i64;
        let carried = self.carried.fetch_add(wanted as i64, Ordering::Relaxed);
        usize::try_from(limit - carried).unwrap_or(0).min(wanted)
    }
}

/// Bytes, and when they are to arrive.
type Line = mpsc::UnboundedSender<(Instant, Vec<u8>)>;

/// Carries one way until its end, or until the link breaks.
async fn pump(
    way: Way,
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    weather: watch::Receiver<Weather>,
    fortune: &Fortune,
) {
    let (line, mut due): (Line, _) = mpsc::unbounded_channel();
    let writing = async {
        while let Some((time, bytes)) = due.recv().await {
            sleep_until(time).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read(way, from, line, weather, fortune), writing);
}

async fn read(
    way: Way,
    mut from: OwnedReadHalf,
    line: Line,
    weather: watch::Receiver<Weather>,
    fortune: &Fortune,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let weather = *weather.borrow();
        let (mut through, mut time) = (count, Instant::now());
        match weather {
            Weather::Swallow(swallowed) if swallowed == way => through = 0,
            Weather::Delay(late) => time += late,
            Weather::Slow(rate) => {
                sleep(Duration::from_secs_f64(count as f64 / rate as f64)).await;
            }
            Weather::CutWithin(bytes_max) => through = fortune.within(bytes_max, count),
            _ => {}
        }
        let gone = line.send((time, buffer[..through].to_vec())).is_err();
        if gone || (through < count && matches!(weather, Weather::CutWithin(_))) {
            return;
        }
    }
}
