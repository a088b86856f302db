//! PNG, of every depth, by the `image` crate. It has to be decoded whole.

use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder};

use super::bounds::Bounds;
use super::error::{Measure, PictureError};
use super::format::Format;
use super::limits::Limits;
use super::pixels::{Depth, Layout, Pixels, on_white};
use super::{Decoded, stored_size};

pub(crate) fn decode(
    bytes: &[u8],
    bounds: Bounds,
    limits: &Limits,
) -> Result<Decoded, PictureError> {
    let (width, height) = declared_size(bytes)?;
    limits.admit_size(width, height)?;
    if !is_complete(bytes) {
        // The decoder would be content with the pixel data.
        return Err(PictureError::Truncated { format: Format::Png });
    }
    let refused = |error| refusal(error, limits);
    let mut allowed = image::Limits::no_limits();
    allowed.max_image_width = Some(limits.edge_max);
    allowed.max_image_height = Some(limits.edge_max);
    allowed.max_alloc = Some(limits.memory_bytes_max);
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), allowed).map_err(refused)?;
    let (layout, depth) = layout_of(decoder.color_type())?;
    let pixels = u64::from(width) * u64::from(height);
    let stored = decoder.total_bytes();
    let widened = if stored / pixels < 3 { pixels * 3 } else { 0 };
    limits.admit_memory(stored + widened + bounds.resizing_bytes(width, height))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut samples = vec![0; usize::try_from(stored).unwrap_or(usize::MAX)];
    decoder.read_image(&mut samples).map_err(refused)?;
    let (source_width, source_height) = stored_size(orientation, width, height);
    Ok(Decoded {
        pixels: Pixels::new(width, height, on_white(samples, layout, depth)),
        eighths: 8,
        orientation,
        source_width,
        source_height,
        format: Format::Png,
    })
}

/// The first chunk, which has to be the header, starts with the size.
fn declared_size(bytes: &[u8]) -> Result<(u32, u32), PictureError> {
    const TRUNCATED: PictureError = PictureError::Truncated { format: Format::Png };
    let chunk = bytes.get(12..24).ok_or(TRUNCATED)?;
    if !chunk.starts_with(b"IHDR") {
        return Err(PictureError::corrupt(Format::Png, "it does not start with a header"));
    }
    let side =
        |at: usize| u32::from_be_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
    let (width, height) = (side(4), side(8));
    if width == 0 || height == 0 {
        let reason = format!("it declares a size of {width} x {height}");
        return Err(PictureError::corrupt(Format::Png, reason));
    }
    Ok((width, height))
}

/// Whether the chunks, by their lengths, lead to a whole end chunk.
fn is_complete(bytes: &[u8]) -> bool {
    let mut rest = &bytes[8..];
    while let Some(&[a, b, c, d, ref kind @ ..]) = rest.first_chunk::<8>() {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(after) = rest.get(length.saturating_add(12)..) else { return false };
        if kind == b"IEND" {
            return true;
        }
        rest = after;
    }
    false
}

fn layout_of(color: ColorType) -> Result<(Layout, Depth), PictureError> {
    Ok(match color {
        ColorType::L8 => (Layout::Grey, Depth::Eight),
        ColorType::La8 => (Layout::GreyAlpha, Depth::Eight),
        ColorType::Rgb8 => (Layout::Rgb, Depth::Eight),
        ColorType::Rgba8 => (Layout::Rgba, Depth::Eight),
        ColorType::L16 => (Layout::Grey, Depth::Sixteen),
        ColorType::La16 => (Layout::GreyAlpha, Depth::Sixteen),
        ColorType::Rgb16 => (Layout::Rgb, Depth::Sixteen),
        ColorType::Rgba16 => (Layout::Rgba, Depth::Sixteen),
        other => {
            let feature = format!("{other:?} samples");
            return Err(PictureError::Unsupported { format: Format::Png, feature });
        }
    })
}

fn refusal(error: ImageError, limits: &Limits) -> PictureError {
    match error {
        ImageError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            PictureError::Truncated { format: Format::Png }
        }
        ImageError::Limits(limit) => {
            // The decoder does not say how much it wanted, only that it was more than allowed.
            let measure = match limit.kind() {
                LimitErrorKind::DimensionError => Measure::Edge,
                _ => Measure::MemoryBytes,
            };
            let allowed = match measure {
                Measure::Edge => u64::from(limits.edge_max),
                _ => limits.memory_bytes_max,
            };
            PictureError::TooLarge { measure, declared: allowed + 1, allowed }
        }
        other => PictureError::corrupt(Format::Png, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use image::ExtendedColorType;

    use super::super::specimen;
    use super::*;

    fn read(bytes: &[u8]) -> Result<Decoded, PictureError> {
        let bounds = Bounds::new(100, 100).expect("a valid box");
        decode(bytes, bounds, &Limits::default())
    }

    #[test]
    fn every_depth_is_read() {
        let sixteen: Vec<u8> =
            [0xFFFF_u16, 0, 0, 0x8080].iter().flat_map(|s| s.to_ne_bytes()).collect();
        let table: [(&[u8], ExtendedColorType, [u8; 3]); 6] = [
            (&[9], ExtendedColorType::L8, [9, 9, 9]),
            (&[0, 51], ExtendedColorType::La8, [204, 204, 204]),
            (&[1, 2, 3], ExtendedColorType::Rgb8, [1, 2, 3]),
            (&[255, 0, 0, 0], ExtendedColorType::Rgba8, [255, 255, 255]),
            (&sixteen[..6], ExtendedColorType::Rgb16, [255, 0, 0]),
            (&sixteen, ExtendedColorType::Rgba16, [255, 127, 127]),
        ];
        for (samples, color, expected) in table {
            let decoded = read(&specimen::png(samples, 1, 1, color)).expect("a sound picture");
            assert_eq!(decoded.pixels.rgb(), expected, "{color:?}");
        }
    }

    #[test]
    fn what_ends_early_is_truncated() {
        let picture = specimen::noise(20, 20);
        let bytes = specimen::png(picture.rgb(), 20, 20, ExtendedColorType::Rgb8);
        for length in (8..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
            let refused = read(&bytes[..length]).expect_err("incomplete");
            assert_eq!(refused, PictureError::Truncated { format: Format::Png }, "{length}");
        }
    }

    #[test]
    fn a_changed_byte_is_damage() {
        let picture = specimen::noise(20, 20);
        let mut bytes = specimen::png(picture.rgb(), 20, 20, ExtendedColorType::Rgb8);
        bytes[300] ^= 4;
        assert!(matches!(read(&bytes), Err(PictureError::Corrupt { .. })));
    }

    #[test]
    fn no_size_at_all_is_damage() {
        for (width, height) in [(0, 5), (5, 0)] {
            let refused = read(&specimen::png_declaring(width, height)).expect_err("no pixels");
            assert!(refused.to_string().contains("declares a size"), "{refused}");
        }
    }
}
