//! HTTP/1.1 on loopback: a listener, and a function for each request.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Beyond any payload that Lambda allows.
const BODY_BYTES_MAX: usize = 8 << 20;

/// A request, all of it.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The method, and the parts of the path.
    pub(crate) fn route(&self) -> (&str, Vec<&str>) {
        (self.method.as_str(), self.path.split('/').filter(|part| !part.is_empty()).collect())
    }
}

/// What is answered.
pub(crate) type Said = Response<Full<Bytes>>;

/// An answer with a JSON body.
pub(crate) fn say(status: u16, body: impl Into<Bytes>) -> Said {
    let mut said = Response::new(Full::new(body.into()));
    *said.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let json = HeaderValue::from_static("application/json");
    said.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    said
}

/// The same with a header more.
pub(crate) fn with(mut said: Said, name: &'static str, value: &str) -> Said {
    if let Ok(value) = HeaderValue::from_str(value) {
        said.headers_mut().insert(HeaderName::from_static(name), value);
    }
    said
}

/// Serves until the future is dropped; then all its connections are cut.
pub(crate) async fn serve<F, R>(listener: TcpListener, answer: F) -> io::Result<()>
where
    F: Fn(Asked) -> R + Send + Sync + 'static,
    R: Future<Output = Said> + Send + 'static,
{
    let answer = Arc::new(answer);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                let answer = answer.clone();
                let service = service_fn(move |request| one(answer.clone(), request));
                let connection = Builder::new().serve_connection(TokioIo::new(stream), service);
                // Whoever hangs up is heard of by whoever waits for him.
                connections.spawn(async move { connection.await.ok() });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn one<F, R>(answer: Arc<F>, request: Request<Incoming>) -> Result<Said, Infallible>
where
    F: Fn(Asked) -> R,
    R: Future<Output = Said>,
{
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(say(413, format!("{{\"message\":\"{error}\"}}"))),
    };
    let path = head.uri.path().to_owned();
    Ok(answer(Asked { method: head.method, path, headers: head.headers, body }).await)
}
