//! What a JPEG declares before its picture data, read without allocating for it.
//!
//! The decoder reads the same segments again. This reading comes first so that sizes are refused
//! before the decoder acts on them, and because the decoder does not tell about EXIF or Adobe.

use image::metadata::Orientation;

use super::error::{Measure, PictureError};
use super::format::Format;
use super::limits::at_most;

/// Enough for any encoder's progressive script; a file with thousands is an attack on our time.
const SCANS_MAX: u64 = 100;

/// The facts that the decoding is planned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Horizontal and vertical sampling factor of each component, one to four of them.
    pub(crate) sampling: Vec<(u8, u8)>,
    pub(crate) scans: Scans,
    /// An Adobe segment is present, which means that CMYK is stored inverted.
    pub(crate) adobe: bool,
    pub(crate) orientation: Orientation,
}

/// Whether the picture can be decoded row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scans {
    /// One scan holds everything.
    Single,
    /// Several scans (progressive, or one a component): all coefficients are held in memory.
    Several,
}

impl Header {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, PictureError> {
        let mut segments = Segments { bytes, position: 2 };
        let mut frame = None;
        let mut adobe = false;
        let mut orientation = Orientation::NoTransforms;
        loop {
            let segment = segments.next()?;
            match segment.marker {
                0xC0..=0xC2 if frame.is_some() => return Err(damaged("it has two frame headers")),
                0xC0..=0xC2 => frame = Some(Frame::read(segment)?),
                0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                    return Err(unsupported("lossless, hierarchical or arithmetic coding"));
                }
                0xD9 => return Err(damaged("it ends before any picture data")),
                0xDA => {
                    let frame =
                        frame.ok_or_else(|| damaged("its data comes before its frame header"))?;
                    let scans = frame.scans(segment.body)?;
                    if scans == Scans::Several {
                        admit_scans(segments)?;
                    }
                    let Frame { width, height, sampling, .. } = frame;
                    return Ok(Self { width, height, sampling, scans, adobe, orientation });
                }
                0xE1 => orientation = exif_orientation(segment.body).unwrap_or(orientation),
                0xEE => adobe |= segment.body.len() >= 12 && segment.body.starts_with(b"Adobe"),
                _ => {}
            }
        }
    }

    /// Bytes of all coefficients, two each, in whole blocks.
    pub(crate) fn coefficient_bytes(&self) -> u64 {
        let most = |side: fn(&(u8, u8)) -> u8| self.sampling.iter().map(side).max().unwrap_or(1);
        let across = u64::from(self.width).div_ceil(8 * u64::from(most(|pair| pair.0)));
        let down = u64::from(self.height).div_ceil(8 * u64::from(most(|pair| pair.1)));
        let blocks: u64 = self.sampling.iter().map(|&(h, v)| u64::from(h) * u64::from(v)).sum();
        across * down * blocks * 128
    }
}

/// The frame header (SOF).
struct Frame {
    width: u32,
    height: u32,
    sampling: Vec<(u8, u8)>,
    progressive: bool,
}

impl Frame {
    fn read(segment: Segment<'_>) -> Result<Self, PictureError> {
        let &[precision, y1, y0, x1, x0, count, ref components @ ..] = segment.body else {
            return Err(damaged("its frame header is too short"));
        };
        if precision != 8 {
            return Err(unsupported(&format!("{precision} bits a sample")));
        }
        let (height, width) = (u16::from_be_bytes([y1, y0]), u16::from_be_bytes([x1, x0]));
        if width == 0 || height == 0 {
            return Err(damaged(&format!("it declares a size of {width} x {height}")));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(unsupported(&format!("{count} colour components")));
        }
        if components.len() != 3 * usize::from(count) {
            return Err(damaged("its frame header has the wrong length"));
        }
        let sampling: Vec<_> = components.chunks_exact(3).map(|c| (c[1] >> 4, c[1] & 15)).collect();
        if sampling.iter().any(|&(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v)) {
            return Err(damaged("a sampling factor is not 1 to 4"));
        }
        let progressive = segment.marker == 0xC2;
        Ok(Self { width: width.into(), height: height.into(), sampling, progressive })
    }

    fn scans(&self, first_scan: &[u8]) -> Result<Scans, PictureError> {
        let count = first_scan.first().ok_or_else(|| damaged("its scan header is empty"))?;
        let whole = usize::from(*count) == self.sampling.len() && !self.progressive;
        Ok(if whole { Scans::Single } else { Scans::Several })
    }
}

/// Walks through all scans and counts them, reading nothing but markers.
fn admit_scans(mut segments: Segments<'_>) -> Result<(), PictureError> {
    let mut scans = 1;
    // A file that ends in here is for the decoder to refuse; it cannot hold more scans than seen.
    while let Ok(segment) = segments.next() {
        match segment.marker {
            0xDA => scans += 1,
            0xD9 => break,
            _ => {}
        }
        at_most(Measure::Scans, scans, SCANS_MAX)?;
    }
    Ok(())
}

fn exif_orientation(body: &[u8]) -> Option<Orientation> {
    Orientation::from_exif_chunk(body.strip_prefix(b"Exif\0\0")?)
}

/// A marker and what follows it up to its declared length.
#[derive(Clone, Copy)]
struct Segment<'a> {
    marker: u8,
    body: &'a [u8],
}

/// Goes from marker to marker, skipping what lies between, as the decoder does.
#[derive(Clone, Copy)]
struct Segments<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Segments<'a> {
    fn next(&mut self) -> Result<Segment<'a>, PictureError> {
        let marker = self.next_marker()?;
        // These stand alone, without a length.
        if matches!(marker, 0x01 | 0xD0..=0xD9) {
            return Ok(Segment { marker, body: &[] });
        }
        let truncated = PictureError::Truncated { format: Format::Jpeg };
        let rest = &self.bytes[self.position..];
        let Some(&[high, low]) = rest.first_chunk() else { return Err(truncated) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(damaged("a segment is shorter than its own length field"));
        }
        let body = rest.get(2..length).ok_or(truncated)?;
        self.position += length;
        Ok(Segment { marker, body })
    }

    /// The next byte after a run of 0xFF that is neither 0xFF nor a stuffed zero.
    fn next_marker(&mut self) -> Result<u8, PictureError> {
        let mut after_fill = false;
        while let Some(&byte) = self.bytes.get(self.position) {
            self.position += 1;
            match (after_fill, byte) {
                (_, 0xFF) => after_fill = true,
                (true, 1..) => return Ok(byte),
                _ => after_fill = false,
            }
        }
        Err(PictureError::Truncated { format: Format::Jpeg })
    }
}

fn damaged(reason: &str) -> PictureError {
    PictureError::corrupt(Format::Jpeg, reason)
}

fn unsupported(feature: &str) -> PictureError {
    PictureError::Unsupported { format: Format::Jpeg, feature: feature.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::specimen;
    use super::*;

    fn frame(marker: u8, width: u16, height: u16) -> Vec<u8> {
        specimen::jpeg_declaring(marker, width, height)
    }

    #[test]
    fn what_is_declared_is_found() {
        let header = Header::read(&frame(0xC0, 640, 480)).expect("a sound header");
        assert_eq!((header.width, header.height), (640, 480));
        assert_eq!(header.sampling, [(2, 2), (1, 1), (1, 1)]);
        assert_eq!((header.scans, header.adobe), (Scans::Single, false));
        assert_eq!(header.coefficient_bytes(), 40 * 30 * 6 * 128);
        let progressive = Header::read(&frame(0xC2, 640, 480)).expect("a sound header");
        assert_eq!(progressive.scans, Scans::Several);
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        let table = [
            (frame(0xC9, 8, 8), "arithmetic"),
            (frame(0xC0, 0, 8), "0 x 8"),
            (frame(0xC0, 8, 0), "8 x 0"),
            (frame(0xC0, 8, 8)[..20].to_vec(), "ends too early"),
            (vec![0xFF, 0xD8, 0xFF, 0xD9], "before any picture data"),
            (vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 1], "length field"),
        ];
        for (bytes, expected) in table {
            let refused = Header::read(&bytes).expect_err(expected).to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn thousands_of_scans_are_refused() {
        let mut bytes = frame(0xC2, 64, 64);
        for _ in 0..200 {
            bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0]);
        }
        let refused = Header::read(&bytes).expect_err("an attack");
        assert!(matches!(refused, PictureError::TooLarge { measure: Measure::Scans, .. }));
    }
}
