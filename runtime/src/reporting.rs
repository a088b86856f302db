//! The cost report at a program's end, where the environment asks for it.

use std::fs;
use std::path::PathBuf;

use coordinator::bill::Report;

/// Where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reporting {
    /// To standard error, as a table.
    Text,
    /// To standard error, as JSON.
    Json,
    /// To a file, as JSON.
    File(PathBuf),
}

impl Reporting {
    /// `text`, `json`, or a file.
    pub(crate) fn parse(text: String) -> Self {
        match text.as_str() {
            "text" => Self::Text,
            "json" => Self::Json,
            _ => Self::File(text.into()),
        }
    }

    /// Tells it. A program whose work is done does not fail for it.
    pub(crate) fn tell(&self, report: Option<&Report>) {
        let Some(report) = report else {
            return eprintln!("farspawn: no report: the coordinator is lost");
        };
        match self {
            Self::Text => eprint!("{report}"),
            Self::Json => eprintln!("{}", json(report)),
            Self::File(file) => {
                if let Err(error) = fs::write(file, json(report) + "\n") {
                    eprintln!("farspawn: FARSPAWN_REPORT={}: {error}", file.display());
                }
            }
        }
    }
}

fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report).unwrap_or_default()
}
