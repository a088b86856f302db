//! PNG, of every depth, by the `png` crate. It gives rows, which are reduced as they come. Where it
//! is interlaced each part of the file has rows from top to bottom: it has to be decoded whole.

use std::io::{Cursor, ErrorKind};

use image::metadata::Orientation;
use png::{ColorType, DecodingError, Transformations};

use super::bounds::Bounds;
use super::error::{Measure, PictureError};
use super::format::Format;
use super::jpeg::OVERSAMPLING;
use super::limits::Limits;
use super::pixels::{Layout, Pixels, on_white};
use super::shrink::Shrink;
use super::{Decoded, stored_size};

/// An allowance for the window of the decompression and for rows in progress.
const WORKING_BYTES: u64 = 4 << 20;

type Reader<'a> = png::Reader<Cursor<&'a [u8]>>;

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
    let mut reader = open(bytes, limits).map_err(refused)?;
    let layout = layout_of(reader.output_color_type().0)?;
    let exif = reader.info().exif_metadata.as_deref();
    let orientation = exif.and_then(Orientation::from_exif_chunk);
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let (source_width, source_height) = stored_size(orientation, width, height);

    let interlaced = reader.info().interlaced;
    let (across, down) = bounds.fit(source_width, source_height);
    let fitted = stored_size(orientation, across, down);
    let side = if interlaced { 1 } else { side((width, height), fitted) };
    let (across, down) = (width.div_ceil(side), height.div_ceil(side));
    let pixels = u64::from(across) * u64::from(down);
    // As it is stored, and a second time where that is narrower than what it becomes.
    let whole = if interlaced { pixels * 4 } else { 0 };
    let kept = pixels * 3 + whole + bounds.resizing_bytes(across, down) + WORKING_BYTES;
    limits.admit_memory(kept)?;
    let pixels = if interlaced {
        read_whole(&mut reader, layout).map_err(refused)?
    } else {
        read_rows(&mut reader, layout, side).map_err(refused)?
    };
    let short = || PictureError::corrupt(Format::Png, "it has fewer rows than it declares");
    Ok(Decoded {
        pixels: pixels.ok_or_else(short)?,
        eighths: u8::try_from(8 / side).unwrap_or(8),
        orientation,
        source_width,
        source_height,
        format: Format::Png,
    })
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Reader<'a>, DecodingError> {
    let bytes_max = usize::try_from(limits.memory_bytes_max).unwrap_or(usize::MAX);
    let limits = png::Limits { bytes: bytes_max };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Eight bits a sample, and no palette.
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.read_info()
}

/// The side of the squares that become one pixel: as large as leaves enough of them, up to what a
/// [`Decoded`] can say.
fn side(stored: (u32, u32), fitted: (u32, u32)) -> u32 {
    let enough = |side: &u32| {
        stored.0.div_ceil(*side) >= fitted.0 * OVERSAMPLING
            && stored.1.div_ceil(*side) >= fitted.1 * OVERSAMPLING
    };
    [8, 4, 2].into_iter().find(enough).unwrap_or(1)
}

fn read_rows(
    reader: &mut Reader<'_>,
    layout: Layout,
    side: u32,
) -> Result<Option<Pixels>, DecodingError> {
    let (width, height) = reader.info().size();
    let mut shrink = Shrink::new(width, height, side);
    while let Some(row) = reader.next_row()? {
        shrink.push(&on_white(row.data().to_vec(), layout));
    }
    Ok(shrink.finish())
}

fn read_whole(reader: &mut Reader<'_>, layout: Layout) -> Result<Option<Pixels>, DecodingError> {
    let (width, height) = reader.info().size();
    let mut samples = vec![0; reader.output_buffer_size().ok_or(DecodingError::LimitsExceeded)?];
    reader.next_frame(&mut samples)?;
    Ok(Some(Pixels::new(width, height, on_white(samples, layout))))
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

fn layout_of(color: ColorType) -> Result<Layout, PictureError> {
    match color {
        ColorType::Grayscale => Ok(Layout::Grey),
        ColorType::GrayscaleAlpha => Ok(Layout::GreyAlpha),
        ColorType::Rgb => Ok(Layout::Rgb),
        ColorType::Rgba => Ok(Layout::Rgba),
        ColorType::Indexed => Err(PictureError::Unsupported {
            format: Format::Png,
            feature: "a palette that cannot be resolved".to_owned(),
        }),
    }
}

fn refusal(error: DecodingError, limits: &Limits) -> PictureError {
    match error {
        DecodingError::IoError(io) if io.kind() == ErrorKind::UnexpectedEof => {
            PictureError::Truncated { format: Format::Png }
        }
        DecodingError::LimitsExceeded => {
            // The decoder does not say how much it wanted, only that it was more than allowed.
            let allowed = limits.memory_bytes_max;
            PictureError::TooLarge { measure: Measure::MemoryBytes, declared: allowed + 1, allowed }
        }
        other => PictureError::corrupt(Format::Png, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use image::ExtendedColorType;

    use super::super::specimen;
    use super::*;

    /// 8 x 8 pixels, interlaced: the four quadrants.
    #[rustfmt::skip]
    const INTERLACED: [u8; 99] = [
        0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48,
        0x44, 0x52, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x08, 0x08, 0x02, 0x00, 0x00,
        0x01, 0x3C, 0x6A, 0x19, 0x4A, 0x00, 0x00, 0x00, 0x2A, 0x49, 0x44, 0x41, 0x54, 0x78,
        0xDA, 0x63, 0xF8, 0xCF, 0x00, 0x04, 0x10, 0x02, 0x08, 0xC0, 0x2C, 0x14, 0x1E, 0x54,
        0x00, 0xA6, 0xEC, 0x3F, 0x04, 0xA0, 0xCA, 0xE0, 0x56, 0x86, 0x45, 0x0F, 0x16, 0x9D,
        0x38, 0x25, 0x90, 0x79, 0xC8, 0x00, 0xA7, 0x04, 0x00, 0x22, 0x99, 0x5F, 0xA1, 0xA2,
        0x97, 0x8B, 0xA5, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60,
        0x82,
    ];

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
    fn interlaced_ones_are_read_too() {
        let decoded = read(&INTERLACED).expect("a sound picture");
        assert_eq!(decoded.pixels, specimen::quadrants(8, 8));
    }

    #[test]
    fn a_large_one_is_never_in_memory_whole() {
        let (width, height) = (2001, 1003);
        let picture = specimen::quadrants(width, height);
        let bytes = specimen::png(picture.rgb(), width, height, ExtendedColorType::Rgb8);
        let limits = Limits { memory_bytes_max: 5 << 20, ..Limits::default() };
        let bounds = Bounds::new(100, 100).expect("a valid box");
        let decoded = decode(&bytes, bounds, &limits).expect("its 6 MB are not all needed");
        assert_eq!((decoded.source_width, decoded.source_height), (width, height));
        let reduced = (decoded.pixels.width(), decoded.pixels.height(), decoded.eighths);
        assert_eq!(reduced, (251, 126, 1));
        let quadrants = [specimen::RED, specimen::GREEN, specimen::BLUE, specimen::WHITE];
        assert_eq!(specimen::quadrants_of(&decoded.pixels), quadrants);
    }

    #[test]
    fn the_largest_sufficient_squares_are_taken() {
        for (stored, fitted, expected) in [
            ((4000, 3000), (100, 75), 8),
            ((1600, 1200), (100, 75), 8),
            ((1592, 1200), (100, 75), 4),
            ((400, 300), (100, 75), 2),
            ((398, 300), (100, 75), 1),
            ((60, 40), (60, 40), 1),
        ] {
            assert_eq!(side(stored, fitted), expected, "{stored:?} to {fitted:?}");
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
