//! Which picture format a file is in, by its first bytes; its name is never asked.

use std::fmt;

use super::error::PictureError;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
}

impl Format {
    /// The format that `bytes` announce.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, PictureError> {
        if bytes.is_empty() {
            return Err(PictureError::Empty);
        }
        if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
            return Ok(Self::Jpeg);
        }
        if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
            return Ok(Self::Png);
        }
        if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            return Ok(Self::WebP);
        }
        Err(PictureError::NotAnImage { found: describe(bytes) })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
        })
    }
}

/// What a file that is none of ours seems to be, to help whoever passed the wrong one.
fn describe(bytes: &[u8]) -> String {
    const KNOWN: [(&[u8], &str); 10] = [
        (b"GIF8", "a GIF"),
        (b"BM", "a BMP"),
        (b"II*\0", "a TIFF"),
        (b"MM\0*", "a TIFF"),
        (b"%PDF", "a PDF"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1F\x8B", "a gzip file"),
        (b"RIFF", "a RIFF file that is no WebP"),
        (b"\xFF\xD8", "the start of a JPEG and nothing more"),
        (b"\x89PNG", "a PNG signature that is cut off or was changed in transfer"),
    ];
    if let Some((_, name)) = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*name).to_owned();
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return "an ISO media file (AVIF, HEIC or a film)".to_owned();
    }
    let head = &bytes[..bytes.len().min(16)];
    match std::str::from_utf8(head) {
        Ok(text) if text.chars().all(|letter| !letter.is_control() || letter.is_whitespace()) => {
            format!("text starting with {text:?}")
        }
        _ => format!("bytes starting with {:02X?}", &head[..head.len().min(8)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        assert_eq!(Format::of(b"\xFF\xD8\xFF\xE0"), Ok(Format::Jpeg));
        assert_eq!(Format::of(b"\x89PNG\r\n\x1A\n"), Ok(Format::Png));
        assert_eq!(Format::of(b"RIFF\0\0\0\0WEBPVP8 "), Ok(Format::WebP));
        assert_eq!(Format::of(b""), Err(PictureError::Empty));
    }

    #[test]
    fn what_is_no_picture_is_described() {
        let table: [(&[u8], &str); 7] = [
            (b"hello world", "text starting with \"hello world\""),
            (b"GIF89a", "a GIF"),
            (b"RIFF\0\0\0\0WAVE", "no WebP"),
            (b"\0\0\0\x20ftypavif", "ISO media"),
            (b"\xFF\xD8", "nothing more"),
            (b"\x01\x02", "bytes starting with [01, 02]"),
            (b"\x89PNG\n\x1A\n", "changed in transfer"),
        ];
        for (bytes, expected) in table {
            let refused = Format::of(bytes).expect_err(expected).to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
