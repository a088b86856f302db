//! How long each stage of a thumbnail takes, on photographs that the program makes itself and, if
//! `FARSPAWN_PHOTOS` names a folder, on the pictures in there.
//!
//! `cargo bench --bench thumbnail`

#[expect(dead_code, unused_imports, reason = "a benchmark uses a part, and runs no tests")]
#[path = "../photograph/mod.rs"]
mod photograph;
#[expect(dead_code, unused_imports, reason = "a benchmark uses a part, and runs no tests")]
#[path = "../picture/mod.rs"]
mod picture;

use std::fmt;
use std::sync::LazyLock;

use divan::Bencher;

use picture::{Bounds, Decoded, Limits};

static INPUTS: LazyLock<Vec<Input>> = LazyLock::new(inputs);

fn main() {
    divan::main();
}

/// A picture file, shown by a short name.
struct Input {
    name: String,
    bytes: Vec<u8>,
}

impl fmt::Display for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

fn inputs() -> Vec<Input> {
    let shots = (0..3).map(|seed| {
        let bytes = photograph::photograph(photograph::Shot::of(seed));
        Input { name: format!("made, seed {seed}"), bytes }
    });
    let mut inputs: Vec<Input> = shots.collect();
    let Some(folder) = std::env::var_os("FARSPAWN_PHOTOS") else { return inputs };
    let entries = std::fs::read_dir(&folder).expect("FARSPAWN_PHOTOS names a readable folder");
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        // Whatever else lies in the folder is not measured.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        if picture::Format::of(&bytes).is_ok() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            inputs.push(Input { name: name.chars().take(28).collect(), bytes });
        }
    }
    inputs
}

fn bounds() -> Bounds {
    Bounds::new(100, 100).expect("a valid box")
}

fn decoded(input: &Input) -> Decoded {
    picture::decode(&input.bytes, bounds(), &Limits::default()).expect("a sound picture")
}

#[divan::bench(args = &*INPUTS)]
fn decode(input: &Input) -> Decoded {
    decoded(input)
}

#[divan::bench(args = &*INPUTS)]
fn resize(bencher: Bencher<'_, '_>, input: &Input) {
    let decoded = decoded(input);
    bencher.bench(|| picture::resize(&decoded, bounds()));
}

#[divan::bench(args = &*INPUTS)]
fn encode(bencher: Bencher<'_, '_>, input: &Input) {
    let small = picture::resize(&decoded(input), bounds()).expect("a sound picture");
    bencher.bench(|| picture::encode(&small));
}

#[divan::bench(args = &*INPUTS)]
fn whole(input: &Input) -> Vec<u8> {
    let made = picture::thumbnail(&input.bytes, bounds(), &Limits::default());
    made.expect("a sound picture").jpeg
}
