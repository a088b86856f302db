//! The store in a folder, from outside: what it writes, lists, and refuses.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use super::super::key::KeyFault;
use super::super::{Location, Object, Store, StoreError};
use super::{Call, Folder, fault};

const BYTES_MAX: u64 = 1000;

async fn open(folder: &TempDir) -> Store {
    let location = Location::folder(folder.path()).expect("location");
    location.open().await.expect("open")
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("temporary folder")
}

async fn put(store: &Store, key: &str, text: &'static str) -> Result<(), StoreError> {
    store.put(key, Bytes::from_static(text.as_bytes()), "text/plain").await
}

async fn keys(store: &Store) -> Vec<String> {
    store.list(100).await.expect("list").into_iter().map(|object| object.key).collect()
}

fn is_invalid(error: &StoreError, expected: &KeyFault) -> bool {
    matches!(error, StoreError::InvalidKey { fault, .. } if fault == expected)
}

#[tokio::test]
async fn what_is_put_can_be_got_and_is_listed_in_key_order() {
    let folder = temporary();
    let store = open(&folder).await;
    for key in ["b.txt", "a/z", "a-b", "a/y/x", "a.txt"] {
        put(&store, key, "first").await.expect(key);
    }
    put(&store, "a/z", "second, longer").await.expect("put again");
    assert_eq!(store.get("a/z", BYTES_MAX).await, Ok(Bytes::from_static(b"second, longer")));
    assert_eq!(keys(&store).await, ["a-b", "a.txt", "a/y/x", "a/z", "b.txt"]);
    let first = store.list(1).await.expect("list");
    assert_eq!(first, [Object { key: "a-b".to_owned(), bytes: Ok(5) }]);
    assert_eq!(store.list(0).await, Ok(Vec::new()));
}

#[tokio::test]
async fn an_object_over_the_limit_is_refused_with_both_sizes() {
    let folder = temporary();
    let store = open(&folder).await;
    put(&store, "k", "12345").await.expect("put");
    assert_eq!(store.get("k", 5).await.map(|bytes| bytes.len()), Ok(5));
    let error = store.get("k", 4).await.expect_err("too large");
    assert!(matches!(error, StoreError::TooLarge { bytes: 5, bytes_max: 4, .. }), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let folder = temporary();
    let store = open(&folder).await;
    put(&store, "a/b", "text").await.expect("put");
    for key in ["x", "a", "a/b/c", "x/y"] {
        let error = store.get(key, BYTES_MAX).await.expect_err(key);
        assert!(matches!(error, StoreError::NotFound { .. }), "{key}: {error}");
    }
    folder.close().expect("remove the folder");
    let missing = |error: StoreError| matches!(error, StoreError::LocationMissing { .. });
    assert!(missing(store.get("a/b", BYTES_MAX).await.expect_err("get")));
    assert!(missing(put(&store, "a/b", "text").await.expect_err("put")));
    assert!(missing(store.list(1).await.expect_err("list")));
}

#[tokio::test]
async fn only_an_existing_folder_can_be_opened() {
    let folder = temporary();
    let location = Location::folder(folder.path().join("none")).expect("location");
    let error = location.open().await.expect_err("missing");
    assert!(matches!(error, StoreError::LocationMissing { .. }), "{error}");
    fs::write(folder.path().join("file"), "").expect("write");
    let location = Location::folder(folder.path().join("file")).expect("location");
    assert!(location.open().await.is_err());
}

#[tokio::test]
async fn keys_that_leave_the_folder_are_refused() {
    let outside = temporary();
    fs::write(outside.path().join("secret"), "secret").expect("write");
    let folder = temporary();
    symlink(outside.path(), folder.path().join("out")).expect("symlink");
    symlink(outside.path().join("secret"), folder.path().join("link")).expect("symlink");
    symlink(outside.path().join("none"), folder.path().join("dangling")).expect("symlink");
    let store = open(&folder).await;
    for key in ["out/secret", "link"] {
        let error = store.get(key, BYTES_MAX).await.expect_err(key);
        assert!(is_invalid(&error, &KeyFault::Leaves), "{key}: {error}");
    }
    for key in ["out/new", "out/deep/new", "dangling/new"] {
        let error = put(&store, key, "text").await.expect_err(key);
        assert!(is_invalid(&error, &KeyFault::Leaves), "{key}: {error}");
    }
    for key in ["../secret", "/etc/passwd", "a\0b", ""] {
        assert!(matches!(
            store.get(key, BYTES_MAX).await.expect_err(key),
            StoreError::InvalidKey { .. }
        ));
    }
    assert_eq!(keys(&store).await, Vec::<String>::new());
    assert_eq!(fs::read_dir(outside.path()).expect("read").count(), 1);
    // Putting over a link replaces the link, and leaves its target alone.
    put(&store, "link", "mine").await.expect("put");
    assert_eq!(fs::read_to_string(outside.path().join("secret")).expect("read"), "secret");
    assert_eq!(keys(&store).await, ["link"]);
}

#[tokio::test]
async fn links_inside_the_folder_work_and_do_not_run_in_circles() {
    let folder = temporary();
    let store = open(&folder).await;
    put(&store, "a/b", "text").await.expect("put");
    symlink(folder.path().join("a/b"), folder.path().join("same")).expect("symlink");
    symlink(folder.path(), folder.path().join("a/round")).expect("symlink");
    assert_eq!(keys(&store).await, ["a/b", "same"]);
    assert!(store.get("same", BYTES_MAX).await.is_ok());
    assert!(store.get("a/round/a/b", BYTES_MAX).await.is_ok());
}

#[tokio::test]
async fn what_is_no_regular_file_is_no_object() {
    let folder = temporary();
    let store = open(&folder).await;
    let _socket = UnixListener::bind(folder.path().join("socket")).expect("bind");
    assert_eq!(keys(&store).await, Vec::<String>::new());
    let error = store.get("socket", BYTES_MAX).await.expect_err("socket");
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
}

/// Not by taking rights away, which the user of most containers would not notice: by a path that is
/// longer than the system allows, and that only a folder moved into place can have.
#[tokio::test]
async fn what_cannot_be_looked_at_is_listed_with_its_reason() {
    let folder = temporary();
    let store = open(&folder).await;
    put(&store, "a", "text").await.expect("put");
    put(&store, "z", "text").await.expect("put");
    let deep = |start: &str, parts: usize| {
        let parts = vec!["d".repeat(200); parts].join("/");
        let path = folder.path().join(start).join(parts);
        fs::create_dir_all(&path).expect("the longest paths have 4096 bytes");
        path
    };
    let (upper, _lower) = (deep("m", 12), deep("n", 12));
    fs::rename(folder.path().join("n"), upper.join("n")).expect("move");
    let listed = store.list(100).await.expect("list");
    let [first, unknown, last] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((first.key.as_str(), last.key.as_str()), ("a", "z"));
    assert!(first.bytes.is_ok() && last.bytes.is_ok());
    assert!(unknown.key.starts_with("m/dd") && unknown.key.contains("/n/dd"), "{unknown:?}");
    let error = unknown.bytes.as_ref().expect_err("too long a path").to_string();
    assert!(error.contains(&unknown.key), "{error}");
    assert_eq!(store.list(2).await.expect("list"), listed[..2]);
}

#[tokio::test]
async fn a_failed_put_leaves_nothing_and_partial_files_are_not_listed() {
    let folder = temporary();
    let store = open(&folder).await;
    put(&store, "a/b", "text").await.expect("put");
    for key in ["a", "a/b/c"] {
        let error = put(&store, key, "text").await.expect_err(key);
        assert!(is_invalid(&error, &KeyFault::Conflict), "{key}: {error}");
    }
    let long = "n".repeat(300);
    let error = put(&store, &long, "text").await.expect_err("a long name");
    assert!(is_invalid(&error, &KeyFault::FileName), "{error}");
    let names: Vec<_> = fs::read_dir(folder.path())
        .expect("read")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(names, ["a"]);
    fs::write(folder.path().join(".farspawn-0000000000000001.partial"), "").expect("write");
    fs::write(folder.path().join(".hidden"), "").expect("write");
    assert_eq!(keys(&store).await, [".hidden", "a/b"]);
}

#[tokio::test]
async fn readers_see_a_whole_object_while_writers_replace_it() {
    let folder = temporary();
    let store = Arc::new(open(&folder).await);
    put(&store, "k", "").await.expect("put");
    let writers: Vec<_> = (1..=8_u8)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let bytes = Bytes::from(vec![number; 100_000]);
                store.put("k", bytes, "text/plain").await
            })
        })
        .collect();
    for _ in 0..50 {
        let bytes = store.get("k", 100_000).await.expect("get");
        assert!(bytes.is_empty() || bytes.len() == 100_000);
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
    }
    for writer in writers {
        writer.await.expect("join").expect("put");
    }
    assert_eq!(keys(&store).await, ["k"]);
}

#[tokio::test]
async fn errors_of_the_file_system_have_their_meaning() {
    let folder = temporary();
    let location = Location::Folder(folder.path().to_owned());
    // ENOSPC, EDQUOT, EACCES, EROFS, EIO.
    let rows =
        [(28, "no space"), (122, "no space"), (13, "no perm"), (30, "no perm"), (5, "could")];
    for (code, expected) in rows {
        let error = std::io::Error::from_raw_os_error(code);
        let text = fault(Call::Put("a/b"), &location, error).to_string();
        assert!(text.starts_with(expected) && text.contains("\"a/b\""), "{text}");
    }
    let opened = Folder::open(folder.path()).await.expect("open");
    assert_eq!(opened.location, location);
}
