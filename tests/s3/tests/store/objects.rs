//! What the store does when all is well, in S3 and, for comparison, in a folder.

use std::fs;

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::environment::with_credentials;
use crate::store::{Location, Object, Store, StoreError};
use crate::{BUCKET, Bench};

const BYTES_MAX: u64 = 1 << 20;

fn object(key: &str, bytes: u64) -> Object {
    Object { key: key.to_owned(), bytes: Ok(bytes) }
}

/// What both kinds of store must answer alike.
async fn contract(store: &Store) {
    assert_eq!(store.list(10).await, Ok(Vec::new()));
    for (key, text) in [("b", "1"), ("a/z", "22"), ("a-b", "333"), ("a/y/x", ""), ("é ü+%&", "5")]
    {
        store.put(key, Bytes::from(text), "text/plain").await.expect(key);
        assert_eq!(store.get(key, BYTES_MAX).await, Ok(Bytes::from(text)));
    }
    let all = [object("a-b", 3), object("a/y/x", 0), object("a/z", 2), object("b", 1)];
    let mut listed = store.list(10).await.expect("list");
    assert_eq!(listed.pop(), Some(object("é ü+%&", 1)));
    assert_eq!(listed, all);
    assert_eq!(store.list(2).await.expect("list"), all[..2]);
    assert_eq!(store.list(0).await, Ok(Vec::new()));

    store.put("b", Bytes::from("longer"), "text/plain").await.expect("put again");
    assert_eq!(store.get("b", 6).await, Ok(Bytes::from("longer")));
    let error = store.get("b", 5).await.expect_err("too large");
    assert!(matches!(error, StoreError::TooLarge { bytes: 6, bytes_max: 5, .. }), "{error}");
    for key in ["none", "a", "a/none"] {
        let error = store.get(key, BYTES_MAX).await.expect_err(key);
        assert!(matches!(error, StoreError::NotFound { .. }), "{key}: {error}");
    }
    for key in ["", "/b", "../b", "a//z", "a/"] {
        let error = store.get(key, BYTES_MAX).await.expect_err(key);
        assert!(matches!(error, StoreError::InvalidKey { .. }), "{key}: {error}");
        let error = store.put(key, Bytes::new(), "text/plain").await.expect_err(key);
        assert!(matches!(error, StoreError::InvalidKey { .. }), "{key}: {error}");
    }
}

#[test]
fn a_bucket_keeps_the_contract() {
    with_credentials("objects::a_bucket_keeps_the_contract", async {
        let bench = Bench::start().await;
        contract(&bench.open(BUCKET).await).await;
    });
}

#[test]
fn a_prefix_keeps_the_contract() {
    with_credentials("objects::a_prefix_keeps_the_contract", async {
        let bench = Bench::start().await;
        contract(&bench.open("photos/2026/in").await).await;
    });
}

#[test]
fn a_folder_keeps_the_contract() {
    with_credentials("objects::a_folder_keeps_the_contract", async {
        let folder = tempfile::tempdir().expect("temporary folder");
        let location = Location::folder(folder.path()).expect("location");
        contract(&location.open().await.expect("open")).await;
    });
}

#[test]
fn a_prefix_hides_what_is_beside_it() {
    with_credentials("objects::a_prefix_hides_what_is_beside_it", async {
        let bench = Bench::start().await;
        let whole = bench.open(BUCKET).await;
        for key in ["in/a", "in2/b", "c"] {
            whole.put(key, Bytes::from("text"), "text/plain").await.expect(key);
        }
        // What the console of S3 makes for a new folder.
        let bucket = bench.folder.path().join(BUCKET);
        fs::create_dir(bucket.join("in/empty")).expect("folder");
        let part = bench.open("photos/in/").await;
        assert_eq!(part.list(10).await, Ok(vec![object("a", 4)]));
        assert!(part.get("a", BYTES_MAX).await.is_ok());
        part.put("deep/d", Bytes::from("more"), "text/plain").await.expect("put");
        assert_eq!(fs::read_to_string(bucket.join("in/deep/d")).expect("read"), "more");
    });
}

#[test]
fn a_listing_goes_on_after_the_first_page() {
    with_credentials("objects::a_listing_goes_on_after_the_first_page", async {
        let bench = Bench::start().await;
        let bucket = bench.folder.path().join(BUCKET);
        for number in 0..2345 {
            fs::write(bucket.join(format!("{number:05}")), "x").expect("write");
        }
        let store = bench.open(BUCKET).await;
        let all = store.list(5000).await.expect("list");
        assert_eq!(all.len(), 2345);
        assert!(all.windows(2).all(|pair| pair[0].key < pair[1].key));
        assert_eq!(store.list(1001).await.expect("list"), all[..1001]);
    });
}

#[test]
fn many_tasks_share_one_store() {
    with_credentials("objects::many_tasks_share_one_store", async {
        let bench = Bench::start().await;
        let location = bench.location("photos/out");
        let mut tasks = JoinSet::new();
        for number in 0..50_u8 {
            let location = location.clone();
            tasks.spawn(async move {
                let store = location.open().await.expect("open");
                let bytes = Bytes::from(vec![number; 40_000]);
                store.put(&number.to_string(), bytes.clone(), "image/png").await.expect("put");
                assert_eq!(store.get(&number.to_string(), 40_000).await, Ok(bytes));
            });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.expect("task");
        }
        assert_eq!(location.open().await.expect("open").list(100).await.expect("list").len(), 50);
    });
}
