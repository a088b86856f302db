//! WebP, lossy and lossless, with alpha, by the `image-webp` crate. It has to be decoded whole; of
//! an animation the first frame is taken.
//!
//! The file declares its size up to three times: for the canvas, for each frame, and inside each
//! bitstream. The decoder compares them only after it has decoded, so [`largest_declared`] looks at
//! all of them first.

use std::io::Cursor;

use image::metadata::Orientation;
use image_webp::{DecodingError, WebPDecoder};

use super::bounds::Bounds;
use super::error::PictureError;
use super::format::Format;
use super::limits::Limits;
use super::pixels::{Layout, Pixels, on_white};
use super::{Decoded, stored_size};

/// Output, planes or a second copy, and alpha, at most, as the decoder holds them.
const BYTES_A_PIXEL: u64 = 10;

pub(crate) fn decode(
    bytes: &[u8],
    bounds: Bounds,
    limits: &Limits,
) -> Result<Decoded, PictureError> {
    if declared_length(bytes) > bytes.len() as u64 {
        // The decoder would accept some losses at the end.
        return Err(PictureError::Truncated { format: Format::WebP });
    }
    let (width, height) = largest_declared(bytes);
    limits.admit_size(width, height)?;
    let whole = u64::from(width) * u64::from(height) * BYTES_A_PIXEL;
    limits.admit_memory(whole + bounds.resizing_bytes(width, height))?;
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| refusal(&error))?;
    // Chunks are read into memory of their declared size; none can be longer than the file.
    decoder.set_memory_limit(bytes.len());
    let (width, height) = decoder.dimensions();
    limits.admit_size(width, height)?;
    let exif = decoder.exif_metadata().ok().flatten();
    let orientation = exif
        .and_then(|exif| {
            Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif))
        })
        .unwrap_or(Orientation::NoTransforms);
    let layout = if decoder.has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let mut samples = vec![0; decoder.output_buffer_size().unwrap_or(usize::MAX)];
    decoder.read_image(&mut samples).map_err(|error| refusal(&error))?;
    let (source_width, source_height) = stored_size(orientation, width, height);
    Ok(Decoded {
        pixels: Pixels::new(width, height, on_white(samples, layout)),
        eighths: 8,
        orientation,
        source_width,
        source_height,
        format: Format::WebP,
    })
}

/// The length of the file by its RIFF header.
fn declared_length(bytes: &[u8]) -> u64 {
    let field = bytes.get(4..8).and_then(|field| field.first_chunk());
    field.map_or(u64::MAX, |field| u64::from(u32::from_le_bytes(*field)) + 8)
}

/// The largest width and the largest height that any chunk declares.
fn largest_declared(bytes: &[u8]) -> (u32, u32) {
    let (mut width, mut height) = (0, 0);
    let mut position = 12_usize;
    while let Some(header) = bytes.get(position..position.saturating_add(8)) {
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let body = &bytes[position + 8..];
        if let Some((across, down)) = declared(&header[..4], body) {
            (width, height) = (width.max(across), height.max(down));
        }
        // A frame of an animation holds chunks of its own, after sixteen bytes about itself.
        let step = if header.starts_with(b"ANMF") { 16 } else { length.saturating_add(length & 1) };
        position = position.saturating_add(8).saturating_add(step);
    }
    (width, height)
}

fn declared(kind: &[u8], body: &[u8]) -> Option<(u32, u32)> {
    let three = |at: usize| {
        Some(u32::from_le_bytes([*body.get(at)?, *body.get(at + 1)?, *body.get(at + 2)?, 0]))
    };
    let two = |at: usize| Some(u32::from(u16::from_le_bytes([*body.get(at)?, *body.get(at + 1)?])));
    match kind {
        b"VP8X" => Some((three(4)? + 1, three(7)? + 1)),
        b"ANMF" => Some((three(6)? + 1, three(9)? + 1)),
        b"VP8 " => Some((two(6)? & 0x3FFF, two(8)? & 0x3FFF)),
        b"VP8L" => {
            let packed = u32::from_le_bytes(*body.get(1..5)?.first_chunk()?);
            Some(((packed & 0x3FFF) + 1, ((packed >> 14) & 0x3FFF) + 1))
        }
        _ => None,
    }
}

fn refusal(error: &DecodingError) -> PictureError {
    match error {
        DecodingError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            PictureError::Truncated { format: Format::WebP }
        }
        DecodingError::NotEnoughInitData => PictureError::Truncated { format: Format::WebP },
        other => PictureError::corrupt(Format::WebP, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::specimen;
    use super::*;

    /// 16 x 8 pixels, lossy: red on the left, and on the right blue that alpha makes invisible.
    #[rustfmt::skip]
    const LOSSY: [u8; 112] = [
        0x52, 0x49, 0x46, 0x46, 0x68, 0x00, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50, 0x56, 0x50,
        0x38, 0x58, 0x0A, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x0F, 0x00, 0x00, 0x07,
        0x00, 0x00, 0x41, 0x4C, 0x50, 0x48, 0x0F, 0x00, 0x00, 0x00, 0x01, 0x10, 0x12, 0x10,
        0xFE, 0x9F, 0x96, 0x44, 0x3D, 0x22, 0x26, 0xC0, 0x24, 0x7F, 0x00, 0x00, 0x56, 0x50,
        0x38, 0x20, 0x32, 0x00, 0x00, 0x00, 0x90, 0x01, 0x00, 0x9D, 0x01, 0x2A, 0x10, 0x00,
        0x08, 0x00, 0x02, 0x80, 0x42, 0x25, 0xA0, 0x02, 0x74, 0xBA, 0x00, 0x03, 0x98, 0x00,
        0xFE, 0xF2, 0x7F, 0xFF, 0xFA, 0xD5, 0x7F, 0xFF, 0x85, 0x6B, 0xFE, 0xEC, 0x17, 0x60,
        0x7F, 0xEA, 0xB3, 0xFF, 0xBD, 0x81, 0x21, 0xFF, 0xBD, 0x80, 0xF7, 0x00, 0x00, 0x00,
    ];

    fn read(bytes: &[u8]) -> Result<Decoded, PictureError> {
        let bounds = Bounds::new(100, 100).expect("a valid box");
        decode(bytes, bounds, &Limits::default())
    }

    #[test]
    fn lossy_with_alpha_is_laid_on_white() {
        let decoded = read(&LOSSY).expect("a sound picture");
        let [left, right, ..] = specimen::quadrants_of(&decoded.pixels);
        assert!(specimen::alike(left, specimen::RED), "{left:?}");
        assert_eq!(right, specimen::WHITE);
        assert_eq!((decoded.source_width, decoded.source_height), (16, 8));
    }

    #[test]
    fn lossless_is_exact() {
        let picture = specimen::quadrants(16, 8);
        let bytes = specimen::lossless_webp(picture.rgb(), 16, 8, false);
        assert_eq!(read(&bytes).expect("a sound picture").pixels, picture);
        let clear = [9, 9, 9, 0].repeat(16);
        let decoded = read(&specimen::lossless_webp(&clear, 4, 4, true)).expect("a sound picture");
        assert!(decoded.pixels.rgb().iter().all(|sample| *sample == 255));
    }

    #[test]
    fn what_ends_early_is_refused() {
        for length in 12..LOSSY.len() {
            let refused = read(&LOSSY[..length]).expect_err("incomplete");
            assert_eq!(refused, PictureError::Truncated { format: Format::WebP }, "{length}");
        }
    }

    #[test]
    fn every_declared_size_is_found() {
        let lossy = specimen::webp_of(b"VP8 ", &[0, 0, 0, 0x9D, 1, 0x2A, 0x10, 0x27, 0x20, 0x4E]);
        assert_eq!(largest_declared(&lossy), (10_000, 0x0E20));
        let lossless = specimen::webp_of(b"VP8L", &[0x2F, 0xFF, 0xFF, 0xFF, 0x0F]);
        assert_eq!(largest_declared(&lossless), (16_384, 16_384));
        let canvas = specimen::webp_of(b"VP8X", &[0, 0, 0, 0, 9, 0, 0, 19, 0, 0]);
        assert_eq!(largest_declared(&canvas), (10, 20));
        let frame = [&[0; 6][..], &[9, 0, 0, 19, 0, 0, 0, 0, 0, 0], &lossless[12..]].concat();
        let animation = specimen::webp_of(b"ANMF", &frame);
        assert_eq!(largest_declared(&animation), (16_384, 16_384));
    }
}
