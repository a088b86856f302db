//! JPEG by libjpeg (the `mozjpeg` crate, which builds it with a C compiler alone).
//!
//! The decoder reduces the picture while it decodes, by N/8 in each direction: at 1/8 a block of 64
//! pixels is its average alone, so nearly all that remains is the Huffman decoding.
//!
//! Errors: libjpeg cannot return one, its handler has to unwind; the caller of [`decode`] and
//! [`encode`] catches that. What libjpeg calls warnings (it ran into a marker inside the data, met
//! an impossible code, invented an end) are counted on the thread, because the handler is given
//! nothing of ours to count in. A warning while pixels are being read means invented pixels.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::panic::resume_unwind;

use mozjpeg::decompress::DecompressStarted;
use mozjpeg::{ColorSpace, Compress, Decompress};
use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr};

use super::bounds::Bounds;
use super::error::PictureError;
use super::format::Format;
use super::jpeg_header::{Header, Scans};
use super::limits::Limits;
use super::pixels::Pixels;
use super::{Decoded, stored_size};

const QUALITY: f32 = 75.0;
/// The reduced picture keeps this many times the thumbnail's size, for the filter to work on.
pub(super) const OVERSAMPLING: u32 = 2;
/// An allowance for libjpeg's tables and rows in progress; a row of 32,768 pixels took 2 MiB.
const WORKING_BYTES: u64 = 4 << 20;

pub(crate) fn decode(
    bytes: &[u8],
    bounds: Bounds,
    limits: &Limits,
) -> Result<Decoded, PictureError> {
    let header = Header::read(bytes)?;
    limits.admit_size(header.width, header.height)?;
    let (source_width, source_height) =
        stored_size(header.orientation, header.width, header.height);
    let (width, height) = bounds.fit(source_width, source_height);
    let (width, height) = stored_size(header.orientation, width, height);
    let eighths = scale(&header, width, height);
    limits.admit_memory(memory_bytes(&header, eighths, bounds))?;
    Ok(Decoded {
        pixels: read_pixels(bytes, &header, eighths)?,
        eighths,
        orientation: header.orientation,
        source_width,
        source_height,
        format: Format::Jpeg,
    })
}

/// Writes the thumbnail. Unwinds if libjpeg fails.
pub(crate) fn encode(pixels: &Pixels) -> io::Result<Vec<u8>> {
    let mut encoder = Compress::new(ColorSpace::JCS_RGB);
    // The other defaults search for a smaller file at many times the cost.
    encoder.set_fastest_defaults();
    encoder.set_optimize_coding(true);
    encoder.set_size(pixels.width() as usize, pixels.height() as usize);
    encoder.set_quality(QUALITY);
    encoder.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
    let mut encoder = encoder.start_compress(Vec::new())?;
    encoder.write_scanlines(pixels.rgb())?;
    encoder.finish()
}

/// The smallest number of eighths that leaves enough pixels; 8 if none does.
fn scale(header: &Header, width: u32, height: u32) -> u8 {
    let enough = |eighths: &u8| {
        scaled(header.width, *eighths) >= width * OVERSAMPLING
            && scaled(header.height, *eighths) >= height * OVERSAMPLING
    };
    (1..8).find(enough).unwrap_or(8)
}

fn scaled(side: u32, eighths: u8) -> u32 {
    (side * u32::from(eighths)).div_ceil(8)
}

/// The reduced picture (CMYK before it is RGB), what resizing it takes, and every coefficient if
/// all have to be kept.
fn memory_bytes(header: &Header, eighths: u8, bounds: Bounds) -> u64 {
    let (width, height) = (scaled(header.width, eighths), scaled(header.height, eighths));
    let channels = if header.sampling.len() == 4 { 4 } else { 3 };
    let reduced = u64::from(width) * u64::from(height) * channels;
    let kept = match header.scans {
        Scans::Single => 0,
        Scans::Several => header.coefficient_bytes(),
    };
    reduced + kept + bounds.resizing_bytes(width, height) + WORKING_BYTES
}

fn read_pixels(bytes: &[u8], header: &Header, eighths: u8) -> Result<Pixels, PictureError> {
    let ended = Cell::new(false);
    let input = Input { rest: bytes, ended: &ended };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        decompress(input, header, eighths)
    }));
    // Whatever else went wrong, a decoder that asked for more than there is explains it best.
    if ended.get() {
        return Err(PictureError::Truncated { format: Format::Jpeg });
    }
    match outcome {
        Ok(result) => result.map_err(|damage| PictureError::corrupt(Format::Jpeg, damage.0)),
        Err(payload) if payload.is::<Stopped>() => {
            Err(PictureError::corrupt(Format::Jpeg, "its headers or tables contradict themselves"))
        }
        Err(payload) => resume_unwind(payload),
    }
}

/// What is wrong with the picture data.
struct Damage(String);

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

fn decompress(input: Input<'_>, header: &Header, eighths: u8) -> Result<Pixels, Damage> {
    let mut decoder = Decompress::with_err(error_handler()).from_reader(input)?;
    if decoder.size() != (header.width as usize, header.height as usize) {
        // The limits were applied to what we read, so the decoder must have read the same.
        return Err(Damage("its size is declared in two ways".to_owned()));
    }
    decoder.scale(eighths);
    // At half size or less, 4:2:0 chroma is not enlarged at all.
    decoder.do_fancy_upsampling(eighths > 4);
    decoder.do_block_smoothing(false);
    let cmyk = header.sampling.len() == 4;
    let wanted = if cmyk { ColorSpace::JCS_CMYK } else { ColorSpace::JCS_RGB };
    WARNINGS.set(0);
    let mut rows = decoder.to_colorspace(wanted)?;
    let samples = read_rows(&mut rows, if cmyk { 4 } else { 3 })?;
    let (width, height) = (scaled(header.width, eighths), scaled(header.height, eighths));
    if (rows.width(), rows.height()) != (width as usize, height as usize) {
        return Err(Damage("its reduced size is not the expected one".to_owned()));
    }
    rows.finish()?;
    let rgb = if cmyk { rgb_of_cmyk(samples, header.adobe) } else { samples };
    Ok(Pixels::new(width, height, rgb))
}

fn read_rows(rows: &mut DecompressStarted<Input<'_>>, channels: usize) -> Result<Vec<u8>, Damage> {
    const ROWS_A_CALL: usize = 16;
    let stride = rows.width() * channels;
    let mut samples = vec![0; stride * rows.height()];
    for (index, part) in samples.chunks_mut(stride * ROWS_A_CALL).enumerate() {
        rows.read_scanlines_into(part)?;
        if WARNINGS.get() > 0 {
            let percent = index * ROWS_A_CALL * 100 / rows.height();
            return Err(Damage(format!("its data breaks off or is garbled, {percent} % down")));
        }
    }
    Ok(samples)
}

/// Ink to light, without a colour profile: each ink takes its share of what black leaves.
fn rgb_of_cmyk(mut samples: Vec<u8>, inverted: bool) -> Vec<u8> {
    let light = |ink: u8| u16::from(if inverted { ink } else { 255 - ink });
    let count = samples.len() / 4;
    for index in 0..count {
        let inks = [0, 1, 2].map(|ink| light(samples[index * 4 + ink]));
        let black = light(samples[index * 4 + 3]);
        let rgb = inks.map(|ink| u8::try_from((ink * black + 127) / 255).unwrap_or(u8::MAX));
        samples[index * 3..][..3].copy_from_slice(&rgb);
    }
    samples.truncate(count * 3);
    samples
}

/// The file's bytes, and whether more were asked for than there are: libjpeg itself would then
/// supply an end marker and fill the rest with grey.
struct Input<'a> {
    rest: &'a [u8],
    ended: &'a Cell<bool>,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest.read(buffer)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.ended.set(self.rest.is_empty());
        Ok(self.rest)
    }

    fn consume(&mut self, count: usize) {
        self.rest = &self.rest[count..];
    }
}

thread_local! {
    static WARNINGS: Cell<u32> = const { Cell::new(0) };
}

/// libjpeg met an error and left.
struct Stopped;

fn error_handler() -> jpeg_error_mgr {
    jpeg_error_mgr {
        error_exit: Some(stop),
        emit_message: Some(count_warning),
        output_message: Some(ignore),
        format_message: None,
        reset_error_mgr: Some(ignore),
        msg_code: 0,
        msg_parm: mozjpeg_sys::msg_parm_union::default(),
        trace_level: 0,
        num_warnings: 0,
        jpeg_message_table: std::ptr::null(),
        last_jpeg_message: 0,
        addon_message_table: std::ptr::null(),
        first_addon_message: 0,
        last_addon_message: 0,
    }
}

extern "C-unwind" fn stop(_: &mut jpeg_common_struct) {
    // Not panic!: this is a damaged file, and the panic hook should not print for it.
    resume_unwind(Box::new(Stopped));
}

extern "C-unwind" fn count_warning(_: &mut jpeg_common_struct, level: i32) {
    if level < 0 {
        WARNINGS.set(WARNINGS.get().saturating_add(1));
    }
}

extern "C-unwind" fn ignore(_: &mut jpeg_common_struct) {}

#[cfg(test)]
mod tests {
    use super::super::specimen::{self, Kind};
    use super::*;

    fn box_of(side: u32) -> Bounds {
        Bounds::new(side, side).expect("a valid box")
    }

    fn colors(bytes: &[u8], side: u32) -> [[u8; 3]; 4] {
        let decoded = decode(bytes, box_of(side), &Limits::default()).expect("a sound picture");
        specimen::quadrants_of(&decoded.pixels)
    }

    #[test]
    fn every_kind_has_its_colors_at_every_scale() {
        let picture = specimen::quadrants(96, 64);
        let original = specimen::quadrants_of(&picture);
        for kind in [Kind::Baseline, Kind::Progressive, Kind::Cmyk, Kind::Ycck] {
            let bytes = specimen::jpeg(&picture, kind);
            for side in [1, 6, 12, 20, 24, 36, 48, 96] {
                let found = colors(&bytes, side);
                let same = original.iter().zip(found).all(|(a, b)| specimen::alike(*a, b));
                assert!(same, "{kind:?} in {side}: {found:?}");
            }
        }
    }

    #[test]
    fn grey_becomes_equal_channels() {
        let bytes = specimen::jpeg(&specimen::quadrants(96, 64), Kind::Grey);
        let expected = [[0; 3], [255; 3], [0; 3], [255; 3]];
        let same = expected.iter().zip(colors(&bytes, 20)).all(|(a, b)| specimen::alike(*a, b));
        assert!(same);
    }

    #[test]
    fn inks_are_inverted_only_where_adobe_says_so() {
        let bytes = specimen::jpeg(&specimen::quadrants(96, 64), Kind::Cmyk);
        let at = bytes.windows(7).position(|part| part == b"\xFF\xEE\0\x0EAdo").expect("present");
        let plain = [&bytes[..at], &bytes[at + 16..]].concat();
        // Read as ink, the 255 of black leaves no light.
        assert!(colors(&plain, 96).iter().all(|color| specimen::alike(*color, [0; 3])));
        assert_eq!(
            rgb_of_cmyk(vec![0, 0, 0, 0, 255, 0, 0, 0], false),
            [255, 255, 255, 0, 255, 255]
        );
        assert_eq!(rgb_of_cmyk(vec![255, 255, 0, 128], true), [128, 128, 0]);
    }

    #[test]
    fn the_smallest_sufficient_scale_is_taken() {
        let bytes = specimen::jpeg(&specimen::quadrants(1600, 1200), Kind::Baseline);
        for (side, expected) in [(100, (200, 150)), (101, (400, 300)), (500, (1000, 750))] {
            let decoded = decode(&bytes, box_of(side), &Limits::default()).expect("sound");
            assert_eq!((decoded.pixels.width(), decoded.pixels.height()), expected, "{side}");
            assert_eq!((decoded.source_width, decoded.source_height), (1600, 1200));
        }
    }

    #[test]
    fn what_ends_early_is_truncated() {
        for kind in [Kind::Baseline, Kind::Progressive] {
            let bytes = specimen::jpeg(&specimen::quadrants(96, 64), kind);
            for length in (3..bytes.len()).chain([bytes.len() - 1]) {
                let refused = decode(&bytes[..length], box_of(9), &Limits::default());
                let refused = refused.expect_err("incomplete");
                assert_eq!(refused, PictureError::Truncated { format: Format::Jpeg }, "{length}");
            }
        }
    }

    #[test]
    fn an_end_marker_in_the_middle_is_damage() {
        let picture = specimen::noise(160, 120);
        let mut bytes = specimen::jpeg(&picture, Kind::Baseline);
        let middle = bytes.len() / 2;
        bytes[middle..middle + 2].copy_from_slice(&[0xFF, 0xD9]);
        let refused = decode(&bytes, box_of(9), &Limits::default()).expect_err("half a picture");
        assert!(refused.to_string().contains("breaks off or is garbled"), "{refused}");
    }

    #[test]
    fn what_follows_the_end_marker_is_ignored() {
        let mut bytes = specimen::jpeg(&specimen::quadrants(96, 64), Kind::Baseline);
        bytes.extend(b"a camera appends its own data here");
        assert!(decode(&bytes, box_of(9), &Limits::default()).is_ok());
    }

    #[test]
    fn a_progressive_picture_pays_for_its_coefficients() {
        let limits = Limits { memory_bytes_max: 64 << 20, ..Limits::default() };
        let (side, bounds) = (6000, box_of(100));
        let refused = decode(&specimen::jpeg_declaring(0xC2, side, side), bounds, &limits);
        assert!(matches!(refused, Err(PictureError::TooLarge { declared: 108_000_000.., .. })));
        // The baseline one is admitted, and fails for its lack of tables alone.
        let baseline = decode(&specimen::jpeg_declaring(0xC0, side, side), bounds, &limits);
        assert!(matches!(baseline, Err(PictureError::Corrupt { .. })), "{baseline:?}");
    }
}
