//! `farspawn doctor`: is everything there that a program needs to use a coordinator elsewhere, and
//! if not, what is to be done?
//!
//! It goes the way that a client goes, step by step, and stops where it is blocked: the key, the
//! address, the host's name, the connection, its encryption, the hello (`reach.rs`); then what else
//! depends on it: HTTP, the clock, the function of the workers (`function.rs`). A check changes
//! nothing: what it begins it ends.

#[cfg(feature = "aws")]
mod function;
mod reach;

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use channels::wire::Secret;
use clap::Args;

use reach::{Place, Reached};

/// A clock that is off by more makes AWS refuse what it signs.
const SKEW_MAX: Duration = Duration::from_secs(300);
/// From here on it is worth a word.
const SKEW_NOTED: Duration = Duration::from_secs(5);

/// What `farspawn doctor` is told.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// The coordinator's address, wss://HOST[:PORT] or ws://HOST:PORT
    #[arg(long, env = "FARSPAWN_COORDINATOR", value_name = "URL")]
    coordinator: String,
    /// A file with the application's key [default: FARSPAWN_KEY, the key itself]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A PEM file with those who vouch for the host [default: those that browsers trust]
    #[arg(long, env = "FARSPAWN_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The coordinator's HTTP address, if it has one
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// The AWS Lambda function that its workers run in: asked about with the credentials and the
    /// region that are found here
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
}

/// What was found at one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
}

/// How something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Well(String),
    /// It works, and could be better.
    Note(String),
    /// It does not work: what is wrong, and what to do.
    Ill(String, String),
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what;
        match &self.verdict {
            Verdict::Well(how) => write!(out, "ok    {what}: {how}"),
            Verdict::Note(how) => write!(out, "note  {what}: {how}"),
            Verdict::Ill(wrong, mend) => write!(out, "FAIL  {what}: {wrong}\n      {mend}"),
        }
    }
}

fn found(what: &'static str, verdict: Verdict) -> Finding {
    Finding { what, verdict }
}

fn well(what: &'static str, how: impl Into<String>) -> Finding {
    found(what, Verdict::Well(how.into()))
}

fn note(what: &'static str, how: impl Into<String>) -> Finding {
    found(what, Verdict::Note(how.into()))
}

fn ill(what: &'static str, wrong: impl Into<String>, mend: impl Into<String>) -> Finding {
    found(what, Verdict::Ill(wrong.into(), mend.into()))
}

impl Flags {
    /// Looks at everything, and tells each finding when it is there. False if something is wrong.
    pub async fn run(self, mut tell: impl FnMut(&Finding)) -> bool {
        let mut is_well = true;
        let mut tell = |finding: Finding| {
            is_well &= !matches!(finding.verdict, Verdict::Ill(..));
            tell(&finding);
        };
        let variable = std::env::var("FARSPAWN_KEY").ok();
        let key = read_key(self.key_file.as_deref(), variable.as_deref(), &mut tell);
        let relay = Place::read(&self.coordinator, ["wss", "ws"], self.ca.as_deref());
        let relay = relay.map_err(&mut tell).ok();
        if let (Some(relay), Some(key)) = (relay, &key) {
            reach::say_hello(&relay, key, &mut tell).await;
        }
        let http = self.http.as_deref();
        let http = http.map(|url| Place::read(url, ["https", "http"], self.ca.as_deref()));
        let http = http.transpose().map_err(&mut tell).ok().flatten();
        if let (Some(http), Some(key)) = (http, &key)
            && let Some(Reached { date, sent, answered }) =
                reach::ask_health(&http, key, &mut tell).await
        {
            tell(judge_clock(date, sent, answered));
        }
        #[cfg(feature = "aws")]
        if let Some(function) = self.function {
            function::look(function, &self.coordinator, &mut tell).await;
        }
        is_well
    }
}

fn read_key(
    file: Option<&Path>,
    variable: Option<&str>,
    tell: &mut impl FnMut(Finding),
) -> Option<Secret> {
    let expected = "64 hexadecimal digits are expected, as `farspawn coordinator` writes them";
    let Some(file) = file else {
        let Some(text) = variable else {
            let mend = "set FARSPAWN_KEY, or give --key-file";
            tell(ill("key", "there is none", mend));
            return None;
        };
        let key = Secret::from_hex(text.trim());
        tell(match key {
            Some(_) => well("key", "FARSPAWN_KEY"),
            None => ill("key", "FARSPAWN_KEY is no key", expected),
        });
        return key;
    };
    let name = file.display();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let mend = "give --key-file the file that --app names, or a copy of it";
            tell(ill("key", format!("{name}: {error}"), mend));
            return None;
        }
    };
    // Of several keys any will do.
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let Some(key) = first.and_then(Secret::from_hex) else {
        tell(ill("key", format!("{name} holds no key"), expected));
        return None;
    };
    let mode = fs::metadata(file).map_or(0, |data| data.permissions().mode());
    tell(match mode & 0o077 {
        0 => well("key", name.to_string()),
        _ => note("key", format!("{name} can be read by others: chmod 600 {name}")),
    });
    Some(key)
}

/// Compares a clock elsewhere, which tells seconds, with the one here.
fn judge_clock(date: Option<SystemTime>, sent: SystemTime, answered: SystemTime) -> Finding {
    let Some(date) = date else {
        return note("clock", "the answer has no date to compare with");
    };
    let early = sent.duration_since(date).unwrap_or_default();
    let late = date.duration_since(answered).unwrap_or_default();
    // Its second began up to a second before.
    let skew = early.saturating_sub(Duration::from_secs(1)).max(late);
    let which = if late.is_zero() { "ahead of" } else { "behind" };
    let text = format!("{:.0} s {which} the coordinator's", skew.as_secs_f64());
    if skew > SKEW_MAX {
        let mend = "set the clock, by NTP say: AWS refuses signatures that are five minutes off";
        return ill("clock", text, mend);
    }
    if skew > SKEW_NOTED {
        note("clock", text)
    } else {
        well("clock", "agrees with the coordinator's")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_the_seconds() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let later = now + Duration::from_millis(300);
        let verdict = |date: SystemTime| judge_clock(Some(date), now, later).verdict;
        let second = Duration::from_secs(1);
        for well in [now, now - second, later, now + 4 * second, now - 5 * second] {
            assert!(matches!(verdict(well), Verdict::Well(_)), "{well:?}");
        }
        let Verdict::Note(ahead) = verdict(now - 31 * second) else { panic!("it is off") };
        assert_eq!(ahead, "30 s ahead of the coordinator's");
        let Verdict::Ill(behind, _) = verdict(later + 301 * second) else { panic!("it is off") };
        assert_eq!(behind, "301 s behind the coordinator's");
    }

    #[test]
    fn a_key_is_read_or_what_is_wrong_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let mut told = Vec::new();
        let mut read = |text: Option<&str>, mode: u32| {
            fs::remove_file(&file).ok();
            if let Some(text) = text {
                fs::write(&file, text).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            }
            let key = read_key(Some(&file), None, &mut |finding| told.push(finding));
            (key.is_some(), told.pop().unwrap().to_string())
        };
        let digits = "a1".repeat(32);
        assert!(matches!(read(Some(&digits), 0o600), (true, text) if text.starts_with("ok")));
        assert!(matches!(read(Some(&digits), 0o644), (true, text) if text.contains("chmod 600")));
        assert!(matches!(read(Some("a1"), 0o600), (false, text) if text.contains("64 hex")));
        assert!(matches!(read(None, 0), (false, text) if text.contains("No such file")));
        let mut told = Vec::new();
        assert!(read_key(None, None, &mut |finding| told.push(finding)).is_none());
        assert!(read_key(None, Some(&digits), &mut |finding| told.push(finding)).is_some());
    }
}
