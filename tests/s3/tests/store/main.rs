//! The object store of the thumbnails job against a server that speaks S3.

mod environment;
mod failures;
mod job;
mod objects;

#[path = "../../../../examples/thumbnails/store.rs"]
mod store;

use farspawn_s3_tests::server::{self, Server};
use tempfile::TempDir;

use store::{Location, Store};

const BUCKET: &str = "photos";

/// A server with one empty bucket, over a folder that goes away with it.
struct Bench {
    server: Server,
    folder: TempDir,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let server = server::start(folder.path()).await.expect("server");
        server.create_bucket(BUCKET).expect("bucket");
        Self { server, folder }
    }

    fn location(&self, place: &str) -> Location {
        Location::s3(place, Some(&self.server.endpoint)).expect("location")
    }

    async fn open(&self, place: &str) -> Store {
        self.location(place).open().await.expect("open")
    }
}
