//! A coordinator of a test's own, whose workers reach it through a [`Proxy`].

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use ::coordinator::Settings;
use ::coordinator::platform::{Ended, Launch, Local, Platform};
use ::coordinator::scheduler::Policy;
use ::coordinator::server::{Config, serve};
use runtime::{Builder, Place, Runtime, Secret};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::cluster::program;
use crate::proxy::{Proxy, Weather};

/// A coordinator on a thread of its own, and the network before it. Ends with the test.
pub(crate) struct Site {
    /// Between the workers and the coordinator.
    pub(crate) network: Proxy,
    /// Between the coordinator and a client that is far.
    pub(crate) client_network: Proxy,
    workers: usize,
    server: SocketAddr,
    key: Secret,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Site {
    /// Workers are processes. Nobody kills one whose session has ended: it must end by itself.
    pub(crate) fn start(workers: usize, lease: Duration) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback works");
        listener.set_nonblocking(true).expect("a socket can be set");
        let server = listener.local_addr().expect("it is bound");
        let [network, client_network] = [Proxy::before(server), Proxy::before(server)];
        let key = Secret::random();
        let policy = Policy { workers_max: workers, threads: 2, ..Policy::default() };
        let settings = Settings { policy, lease, ..Settings::default() };
        let config = Config { settings, client_secrets: vec![key.clone()] };
        let far = Far { near: Local::new(program()), address: address(network.address()) };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
            executor.expect("threads and sockets can be had").block_on(async {
                let listener = TcpListener::from_std(listener).expect("it is non-blocking");
                serve(listener, config, Box::new(far), stopped).await.expect("it is bound");
            });
        });
        Self {
            network,
            client_network,
            workers,
            server,
            key,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A client with a whole link; each of its tasks goes to a worker of its own, as far as they
    /// go.
    pub(crate) fn client(&self) -> Builder {
        let builder = Runtime::builder().workers(self.workers).place(Place::Apart);
        builder.coordinator(address(self.server), self.key.clone())
    }

    /// A client whose link goes through a network of its own.
    pub(crate) fn far_client(&self) -> Builder {
        self.client().coordinator(address(self.client_network.address()), self.key.clone())
    }

    /// Changes the weather everywhere.
    pub(crate) fn set(&self, weather: Weather) {
        self.network.set(weather);
        self.client_network.set(weather);
    }

    /// Cuts all links.
    pub(crate) fn cut(&self) {
        self.network.cut();
        self.client_network.cut();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn address(socket: SocketAddr) -> String {
    format!("ws://{socket}")
}

/// Workers that are told another address.
struct Far {
    near: Local,
    address: String,
}

impl Platform for Far {
    fn launch(&mut self, launch: Launch, ended: Ended) {
        self.near.launch(Launch { coordinator: self.address.clone(), ..launch }, ended);
    }

    fn stop(&mut self, _: u64) {}
}
