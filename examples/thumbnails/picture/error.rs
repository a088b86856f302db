//! Why a picture was refused. Every message says what was expected instead.

use std::fmt;

use thiserror::Error;

use super::format::Format;

/// No thumbnail, because of this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PictureError {
    #[error("the input is empty; expected a JPEG, PNG or WebP picture")]
    Empty,

    #[error("not a picture: expected JPEG, PNG or WebP, found {found}")]
    NotAnImage { found: String },

    #[error(
        "this {format} uses {feature}, which is not read; expected a baseline or progressive JPEG \
         of 8 bits in grey, RGB, YCbCr, CMYK or YCCK, a PNG, or a WebP"
    )]
    Unsupported { format: Format, feature: String },

    #[error("the {format} ends too early: it has to be complete up to its end marker")]
    Truncated { format: Format },

    #[error("the {format} is damaged: {reason}")]
    Corrupt { format: Format, reason: String },

    #[error("too large: {measure} would be {declared}, at most {allowed} allowed")]
    TooLarge { measure: Measure, declared: u64, allowed: u64 },

    #[error("could not resize: {reason}")]
    Resizing { reason: String },

    #[error("could not write the thumbnail: {reason}")]
    Encoding { reason: String },
}

impl PictureError {
    pub(crate) fn corrupt(format: Format, reason: impl Into<String>) -> Self {
        Self::Corrupt { format, reason: reason.into() }
    }
}

/// What of an input was too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    InputBytes,
    Edge,
    Pixels,
    MemoryBytes,
    Scans,
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::InputBytes => "the file's bytes",
            Self::Edge => "the longer side in pixels",
            Self::Pixels => "the number of pixels",
            Self::MemoryBytes => "the bytes of memory to decode it",
            Self::Scans => "the number of progressive scans",
        })
    }
}
