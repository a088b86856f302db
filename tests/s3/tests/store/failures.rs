//! What the store says when S3 cannot or will not.

use std::fs;
use std::net::Ipv4Addr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::environment::{
    with_credentials, with_wrong_access, with_wrong_secret, without_credentials,
};
use crate::store::{Location, Store, StoreError};
use crate::{BUCKET, Bench};

const BYTES_MAX: u64 = 1 << 20;

/// The errors of the three calls.
async fn errors(store: &Store) -> [StoreError; 3] {
    [
        store.get("a.png", BYTES_MAX).await.expect_err("get"),
        store.put("a.png", Bytes::from("text"), "text/plain").await.expect_err("put"),
        store.list(10).await.expect_err("list"),
    ]
}

/// A message is only of use with the place in it.
fn names(error: &StoreError, place: &str) -> bool {
    error.to_string().contains(place)
}

#[test]
fn a_missing_bucket() {
    with_credentials("failures::a_missing_bucket", async {
        let bench = Bench::start().await;
        for error in errors(&bench.open("elsewhere/in").await).await {
            assert!(matches!(error, StoreError::LocationMissing { .. }), "{error:?}");
            assert!(names(&error, "s3://elsewhere/in at http://127.0.0.1:"), "{error}");
        }
    });
}

#[test]
fn a_wrong_secret_key() {
    with_wrong_secret("failures::a_wrong_secret_key", async {
        let bench = Bench::start().await;
        for error in errors(&bench.open(BUCKET).await).await {
            assert!(matches!(error, StoreError::Credentials { .. }), "{error:?}");
            assert!(names(&error, "SignatureDoesNotMatch"), "{error}");
        }
    });
}

#[test]
fn a_wrong_access_key() {
    with_wrong_access("failures::a_wrong_access_key", async {
        let bench = Bench::start().await;
        for error in errors(&bench.open(BUCKET).await).await {
            assert!(matches!(error, StoreError::Credentials { .. }), "{error:?}");
        }
    });
}

#[test]
fn no_credentials() {
    without_credentials("failures::no_credentials", async {
        let bench = Bench::start().await;
        let error = bench.location(BUCKET).open().await.expect_err("open");
        assert!(matches!(error, StoreError::Credentials { .. }), "{error:?}");
        assert!(names(&error, "AWS_ACCESS_KEY_ID"), "{error}");
    });
}

#[test]
fn no_region_for_aws_itself() {
    with_credentials("failures::no_region_for_aws_itself", async {
        let error = Location::s3(BUCKET, None).expect("location").open().await.expect_err("open");
        assert!(names(&error, "AWS_REGION"), "{error}");
    });
}

#[test]
fn a_bucket_that_may_not_be_written() {
    with_credentials("failures::a_bucket_that_may_not_be_written", async {
        let bench = Bench::start().await;
        let bucket = bench.folder.path().join(BUCKET);
        let mut permissions = fs::metadata(&bucket).expect("metadata").permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&bucket, permissions).expect("permissions");
        let store = bench.open(BUCKET).await;
        let error = store.put("k", Bytes::new(), "text/plain").await.expect_err("put");
        assert!(matches!(error, StoreError::PermissionDenied { .. }), "{error:?}");
        assert!(names(&error, "write \"k\" to s3://photos"), "{error}");
    });
}

#[test]
fn a_port_on_which_nobody_listens() {
    with_credentials("failures::a_port_on_which_nobody_listens", async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bind");
        let endpoint = format!("http://{}", listener.local_addr().expect("address"));
        drop(listener);
        let location = Location::s3(BUCKET, Some(&endpoint)).expect("location");
        for error in errors(&location.open().await.expect("open")).await {
            assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
            assert!(names(&error, &endpoint), "{error}");
        }
    });
}

#[test]
fn a_server_that_stops() {
    with_credentials("failures::a_server_that_stops", async {
        let bench = Bench::start().await;
        let store = bench.open(BUCKET).await;
        store.put("a.png", Bytes::from("text"), "text/plain").await.expect("put");
        bench.server.stop().await;
        for error in errors(&store).await {
            assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        }
    });
}

#[test]
fn an_object_that_stops_coming() {
    with_credentials("failures::an_object_that_stops_coming", async {
        let (store, server) = broken(b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\nhalf").await;
        let error = store.get("k", BYTES_MAX).await.expect_err("cut");
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        assert!(names(&error, "stopped coming"), "{error}");
        server.abort();
    });
}

#[test]
fn a_large_object_is_refused_before_it_is_read() {
    with_credentials("failures::a_large_object_is_refused_before_it_is_read", async {
        // Nothing follows the head: who waits for the body gets another error.
        let (store, server) =
            broken(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000000\r\n\r\n").await;
        let error = store.get("k", 1000).await.expect_err("too large");
        let expected = StoreError::TooLarge {
            location: "s3://photos".to_owned(),
            key: "k".to_owned(),
            bytes: 9_000_000_000,
            bytes_max: 1000,
        };
        assert_eq!(without_endpoint(error), expected);
        server.abort();
    });
}

#[test]
fn an_object_without_announced_size_is_limited_too() {
    with_credentials("failures::an_object_without_announced_size_is_limited_too", async {
        let (store, server) = broken(b"HTTP/1.1 200 OK\r\n\r\nmore than three").await;
        let error = store.get("k", 3).await.expect_err("too large");
        assert!(matches!(error, StoreError::TooLarge { bytes_max: 3, .. }), "{error:?}");
        server.abort();
    });
}

#[test]
fn a_server_that_is_not_s3() {
    with_credentials("failures::a_server_that_is_not_s3", async {
        let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n<p>no</p>";
        let (store, server) = broken(answer).await;
        let error = store.get("k", 3).await.expect_err("nonsense");
        assert!(matches!(error, StoreError::Other { .. }), "{error:?}");
        server.abort();
    });
}

/// A store at a server that gives every connection the same bytes, then closes it.
async fn broken(answer: &'static [u8]) -> (Store, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bind");
    let endpoint = format!("http://{}", listener.local_addr().expect("address"));
    let server = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            // A request of these tests is small enough to come in one piece.
            let _ = socket.read(&mut [0; 16 * 1024]).await;
            let _ = socket.write_all(answer).await;
        }
    });
    let location = Location::s3(BUCKET, Some(&endpoint)).expect("location");
    (location.open().await.expect("open"), server)
}

fn without_endpoint(error: StoreError) -> StoreError {
    let StoreError::TooLarge { location, key, bytes, bytes_max } = error else { return error };
    let location = location.split(" at ").next().unwrap_or_default().to_owned();
    StoreError::TooLarge { location, key, bytes, bytes_max }
}
