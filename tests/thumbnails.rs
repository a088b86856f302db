//! The main job as a user runs it: the program, its files, its report and its exit status.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cluster::example;

struct Run {
    status: i32,
    report: Value,
    errors: String,
}

fn program(arguments: &[&str]) -> Command {
    as_program(Command::new(example("thumbnails")), arguments)
}

fn as_program(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments).env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Run {
    read(program(arguments).output().expect("cargo test has built the example"))
}

fn read(output: Output) -> Run {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Run { status: output.status.code().unwrap_or(-1), report, errors }
}

impl Run {
    fn rows(&self) -> &Vec<Value> {
        let rows = self.report["rows"].as_array();
        rows.unwrap_or_else(|| panic!("no report; status {}: {}", self.status, self.errors))
    }

    fn error(&self, key: &str) -> &str {
        let row = self.rows().iter().find(|row| row["key"] == key);
        let row = row.unwrap_or_else(|| panic!("no row of {key} in {:?}", self.rows()));
        row["error"].as_str().unwrap_or_else(|| panic!("{key} did not fail: {row}"))
    }
}

/// A thumbnail's size, by opening and decoding the file.
fn opened(file: &Path) -> (usize, usize) {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut jpeg = mozjpeg::Decompress::new_mem(&bytes).unwrap().rgb().unwrap();
    let size = (jpeg.width(), jpeg.height());
    let pixels: Vec<[u8; 3]> = jpeg.read_scanlines().unwrap();
    assert_eq!(pixels.len(), size.0 * size.1);
    assert!(pixels.iter().any(|pixel| *pixel != pixels[0]), "{} is blank", file.display());
    size
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a plain name")
}

/// Photographs of the program's own, small ones, in `FOLDER/originals`.
fn photographs(folder: &Path, count: &str) -> PathBuf {
    let output = text(folder);
    let made = run(&["--output", output, "--count", count, "--photo-size", "640x480", "--json"]);
    assert_eq!(made.status, 0, "{}", made.errors);
    folder.join("originals")
}

#[test]
fn every_photograph_gets_its_thumbnail() {
    let folder = tempfile::tempdir().unwrap();
    for place in ["auto", "together", "apart"] {
        let output = folder.path().join(place);
        let sheet = folder.path().join(format!("{place}.png"));
        let done = run(&[
            "--output",
            text(&output),
            "--count",
            "9",
            "--photo-size",
            "640x480",
            "--workers",
            "2",
            "--place",
            place,
            "--json",
            "--gallery",
            text(&sheet),
        ]);
        assert_eq!(done.status, 0, "{}", done.errors);
        assert_eq!(done.rows().len(), 9);
        for row in done.rows() {
            let thumbnail = row["thumbnail"].as_str().unwrap();
            assert_eq!(opened(&output.join("thumbnails").join(thumbnail)), (100, 75));
            assert_eq!((&row["photo_width"], &row["photo_height"]), (&640.into(), &480.into()));
        }
        let workers = done.report["tasks_per_worker"].as_object().unwrap().len();
        match place {
            "together" => assert_eq!(workers, 1),
            "apart" => assert_eq!(workers, 2),
            _ => assert!((1..=2).contains(&workers)),
        }
        let sheet = image::open(sheet).unwrap().into_rgb8();
        assert!(sheet.width() >= 3 * 100 && sheet.height() >= 3 * 75, "{:?}", sheet.dimensions());
        let colours: BTreeSet<_> = sheet.pixels().map(|pixel| pixel.0).collect();
        assert!(colours.len() > 1000, "nine landscapes have more than {} colours", colours.len());
    }
}

#[test]
fn bad_input_is_a_row_with_its_reason_and_the_rest_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photographs(folder.path(), "2");
    let good = fs::read_dir(&photos).unwrap().next().unwrap().unwrap().path();
    let good = fs::read(good).unwrap();
    fs::create_dir(photos.join("more")).unwrap();
    fs::write(photos.join("more/good.png"), &good).unwrap();
    fs::write(photos.join("cut.jpg"), &good[..good.len() / 2]).unwrap();
    fs::write(photos.join("empty.jpg"), []).unwrap();
    fs::write(photos.join("notes.jpg"), "not a picture at all").unwrap();
    fs::write(photos.join("bomb.png"), png_that_declares(30_000, 30_000)).unwrap();
    let mut garbled = good.clone();
    garbled[4..200].fill(0xff);
    fs::write(photos.join("garbled.jpg"), garbled).unwrap();
    let huge = fs::File::create(photos.join("huge.jpg")).unwrap();
    huge.set_len(70 << 20).unwrap();

    let output = folder.path().join("out");
    let done = run(&["--input", text(&photos), "--output", text(&output), "--json"]);
    assert_eq!(done.status, 1, "some failed, and the status says so: {}", done.errors);
    assert_eq!(done.rows().len(), 9);
    assert_eq!((&done.report["images"], &done.report["failed"]), (&3.into(), &6.into()));
    for (key, reason) in [
        ("cut.jpg", "ends"),
        ("empty.jpg", "empty"),
        ("notes.jpg", "JPEG"),
        ("bomb.png", "900000000"),
        ("garbled.jpg", "JPEG"),
        ("huge.jpg", "73400320"),
    ] {
        let error = done.error(key);
        assert!(error.contains(reason), "{key}: {error}");
    }
    assert_eq!(opened(&output.join("thumbnails/more/good.png.jpg")), (100, 75));
    let workers = done.report["invocations"].as_u64().unwrap();
    assert!(workers <= 2, "no worker died: {workers} were started");
}

/// To whoever may read everything no folder is closed: the superuser of a container runs the
/// program as nobody in particular, who needs a copy of it in a folder open to all.
#[test]
fn a_folder_that_may_not_be_read_is_a_row_and_the_rest_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photographs(folder.path(), "2");
    let copy = |to: &Path| {
        fs::create_dir(to).unwrap();
        fs::copy(photos.join("photograph-640x480-0000.jpg"), to.join("a.jpg")).unwrap();
    };
    let (closed, listed) = (photos.join("closed"), photos.join("listed"));
    copy(&closed);
    copy(&listed);
    let output = folder.path().join("out");
    fs::create_dir(&output).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&closed, 0o000);
    mode(&listed, 0o444); // its names can be read, and nothing can be reached
    mode(&output, 0o777);
    mode(folder.path(), 0o755);

    let arguments = ["--input", text(&photos), "--output", text(&output), "--json"];
    let mut command = program(&arguments);
    if fs::read_dir(&closed).is_ok() {
        let copy = folder.path().join("thumbnails-program");
        fs::copy(example("thumbnails"), &copy).unwrap();
        command = as_program(Command::new(copy), &arguments);
        command.uid(65534).gid(65534).current_dir("/");
    }
    let done = read(command.output().unwrap());
    mode(&closed, 0o755);
    mode(&listed, 0o755);
    assert_eq!((done.status, done.rows().len()), (1, 4), "{}", done.errors);
    assert_eq!((&done.report["images"], &done.report["failed"]), (&2.into(), &2.into()));
    for key in ["closed/", "listed/a.jpg"] {
        let error = done.error(key);
        assert!(error.contains("no permission") && error.contains(key), "{key}: {error}");
    }
}

/// The first bytes of a PNG of any size.
fn png_that_declares(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    let checksum = header.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    });
    file.extend(header);
    file.extend((!checksum).to_be_bytes());
    file
}

#[test]
fn where_nothing_can_be_listed_there_is_no_job() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "not a folder").unwrap();
    for source in ["nowhere", "file"] {
        let source = folder.path().join(source);
        let output = folder.path().join("out");
        let done = run(&["--input", text(&source), "--output", text(&output), "--json"]);
        assert_eq!(done.status, 70, "{}", done.errors);
        assert!(done.report.is_null(), "{}", done.report);
        assert!(done.errors.contains("no photo could be looked at"), "{}", done.errors);
        assert!(done.errors.contains(text(&source)), "{}", done.errors);
    }
    // A folder in which nothing is has been looked at.
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let done = run(&["--input", text(&empty), "--output", text(folder.path()), "--json"]);
    assert_eq!((done.status, done.rows().len()), (0, 0), "{}", done.errors);
}

#[test]
fn a_gallery_that_cannot_be_made_costs_the_gallery_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("nowhere/sheet.png");
    let output = text(folder.path());
    let arguments = ["--count", "2", "--photo-size", "64x48", "--gallery", text(&sheet)];
    let done = run(&[&["--output", output, "--json"], &arguments[..]].concat());
    assert_eq!((done.status, done.rows().len()), (1, 2), "{}", done.errors);
    assert_eq!(done.report["failed"], 0);
    assert!(done.errors.contains(text(&sheet)), "{}", done.errors);

    let done = program(&[&["--output", output], &arguments[..]].concat()).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    let report = String::from_utf8(done.stdout).unwrap();
    assert!(report.contains("2 thumbnails in") && report.contains("Table 1"), "{report}");
}

#[test]
fn a_gallery_of_too_many_shows_the_first_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    for number in 0..1601 {
        // No pictures: a red cross fills its cell as well, and is there sooner.
        fs::write(photos.join(format!("{number}.jpg")), "").unwrap();
    }
    let sheet = folder.path().join("sheet.png");
    let (photos, output) = (text(&photos), text(folder.path()));
    let done = run(&["--input", photos, "--output", output, "--json", "--gallery", text(&sheet)]);
    assert_eq!((done.status, done.rows().len()), (1, 1601), "{}", done.errors);
    assert!(done.errors.contains("the first 399 of 1601"), "{}", done.errors);
    assert_eq!(image::open(sheet).unwrap().width(), 20 * 108 + 8);
}

#[test]
fn without_output_each_run_has_a_folder_of_its_own() {
    let temporary = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        read(program(arguments).arg("--json").env("TMPDIR", temporary.path()).output().unwrap())
    };
    let made = || {
        let entries = fs::read_dir(temporary.path()).unwrap().flatten().map(|entry| entry.path());
        entries.collect::<BTreeSet<_>>()
    };
    // What an older run, or somebody else, may have left where a name can be guessed.
    let older = temporary.path().join("farspawn-thumbnails");
    fs::create_dir_all(older.join("originals")).unwrap();
    fs::write(older.join("originals/a-private-photo.jpg"), "").unwrap();
    let mut before = made();
    for size in ["64x48", "48x64"] {
        let done = run(&["--count", "2", "--photo-size", size]);
        assert_eq!((done.status, done.rows().len()), (0, 2), "{}", done.errors);
        let after = made();
        let [folder] = &after.difference(&before).collect::<Vec<_>>()[..] else {
            panic!("one folder a run, not {after:?}")
        };
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(done.errors.contains(text(folder)), "it is told: {}", done.errors);
        assert_eq!(done.report["target"]["Folder"], text(&folder.join("thumbnails")));
        let left = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["thumbnails"], "the photographs are removed");
        for row in done.rows() {
            opened(&folder.join("thumbnails").join(row["thumbnail"].as_str().unwrap()));
        }
        before = after;
    }
    let done = run(&["--input", text(&temporary.path().join("nowhere"))]);
    assert_eq!(done.status, 70, "{}", done.errors);
    assert_eq!(made(), before, "a job that could not run leaves nothing");
    assert_eq!(fs::read_dir(older).unwrap().count(), 1, "nobody touched it");
}

#[test]
fn a_target_that_takes_nothing_fails_each_image_and_not_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photographs(folder.path(), "3");
    let output = folder.path().join("out");
    let key = "photograph-640x480-0001.jpg";
    fs::create_dir_all(output.join("thumbnails").join(format!("{key}.jpg"))).unwrap();
    let done = run(&["--input", text(&photos), "--output", text(&output), "--json"]);
    assert_eq!(done.status, 1);
    assert_eq!((&done.report["images"], &done.report["failed"]), (&2.into(), &1.into()));
    assert!(!done.error(key).is_empty());
}

#[test]
fn wrong_flags_say_what_is_allowed() {
    for (arguments, expected) in [
        (&["--place", "here"][..], "auto, together, apart"),
        (&["--size", "big"], "WIDTHxHEIGHT"),
        (&["--size", "0x10"], "1 to 4096"),
        (&["--count", "0"], "1 to 1000000"),
        (&["--workers", "none"], "1 to 1000000"),
        (&["--endpoint", "http://127.0.0.1:1"], "--s3"),
        (&["--input", "a", "--s3", "b"], "cannot be used with"),
        (&["--colour"], "--help"),
    ] {
        let done = run(arguments);
        assert_eq!(done.status, 2, "{arguments:?}");
        assert!(done.errors.contains(expected), "{arguments:?}: {}", done.errors);
    }
    let done = run(&["--s3", "No_Bucket", "--json"]);
    assert_eq!(done.status, 70);
    assert!(done.errors.contains("BUCKET/PREFIX"), "{}", done.errors);
}

#[test]
fn without_a_terminal_the_output_is_plain() {
    let folder = tempfile::tempdir().unwrap();
    let output = text(folder.path());
    let arguments = ["--output", output, "--count", "2", "--photo-size", "320x240"];
    let done = program(&arguments).output().unwrap();
    let report = String::from_utf8(done.stdout).unwrap();
    for expected in ["2 thumbnails in", "decode", "worker", "conventional", "Table 1"] {
        assert!(report.contains(expected), "{expected} is missing in {report}");
    }
    assert!(!report.contains('\x1b') && !done.stderr.contains(&0x1b));
}

#[test]
fn photos_that_fail_alike_share_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    for number in 10..60 {
        fs::write(photos.join(format!("{number}.jpg")), "").unwrap();
        // Its reason has the name of the photo in it.
        let huge = fs::File::create(photos.join(format!("{number}.png"))).unwrap();
        huge.set_len(70 << 20).unwrap();
    }
    let arguments = ["--input", text(&photos), "--output", text(folder.path())];
    let report = String::from_utf8(program(&arguments).output().unwrap().stdout).unwrap();
    let (_, failed) = report.split_once("\nfailed:\n").unwrap();
    assert_eq!(failed.matches("50 times: ").count(), 2, "{report}");
    assert_eq!(failed.matches("    and 47 more\n").count(), 2, "{report}");
    assert!(failed.contains("    10.jpg\n") && failed.contains("    10.png\n"), "{report}");
    assert_eq!(failed.lines().count(), 2 * 5, "{report}");

    let done = run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(done.rows().len(), 100, "every photo has a row");
    assert!(done.error("10.png").contains("10.png"), "{}", done.error("10.png"));
    let failures = done.report["failures"].as_object().unwrap();
    assert!(failures.len() == 2 && failures.values().all(|count| *count == 50), "{failures:?}");
}

#[test]
fn names_cannot_talk_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("a\x1b[31mb");
    fs::create_dir(&photos).unwrap();
    // It would clear the screen, and say that all is well.
    let name = "\x1b[2J\n9 thumbnails\r\u{9b}1m\u{202e}.jpg";
    fs::write(photos.join(name), "").unwrap();
    let sheet = photos.join("none/sheet.png");
    let output = folder.path().join("out\x1b[0m");
    let arguments =
        ["--input", text(&photos), "--output", text(&output), "--gallery", text(&sheet)];
    let quiet = |bytes: &[u8]| {
        let shown = String::from_utf8(bytes.to_vec()).unwrap();
        let acts = |letter: &char| letter.is_control() && *letter != '\n' || *letter == '\u{202e}';
        assert_eq!(shown.chars().find(acts), None, "{shown:?}");
        shown
    };
    let done = program(&arguments).output().unwrap();
    let report = quiet(&done.stdout);
    assert!(report.contains(r"\u{1b}[2J\n9 thumbnails\r\u{9b}1m\u{202e}.jpg"), "{report}");
    let errors = quiet(&done.stderr);
    assert!(errors.contains(r"out\u{1b}[0m") && errors.contains("no gallery"), "{errors}");

    let done = program(&[&arguments[..], &["--json"]].concat()).output().unwrap();
    quiet(&done.stdout);
    assert_eq!(read(done).rows()[0]["key"], name, "JSON has the name as it is");

    let missing = photos.join("none");
    let done = program(&["--input", text(&missing), "--output", text(&output)]).output().unwrap();
    let errors = quiet(&done.stderr);
    assert!(errors.contains(r"a\u{1b}[31mb/none"), "{errors}");
}

/// The children of a process, as the kernel lists them.
fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| list.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// Kills a worker of the client, if it has one. False if not.
fn kill_a_worker(client: &Child, choice: usize) -> bool {
    let workers = children(client.id());
    let Some(worker) = workers.get(choice % workers.len().max(1)) else { return false };
    let worker = Pid::from_raw(*worker as i32).expect("a process id is above zero");
    kill_process(worker, Signal::KILL).is_ok()
}

#[test]
fn killed_workers_cost_time_and_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let photos = photographs(folder.path(), "40");
    let output = folder.path().join("out");
    let folders = ["--input", text(&photos), "--output", text(&output)];
    // A task a worker at a time: of many that share one, all would die with it.
    let arguments = [&folders[..], &["--workers", "3", "--policy", "paper", "--json"]].concat();
    let mut client = program(&arguments).spawn().unwrap();
    let thumbnails = output.join("thumbnails");
    let made = || fs::read_dir(&thumbnails).map_or(0, Iterator::count);
    let mut killed = 0;
    // One worker dies each time that so many more images are there.
    for enough in [3, 9, 15, 21] {
        while made() < enough && client.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        killed += u32::from(kill_a_worker(&client, enough));
    }
    let done = read(client.wait_with_output().unwrap());
    assert!(killed > 0, "the job was over before anybody could be killed");
    assert_eq!(done.rows().len(), 40, "every image is a row");
    for row in done.rows() {
        match row["thumbnail"].as_str() {
            Some(thumbnail) => assert_eq!(opened(&thumbnails.join(thumbnail)), (100, 75)),
            // Three deaths in a row are needed, and there were four in all.
            None => assert!(row["error"].as_str().unwrap().contains("lost"), "{row}"),
        }
    }
    assert!(done.report["images"].as_u64().unwrap() >= 39, "{}", done.report);
}

/// Photographs from cameras, where the folder is there.
#[test]
fn photographs_from_cameras_too() {
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/photos");
    if !photos.is_dir() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let done = run(&["--input", text(&photos), "--output", text(folder.path()), "--json"]);
    for row in done.rows() {
        let key = row["key"].as_str().unwrap();
        if key.ends_with(".jpg") {
            let thumbnail = row["thumbnail"].as_str().unwrap_or_else(|| panic!("{row}"));
            let (width, height) = opened(&folder.path().join("thumbnails").join(thumbnail));
            assert_eq!(width.max(height), 100, "{key}");
        } else {
            assert!(done.error(key).contains("JPEG"), "{key} is no picture");
        }
    }
}
