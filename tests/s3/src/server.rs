//! The server: `s3s-fs` on a loopback port, which checks signatures, plus what it leaves out.
//!
//! [`Rules`] answers like S3 where the files of `s3s-fs` show through: a bucket that is missing,
//! and a key that is only the name of a folder. A bucket whose folder is read-only refuses puts, so
//! that a test can see what that looks like, also when it runs as root.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// What a client puts into its environment.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_key: String,
}

impl Credentials {
    /// Those that every server here accepts: it is for tests, and serves one loopback port.
    pub fn for_tests() -> Self {
        Self { access_key: "farspawn-test".to_owned(), secret_key: "not-a-secret".to_owned() }
    }
}

/// A running server, which stops when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// Its URL.
    pub endpoint: String,
    /// Those it accepts.
    pub credentials: Credentials,
    folder: PathBuf,
    accepting: JoinHandle<()>,
}

/// Serves the folders in `folder` as buckets, on a port that the system chooses.
///
/// Must be called in a tokio runtime, on which the server then runs.
pub async fn start(folder: &Path) -> io::Result<Server> {
    let credentials = Credentials::for_tests();
    let files = FileSystem::new(folder).map_err(|error| io::Error::other(format!("{error:?}")))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(
        credentials.access_key.as_str(),
        credentials.secret_key.as_str(),
    ));
    builder.set_access(Rules { folder: folder.to_owned() });
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let accepting = tokio::spawn(accept(listener, builder.build()));
    Ok(Server { endpoint, credentials, folder: folder.to_owned(), accepting })
}

impl Server {
    /// Makes a bucket, as an empty folder.
    pub fn create_bucket(&self, name: &str) -> io::Result<PathBuf> {
        let bucket = self.folder.join(name);
        std::fs::create_dir(&bucket).map(|()| bucket)
    }

    /// Closes the port and cuts all connections; when it returns nobody listens any more.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // It was cancelled, which is what was asked for.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connections belong to this task, so they end with it.
async fn accept(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                let service = service.clone();
                connections.spawn(async move {
                    // A client that goes away is its own business.
                    let _ = Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What S3 refuses before it looks at an object.
struct Rules {
    folder: PathBuf,
}

#[async_trait::async_trait]
impl S3Access for Rules {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        let (S3Path::Bucket { bucket } | S3Path::Object { bucket, .. }) = context.s3_path() else {
            return Ok(());
        };
        let folder = self.folder.join(&**bucket);
        let Ok(metadata) = folder.metadata() else {
            return Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"));
        };
        match (context.s3_op().name(), context.s3_path()) {
            ("PutObject", _) if metadata.permissions().readonly() => {
                Err(s3_error!(AccessDenied, "Access Denied"))
            }
            ("GetObject", S3Path::Object { key, .. }) if folder.join(&**key).is_dir() => {
                Err(s3_error!(NoSuchKey, "The specified key does not exist."))
            }
            _ => Ok(()),
        }
    }
}
