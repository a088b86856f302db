//! HTTP connections, and whose they are.
//!
//! A connection is a *guest* until a request on it shows a key; from then on it is of that key's
//! application, on whose account it stays until it ends, or a request shows the key of another.

use std::sync::Arc;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::http::READ_TIMEOUT;
use super::quota::Allowance;
use crate::server::{Guest, Porch, Wrap, accept_each};

/// Whose a connection is.
pub(super) struct Standing(Mutex<Whose>);

enum Whose {
    Nobodys { _guest: Guest },
    Of { application: usize, _place: OwnedSemaphorePermit },
}

impl Standing {
    /// A request on it showed a key of this application. If that has too many, how many.
    pub(super) fn show(&self, application: usize, allowance: &Allowance) -> Result<(), u32> {
        let mut whose = self.0.lock();
        if !matches!(&*whose, Whose::Of { application: of, .. } if *of == application) {
            let place = allowance.connect_http()?;
            *whose = Whose::Of { application, _place: place };
        }
        Ok(())
    }
}

/// Accepts connections as long as it is polled.
pub(super) async fn serve(
    listener: TcpListener,
    routes: Router,
    wrap: impl Wrap,
    room: Arc<Semaphore>,
    porch: Arc<Porch>,
) {
    let serve = move |stream| {
        let (routes, wrap, porch) = (routes.clone(), wrap.clone(), porch.clone());
        async move { connection(stream, routes, &wrap, &porch).await }
    };
    accept_each(listener, room, serve).await;
}

async fn connection(stream: TcpStream, routes: Router, wrap: &impl Wrap, porch: &Arc<Porch>) {
    let (guest, pushed) = porch.enter();
    let serving = async {
        let Ok(Ok(stream)) = timeout(READ_TIMEOUT, wrap.wrap(stream)).await else { return };
        let standing = Arc::new(Standing(Mutex::new(Whose::Nobodys { _guest: guest })));
        let routes = TowerToHyperService::new(routes);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(standing.clone());
            routes.call(request)
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(READ_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = served.await {
            tracing::debug!("an HTTP connection ended: {error}");
        }
    };
    tokio::select! {
        () = serving => {}
        Ok(()) = pushed => tracing::debug!("an HTTP connection made room for another"),
    }
}
