//! The failed photos by their reasons: a thousand that fail alike are one reason with a few
//! examples, not a thousand lines.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use super::pipeline::thumbnail_key;
use super::plain::plain;

/// Reasons that are shown, those of the most photos first.
const REASONS_MAX: usize = 10;
/// Photos that are named for each.
const EXAMPLES_MAX: usize = 3;

/// The keys of the photos that failed for each reason.
pub(crate) struct Failures<'a>(BTreeMap<String, Vec<&'a str>>);

impl<'a> Failures<'a> {
    /// Of each failed photo, its key and the reason.
    pub(crate) fn new(failed: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut keys = BTreeMap::<_, Vec<_>>::new();
        for (key, reason) in failed {
            keys.entry(without_key(reason, key)).or_default().push(key);
        }
        Self(keys)
    }

    /// How many failed for each reason.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.0.iter().map(|(reason, keys)| (reason.clone(), keys.len())).collect()
    }
}

/// What is the same for all: the store says which photo it could not read, or write.
fn without_key(reason: &str, key: &str) -> String {
    let quoted = |name: &str| format!("{name:?}");
    reason.replace(&quoted(key), "it").replace(&quoted(&thumbnail_key(key)), "it")
}

impl fmt::Display for Failures<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: Vec<_> = self.0.iter().collect();
        reasons.sort_by_key(|(_, keys)| Reverse(keys.len()));
        for (reason, keys) in reasons.iter().take(REASONS_MAX) {
            let reason = plain(reason);
            if let [key] = keys[..] {
                writeln!(out, "  {}: {reason}", plain(key))?;
                continue;
            }
            writeln!(out, "  {} times: {reason}", keys.len())?;
            for key in keys.iter().take(EXAMPLES_MAX) {
                writeln!(out, "    {}", plain(key))?;
            }
            if keys.len() > EXAMPLES_MAX {
                writeln!(out, "    and {} more", keys.len() - EXAMPLES_MAX)?;
            }
        }
        let others = reasons.iter().skip(REASONS_MAX);
        match others.clone().map(|(_, keys)| keys.len()).sum() {
            0_usize => Ok(()),
            more => writeln!(out, "  {more} more, for {} other reasons", others.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_shown_once_with_a_few_examples() {
        let keys: Vec<String> = (0..1000).map(|number| format!("{number:03}.jpg")).collect();
        let failed = keys.iter().map(|key| (key.as_str(), "it is empty"));
        let shown = Failures::new(failed.chain([("a\n", "no\x1bpicture")])).to_string();
        let expected = "  1000 times: it is empty\n    000.jpg\n    001.jpg\n    002.jpg\n    \
                        and 997 more\n  a\\n: no\\u{1b}picture\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn reasons_that_name_the_photo_are_the_same_reason() {
        let failed = [
            ("a.jpg", "could not read \"a.jpg\" from here"),
            ("b\\.jpg", "could not read \"b\\\\.jpg\" from here"),
            ("c.jpg", "could not write \"c.jpg.jpg\" to there"),
        ];
        let counts = Failures::new(failed.into_iter()).counts();
        let expected = [("could not read it from here", 2), ("could not write it to there", 1)];
        assert_eq!(counts, expected.map(|(reason, count)| (reason.to_owned(), count)).into());
    }

    #[test]
    fn the_rest_of_many_reasons_is_counted() {
        let reasons: Vec<String> = (10..40).map(|percent| format!("{percent} % down")).collect();
        let all = reasons.iter().map(|reason| ("a.jpg", reason.as_str()));
        let shown = Failures::new(all.chain([("b.jpg", "39 % down")])).to_string();
        assert!(shown.starts_with("  2 times: 39 % down\n    a.jpg\n    b.jpg\n"), "{shown}");
        assert!(shown.ends_with("\n  20 more, for 20 other reasons\n"), "{shown}");
        assert_eq!(shown.lines().count(), REASONS_MAX + 3);
    }
}
