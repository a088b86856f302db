//! Keys and certificates that are replaced while the coordinator runs.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use farspawn_service_tests::{Site, eventually, new_key, write_certificates};

/// The way to replace a key: both are good for a time; then the old one is not, nor is who came in
/// by it.
#[test]
fn a_key_is_replaced_without_a_restart() {
    let site = Site::start(&[]);
    let file = site.folder.path().join("2.key");
    let (old, new) = (site.key(2), new_key());
    let begin = |key: &str| {
        let mut command = site.client(1, &["100000", "10"]);
        command.env("FARSPAWN_KEY", key).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it is built");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        assert!(matches!(lines.next(), Some(Ok(line)) if line == "begun"), "{}", site.log());
        (child, lines)
    };
    let status = |key: &str| site.ask("GET /health", Some(key), "").status;
    let (mut of_old, _lines) = begin(&old);
    assert_eq!(status(&new), 401);
    fs::write(&file, format!("{old}\n\n{new}\n")).expect("a folder");
    site.hang_up();
    eventually("the new key is good", || status(&new) == 200);
    assert_eq!(status(&old), 200, "and so is the old one");
    let (mut of_new, _lines) = begin(&new);
    fs::write(&file, &new).expect("a folder");
    site.hang_up();
    eventually("the old key is good no more", || status(&old) == 401);
    let code = of_old.wait().expect("it is a child");
    let mut said = String::new();
    of_old.stderr.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
    assert!(!code.success() && said.contains("its key is not good any more"), "{said}");
    assert_eq!(of_new.try_wait().expect("it is a child"), None, "the other goes on");
    assert_eq!((status(&new), status(&site.key(1)), status(&site.key(3))), (200, 200, 200));
    of_new.kill().expect("it is a child");
    of_new.wait().expect("it is a child");
}

/// A file that is not as it should be locks nobody out, and lets nobody in.
#[test]
fn keys_stay_as_they_were_if_one_cannot_be_read() {
    let site = Site::start(&[]);
    let keys = [1, 2, 3].map(|number| site.key(number));
    let [first, third] = [1, 3].map(|number| site.folder.path().join(format!("{number}.key")));
    let all_are_good =
        || keys.iter().all(|key| site.ask("GET /health", Some(key), "").status == 200);
    let mut hang_ups = 0;
    let mut hang_up = |why: &str| {
        site.hang_up();
        hang_ups += 1;
        let told = || site.log().matches("the keys stay as they were").count() == hang_ups;
        eventually("it was told", told);
        assert!(site.log().contains(why), "{why}: {}", site.log());
        assert!(all_are_good(), "{why}");
    };
    fs::write(&third, new_key()).expect("a folder");
    fs::write(&first, "").expect("a folder");
    hang_up("64 hexadecimal digits a line are expected");
    fs::remove_file(&first).expect("it is there");
    hang_up("1.key is not there");
    assert!(!first.exists(), "none is made in its place");
    fs::write(&first, &keys[2]).expect("a folder");
    fs::write(&third, &keys[2]).expect("a folder");
    hang_up("has this key already");
}

#[test]
fn a_certificate_is_replaced_without_a_restart() {
    let site = Site::encrypted(&[]);
    assert_eq!(site.ask("GET /health", Some(&site.key(1)), "").status, 200);
    write_certificates(site.folder.path());
    assert_eq!(site.ask("GET /health", Some(&site.key(1)), "").status, 0, "by the old one");
    site.hang_up();
    site.ask_until("GET /health", |answer| answer.status == 200);
    fs::write(site.folder.path().join("server.pem"), "rubbish").expect("a folder");
    site.hang_up();
    eventually("it was told", || site.log().contains("the certificate stays as it was"));
    assert_eq!(site.ask("GET /health", Some(&site.key(1)), "").status, 200);
}
