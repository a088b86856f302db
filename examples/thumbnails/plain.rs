//! Text that a terminal only shows. The names of files are chosen by whoever filled the folder, and
//! could otherwise move the cursor, forge lines of the report, or reverse what follows them.

/// The text on one line, with an escape such as `\n` or `\u{1b}` for each letter that would do more
/// than appear.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if acts(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// JSON that means the same. What is escaped in JSON anyway ends with the space; a terminal acts on
/// more than that.
pub(crate) fn plain_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        if acts(letter) && letter != '\n' {
            shown.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Control characters, the separators of lines, and what changes the direction of writing.
fn acts(letter: char) -> bool {
    let directs = matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || directs || matches!(letter, '\u{2028}'..='\u{202e}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stay_and_controls_are_escaped() {
        for (text, expected) in [
            ("a/b c.jpg", "a/b c.jpg"),
            ("it's \"5\" \\ 6", "it's \"5\" \\ 6"),
            ("e\u{301}té, 日本, 👩‍🔧", "e\u{301}té, 日本, 👩‍🔧"),
            ("two\nlines\r\ttab", "two\\nlines\\r\\ttab"),
            ("\x1b[2J\x07\x7f", "\\u{1b}[2J\\u{7}\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("gpj.\u{202e}exe\u{2069}\u{2028}", "gpj.\\u{202e}exe\\u{2069}\\u{2028}"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn plain_json_means_the_same() {
        let names = ["\u{9b}31m\x7f", "\u{202e}", "\x1b\n\"\\", "é 👩‍🔧"];
        let json = serde_json::to_string_pretty(&names).expect("plain data");
        let shown = plain_json(&json);
        assert!(!shown.chars().any(|letter| acts(letter) && letter != '\n'), "{shown}");
        assert_eq!(serde_json::from_str::<[String; 4]>(&shown).expect("JSON"), names);
        assert_eq!(plain_json("{\n  \"a\": 1\n}"), "{\n  \"a\": 1\n}");
    }
}
