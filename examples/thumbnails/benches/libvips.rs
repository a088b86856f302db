//! Our thumbnails against libvips, in one run: rounds alternate between this process and a Python
//! child that holds libvips, and each counts its own CPU time.
//!
//! `cargo bench --bench libvips`, with the photographs in the folder that `FARSPAWN_PHOTOS` names,
//! or else with ones that the program makes. `FARSPAWN_PYTHON` names the interpreter (`python3`).
//! Without pyvips it says how to install it, and ends well.

#[expect(dead_code, unused_imports, reason = "a benchmark uses a part, and runs no tests")]
#[path = "../photograph/mod.rs"]
mod photograph;
#[expect(dead_code, unused_imports, reason = "a benchmark uses a part, and runs no tests")]
#[path = "../picture/mod.rs"]
mod picture;

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use picture::{Bounds, Limits};

const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(mut peer) = Peer::start()? else { return Ok(()) };
    let scratch = std::env::temp_dir().join(format!("farspawn-photographs-{}", std::process::id()));
    let outcome = compare(&mut peer, &photographs(&scratch)?);
    let _ = std::fs::remove_dir_all(&scratch);
    peer.stop()?;
    outcome
}

fn compare(peer: &mut Peer, paths: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    println!("CPU ms a picture, 100x100, median of {ROUNDS} alternating rounds; {}", peer.version);
    println!("{:>8} {:>8} {:>7}  picture", "ours", "libvips", "ratio");
    let mut logarithms = 0.0;
    for path in paths {
        let bytes = std::fs::read(path)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(our_milliseconds(&bytes)?);
            theirs.push(peer.milliseconds(path)?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        println!("{ours:8.2} {theirs:8.2} {:6.2}x  {name}", theirs / ours);
        logarithms += (theirs / ours).ln();
    }
    let mean = (logarithms / f64::from(u32::try_from(paths.len())?)).exp();
    println!("{:>8} {:>8} {mean:6.2}x  geometric mean (above 1: ours is faster)", "", "");
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn our_milliseconds(bytes: &[u8]) -> Result<f64, Box<dyn Error>> {
    let before = cpu_milliseconds()?;
    picture::thumbnail(bytes, Bounds::new(100, 100)?, &Limits::default())?;
    Ok(cpu_milliseconds()? - before)
}

/// CPU time of this process. Linux alone tells it in nanoseconds without a system call of our own.
fn cpu_milliseconds() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds: f64 = text.split_whitespace().next().ok_or("no CPU time")?.parse()?;
    Ok(nanoseconds / 1e6)
}

/// The photographs to measure: those of the user, or six made into `scratch`.
fn photographs(scratch: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let Some(folder) = std::env::var_os("FARSPAWN_PHOTOS") else {
        std::fs::create_dir_all(scratch)?;
        let take = |seed| {
            let path = scratch.join(format!("seed-{seed}.jpg"));
            std::fs::write(&path, photograph::photograph(photograph::Shot::of(seed)))?;
            Ok(path)
        };
        return (0..6).map(take).collect();
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && picture::Format::of(&std::fs::read(&path)?).is_ok() {
            paths.push(path.canonicalize()?);
        }
    }
    paths.sort();
    if paths.is_empty() { Err("FARSPAWN_PHOTOS holds no pictures".into()) } else { Ok(paths) }
}

/// The Python process with libvips in it.
struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl Peer {
    /// Starts it; `None`, after saying why, if this machine has no Python with pyvips.
    fn start() -> Result<Option<Self>, Box<dyn Error>> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/thumbnails/benches/libvips.py");
        let python = std::env::var_os("FARSPAWN_PYTHON").unwrap_or_else(|| "python3".into());
        let mut command = Command::new(&python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                println!(
                    "no comparison with libvips: {} does not start: {error}",
                    python.display()
                );
                return Ok(None);
            }
        };
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let requests = requests.ok_or("the peer has no stdin")?;
        let mut answers = BufReader::new(answers.ok_or("the peer has no stdout")?);
        let mut version = String::new();
        if answers.read_line(&mut version)? == 0 {
            child.wait()?;
            println!("no comparison with libvips, for the reason above");
            return Ok(None);
        }
        let version = version.trim().to_owned();
        Ok(Some(Self { child, requests, answers, version }))
    }

    fn milliseconds(&mut self, path: &Path) -> Result<f64, Box<dyn Error>> {
        writeln!(self.requests, "{}", path.display())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse()?)
    }

    fn stop(mut self) -> Result<(), Box<dyn Error>> {
        drop(self.requests);
        self.child.wait()?;
        Ok(())
    }
}
