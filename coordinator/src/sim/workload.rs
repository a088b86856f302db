//! What is to be done in a simulation: tasks, what each takes, and when they come.

use super::random::Random;

/// What one task does: it waits for a first byte, reads, computes, waits for an acknowledgement
/// and writes. Seconds and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Until the first byte.
    pub first: f32,
    /// Read over the network.
    pub read: f32,
    /// CPU time.
    pub cpu: f32,
    /// Until the write is acknowledged.
    pub last: f32,
    /// Written over the network.
    pub written: f32,
    /// Memory.
    pub memory: f32,
}

impl Work {
    /// How long it takes alone, on connections that are so fast.
    pub fn alone(&self, connection: f64) -> f64 {
        let moved = f64::from(self.read + self.written) / connection;
        f64::from(self.first) + f64::from(self.cpu) + f64::from(self.last) + moved
    }
}

/// One task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// When its client asks for it. In a closed loop: not before.
    pub arrival: f64,
    /// Its kind.
    pub kind: u32,
    /// What it does.
    pub work: Work,
    /// The next job in the list is its second stage, which it spawns at its end, and hands so
    /// many bytes: through the object store, which is then in `work` of both, or a channel.
    pub hands_over: Option<f32>,
    /// It is a second stage.
    pub is_second: bool,
}

/// How the client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// For each task at its time.
    Open,
    /// For the next as soon as fewer than so many are under way.
    Window(usize),
}

/// Tasks, in the order in which they come.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The tasks.
    pub jobs: Vec<Job>,
    /// How the client asks for them.
    pub client: Client,
}

/// Memory of a task that does not say otherwise: it is what the paper's thumbnailer needs.
const MEMORY: f32 = 150e6;

/// The paper's thumbnail: 3 MB from S3, 600 ms of CPU unless another mean is asked for, and a small
/// write to S3.
pub fn thumbnail(random: &mut Random, cpu_mean: f64) -> Work {
    Work {
        first: random.between(0.060, 0.130) as f32,
        read: 3e6,
        cpu: random.lognormal(cpu_mean, 0.15) as f32,
        last: random.between(0.050, 0.100) as f32,
        written: 0.0,
        memory: MEMORY,
    }
}

impl Job {
    /// A task of its own.
    pub fn single(arrival: f64, kind: u32, work: Work) -> Self {
        Self { arrival, kind, work, hands_over: None, is_second: false }
    }
}

/// The workloads there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// The paper's test with eight requests in flight.
    Window(usize),
    /// All at once.
    Burst,
    /// So many a second, at random.
    Poisson(f64),
    /// So many a second, in bursts of heavy-tailed size with gaps of heavy-tailed length.
    Bursty(f64),
    /// So many a second; few of them take most of the time, and which is not known before.
    LongTail(f64),
    /// So many a second, of a kind that computes and a kind that waits.
    Mix(f64),
    /// So many a second, of two stages: one reads, the other computes.
    Pipeline(f64),
}

/// Bytes that the first stage of a pipeline hands to the second.
const HANDED_OVER: f32 = 8e6;

impl Load {
    /// This many tasks of it, a pipeline counting as one.
    pub fn generate(self, seed: u64, tasks: usize, cpu_mean: f64) -> Workload {
        let mut arrivals = Arrivals::new(seed);
        let mut works = Random::new(seed, 3);
        let mut jobs = Vec::with_capacity(tasks);
        for _ in 0..tasks {
            let arrival = arrivals.next(self);
            self.add(arrival, cpu_mean, &mut works, &mut jobs);
        }
        let client = match self {
            Self::Window(window) => Client::Window(window),
            _ => Client::Open,
        };
        Workload { jobs, client }
    }

    fn add(self, arrival: f64, cpu_mean: f64, random: &mut Random, jobs: &mut Vec<Job>) {
        match self {
            Self::LongTail(_) => {
                let duration = match random.unit() {
                    ..0.9 => 0.1,
                    ..0.99 => 1.0,
                    _ => 20.0,
                };
                let duration = duration * random.between(0.8, 1.2);
                let work = Work {
                    first: (0.4 * duration) as f32,
                    cpu: (0.6 * duration) as f32,
                    memory: MEMORY,
                    ..Work::default()
                };
                jobs.push(Job::single(arrival, 0, work));
            }
            Self::Mix(_) => {
                let computes = random.unit() < 0.5;
                let (waits, cpu) = if computes { (0.1, 0.8) } else { (1.0, 0.05) };
                let work = Work {
                    first: (waits * random.between(0.8, 1.2)) as f32,
                    cpu: random.lognormal(cpu, 0.15) as f32,
                    memory: MEMORY,
                    ..Work::default()
                };
                jobs.push(Job::single(arrival, u32::from(computes), work));
            }
            Self::Pipeline(_) => {
                let fetch = Work {
                    read: HANDED_OVER,
                    cpu: random.lognormal(0.02, 0.15) as f32,
                    written: HANDED_OVER,
                    ..thumbnail(random, cpu_mean)
                };
                let crunch = Work { read: HANDED_OVER, ..thumbnail(random, cpu_mean) };
                let first = Job::single(arrival, 0, fetch);
                jobs.push(Job { hands_over: Some(HANDED_OVER), ..first });
                jobs.push(Job { is_second: true, ..Job::single(arrival, 1, crunch) });
            }
            _ => jobs.push(Job::single(arrival, 0, thumbnail(random, cpu_mean))),
        }
    }
}

/// When tasks come.
#[derive(Debug)]
struct Arrivals {
    random: Random,
    time: f64,
    /// Left of the burst.
    burst: u32,
}

impl Arrivals {
    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed, 1), time: 0.0, burst: 0 }
    }

    fn next(&mut self, load: Load) -> f64 {
        match load {
            Load::Window(_) | Load::Burst => {}
            Load::Bursty(rate) => {
                if self.burst == 0 {
                    // Of mean 6 before rounding down and without its longest tail.
                    self.burst = (2.0 * self.random.pareto(1.5)).min(1000.0) as u32;
                    let gap = f64::from(self.burst) / rate;
                    self.time += self.random.lognormal(gap, 1.0);
                }
                self.burst -= 1;
            }
            Load::Poisson(rate) | Load::LongTail(rate) | Load::Mix(rate) | Load::Pipeline(rate) => {
                self.time += self.random.exponential() / rate;
            }
        }
        self.time
    }
}

/// Reads a trace: a line for each task, `arrival,cpu,wait,bytes,memory,kind` in seconds, bytes and
/// a small number; what comes after the arrival may be left out from the right, and is then a
/// thumbnail's. Lines that begin with `#` are comments. Says which line is none.
pub fn parse_trace(text: &str, seed: u64, cpu_mean: f64) -> Result<Workload, String> {
    let mut random = Random::new(seed, 3);
    let mut jobs = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Result<Vec<f64>, _> =
            line.split(',').map(|field| field.trim().parse::<f64>()).collect();
        let fields = fields.map_err(|error| format!("line {}: {error}: {line}", at + 1))?;
        if fields.len() > 6 || fields.iter().any(|field| !(0.0..1e15).contains(field)) {
            return Err(format!(
                "line {}: up to six numbers from 0 are expected: \
                 arrival,cpu,wait,bytes,memory,kind",
                at + 1
            ));
        }
        let mut work = thumbnail(&mut random, cpu_mean);
        let field = |index: usize| fields.get(index).map(|field| *field as f32);
        if let Some(cpu) = field(1) {
            work.cpu = cpu;
        }
        if let Some(wait) = field(2) {
            (work.first, work.last) = (wait, 0.0);
        }
        work.read = field(3).unwrap_or(work.read);
        work.memory = field(4).unwrap_or(work.memory);
        let kind = field(5).map_or(0, |kind| (kind as u32).min(9999));
        jobs.push(Job::single(fields[0], kind, work));
    }
    jobs.sort_by(|a, b| a.arrival.total_cmp(&b.arrival));
    if jobs.is_empty() {
        Err("no task is in it".to_owned())
    } else {
        Ok(Workload { jobs, client: Client::Open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_rate(load: Load, expected: f64) {
        let workload = load.generate(3, 20_000, 0.6);
        let first = workload.jobs.iter().filter(|job| !job.is_second).count();
        assert_eq!(first, 20_000);
        let end = workload.jobs.last().unwrap().arrival;
        let rate = 20_000.0 / end;
        assert!((rate / expected - 1.0).abs() < 0.1, "{load:?}: {rate}");
        assert!(workload.jobs.is_sorted_by(|a, b| a.arrival <= b.arrival));
    }

    #[test]
    fn arrivals_come_at_their_rate() {
        check_rate(Load::Poisson(100.0), 100.0);
        check_rate(Load::Bursty(40.0), 40.0);
        check_rate(Load::LongTail(50.0), 50.0);
        check_rate(Load::Mix(30.0), 30.0);
        check_rate(Load::Pipeline(20.0), 20.0);
    }

    #[test]
    fn a_thumbnail_takes_what_the_papers_does() {
        let workload = Load::Burst.generate(1, 10_000, 0.6);
        let alone = workload.jobs.iter().map(|job| job.work.alone(60e6)).sum::<f64>() / 10_000.0;
        assert!((alone - 0.82).abs() < 0.005, "{alone}");
        let cpu = workload.jobs.iter().map(|job| f64::from(job.work.cpu)).sum::<f64>() / 10_000.0;
        assert!((cpu - 0.6).abs() < 0.005, "{cpu}");
    }

    #[test]
    fn traces() {
        let text = "# arrival,cpu\n2.5\n1, 0.25, 0.5, 0, 2e8, 3\n";
        let workload = parse_trace(text, 1, 0.6).unwrap();
        assert_eq!(workload.jobs.len(), 2);
        let first = workload.jobs[0];
        let Work { cpu, first: wait, read, memory, .. } = first.work;
        assert_eq!((first.arrival, first.kind), (1.0, 3));
        assert_eq!((cpu, wait, read, memory), (0.25, 0.5, 0.0, 2e8));
        assert_eq!(workload.jobs[1].work.read, 3e6);
        for (text, fault) in [
            ("", "no task"),
            ("1,x", "line 1: invalid float literal"),
            ("0\n-1", "line 2: up to six numbers"),
            ("NaN", "line 1: up to six"),
            ("1,2,3,4,5,6,7", "line 1: up to six"),
        ] {
            let error = parse_trace(text, 1, 0.6).unwrap_err();
            assert!(error.contains(fault), "{text:?}: {error}");
        }
    }
}
