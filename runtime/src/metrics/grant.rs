//! What this process is really granted: CPUs and memory by its control groups, or by Lambda. What
//! the machine shows may be far more.
//!
//! Both versions of control groups, at each level from the process's own group up to the root. What
//! is missing or cannot be read grants everything.

use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// Memory for which Lambda grants a vCPU, in MB.
const LAMBDA_MB_A_CPU: f64 = 1769.0;
/// Levels of groups that are looked at.
const LEVELS_MAX: usize = 32;

/// The limits that were found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Grant {
    /// CPUs.
    pub(crate) cores: Option<f64>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
}

impl Grant {
    /// This process's.
    pub(crate) fn of_this_process() -> Self {
        let lambda_mb = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok();
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        Self::find(&read, lambda_mb.as_deref())
    }

    fn find(read: &impl Fn(&Path) -> Option<String>, lambda_mb: Option<&str>) -> Self {
        let mut grant = Self::default();
        let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
        for line in groups.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
            if controllers.is_empty() {
                // Where both versions are there, the second is beside the first.
                for mount in ["", "unified"] {
                    grant.narrow(read, &Path::new(ROOT).join(mount), path);
                }
            }
            for controller in controllers.split(',').filter(|name| ["cpu", "memory"].contains(name))
            {
                grant.narrow(read, &Path::new(ROOT).join(controller), path);
                grant.narrow(read, &Path::new(ROOT).join(controllers), path);
            }
        }
        let lambda = lambda_mb.and_then(|text| text.parse::<f64>().ok());
        grant.limit_cores(lambda.map(|mb| mb / LAMBDA_MB_A_CPU));
        grant
    }

    /// Takes a group and those above it into account.
    fn narrow(&mut self, read: &impl Fn(&Path) -> Option<String>, mount: &Path, group: &str) {
        let group: PathBuf = mount.join(group.trim_start_matches('/'));
        for folder in group.ancestors().take(LEVELS_MAX) {
            let text = |name: &str| read(&folder.join(name));
            self.limit_cores(text("cpu.max").and_then(|text| cores_of_max(&text)));
            let quota = number(text("cpu.cfs_quota_us"));
            let period = number(text("cpu.cfs_period_us"));
            self.limit_cores(quota.zip(period).map(|(quota, period)| quota / period));
            for name in ["memory.max", "memory.limit_in_bytes"] {
                let bytes = text(name).and_then(|text| text.trim().parse().ok());
                if let Some(bytes) = bytes.filter(|bytes| (1..1 << 60).contains(bytes)) {
                    self.memory = Some(self.memory.map_or(bytes, |least| least.min(bytes)));
                }
            }
            if folder == mount {
                return;
            }
        }
    }

    fn limit_cores(&mut self, cores: Option<f64>) {
        if let Some(cores) = cores.filter(|cores| cores.is_finite() && *cores > 0.0) {
            self.cores = Some(self.cores.map_or(cores, |least| least.min(cores)));
        }
    }
}

/// `max 100000`, or a quota and its period.
fn cores_of_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

fn number(text: Option<String>) -> Option<f64> {
    text?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], lambda_mb: Option<&str>, cores: Option<f64>, mb: Option<u64>) {
        let read = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        };
        let grant = Grant::find(&read, lambda_mb);
        assert_eq!(grant, Grant { cores, memory: mb.map(|mb| mb << 20) }, "{files:?}");
    }

    const SELF: &str = "/proc/self/cgroup";

    #[test]
    fn version_two() {
        let files = [
            (SELF, "0::/a/b\n"),
            ("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("/sys/fs/cgroup/a/b/memory.max", "536870912\n"),
            ("/sys/fs/cgroup/a/memory.max", "max\n"),
        ];
        check(&files, None, Some(1.5), Some(512));
        check(&files, Some("1769"), Some(1.0), Some(512));
        check(
            &[(SELF, "0::/\n"), ("/sys/fs/cgroup/cpu.max", "50000 100000")],
            None,
            Some(0.5),
            None,
        );
    }

    #[test]
    fn version_one() {
        let files = [
            (SELF, "4:memory:/m\n2:cpu,cpuacct:/c\n1:name=systemd:/\n0::/\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "25000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "1073741824"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
        ];
        check(&files, None, Some(0.25), Some(1024));
    }

    #[test]
    fn what_is_missing_or_rubbish_grants_everything() {
        check(&[], None, None, None);
        check(&[(SELF, "\u{0}::::\n7\n:cpu:\n0:cpu\n")], Some("x"), None, None);
        for text in ["", "x y", "0 0", "-1 100000", "1 0", "nan 1", "inf 1"] {
            let files = [
                (SELF, "0::/../../..\n"),
                ("/sys/fs/cgroup/../../../cpu.max", text),
                ("/sys/fs/cgroup/cpu.max", text),
                ("/sys/fs/cgroup/memory.max", text),
            ];
            check(&files, Some("-5"), None, None);
        }
    }
}
