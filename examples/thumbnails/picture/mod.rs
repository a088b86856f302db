//! From the bytes of a picture file to a small JPEG: decode, resize, encode.
//!
//! The meaning is that of `SeBS` `210.thumbnailer`: fit inside a box, never enlarge, keep the
//! proportions, write a JPEG of quality 75 with 4:2:0 chroma and no metadata. Beyond it, a
//! photograph that its EXIF data calls rotated comes out upright, and alpha is laid on white.
//!
//! * [`bounds`]: the box, and the size of a picture fitted into it;
//! * [`limits`]: what an input may cost, checked before anything is allocated for it;
//! * [`error`]: why an input was refused;
//! * [`mod@format`]: which of the three formats the first bytes announce;
//! * [`jpeg`], with [`jpeg_header`]: a JPEG read at the smallest scale that will do;
//! * [`png`], with [`shrink`]: a PNG reduced while its rows are read;
//! * [`webp`]: the format that has to be read whole;
//! * [`pixels`]: what lies between the stages.
//!
//! A damaged picture is an error: a JPEG that ends before its end marker, or whose decoder had to
//! invent data, gives no thumbnail, because a half grey one looks like success.

pub(crate) mod bounds;
pub(crate) mod error;
pub(crate) mod format;
mod jpeg;
mod jpeg_header;
pub(crate) mod limits;
pub(crate) mod pixels;
mod png;
mod shrink;
#[cfg(test)]
pub(crate) mod specimen;
mod webp;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;

pub(crate) use self::bounds::Bounds;
pub(crate) use self::error::PictureError;
pub(crate) use self::format::Format;
pub(crate) use self::limits::Limits;
pub(crate) use self::pixels::Pixels;

/// A thumbnail, and what it was made from.
#[derive(Debug, Clone)]
pub(crate) struct Thumbnail {
    pub(crate) jpeg: Vec<u8>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The size of the source as it is looked at, that is, after its EXIF rotation.
    pub(crate) source_width: u32,
    pub(crate) source_height: u32,
    pub(crate) format: Format,
    pub(crate) timings: Timings,
}

/// How long each stage took, by the wall clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Timings {
    pub(crate) decode: Duration,
    pub(crate) resize: Duration,
    pub(crate) encode: Duration,
}

/// A picture out of its file: still as it was stored, perhaps already reduced by its decoder.
#[derive(Debug, Clone)]
pub(crate) struct Decoded {
    pub(crate) pixels: Pixels,
    /// At how many eighths of its size it was decoded. The last row and column of `pixels` may hold
    /// less than a whole pixel of the source, since the reduced size is rounded up.
    pub(crate) eighths: u8,
    /// How to turn the pixels so that the picture stands upright.
    pub(crate) orientation: Orientation,
    /// The full size of the source, upright.
    pub(crate) source_width: u32,
    pub(crate) source_height: u32,
    pub(crate) format: Format,
}

impl Decoded {
    /// How much of `pixels` the source covers. Without it the thumbnail would be stretched by up to
    /// a pixel of the reduced picture, which is seen in its similarity to an unreduced one.
    fn extent(&self) -> (f64, f64) {
        let stored = stored_size(self.orientation, self.source_width, self.source_height);
        let reduced = |side: u32| f64::from(side) * f64::from(self.eighths) / 8.0;
        (reduced(stored.0), reduced(stored.1))
    }
}

/// Makes the thumbnail of one picture.
#[expect(clippy::disallowed_methods, reason = "the stages are timed for whoever made the request")]
pub(crate) fn thumbnail(
    bytes: &[u8],
    bounds: Bounds,
    limits: &Limits,
) -> Result<Thumbnail, PictureError> {
    let started = Instant::now();
    let decoded = decode(bytes, bounds, limits)?;
    let decode = started.elapsed();

    let started = Instant::now();
    let small = resize(&decoded, bounds)?;
    let resize = started.elapsed();

    let started = Instant::now();
    let jpeg = encode(&small)?;
    let encode = started.elapsed();

    Ok(Thumbnail {
        jpeg,
        width: small.width(),
        height: small.height(),
        source_width: decoded.source_width,
        source_height: decoded.source_height,
        format: decoded.format,
        timings: Timings { decode, resize, encode },
    })
}

/// Reads a picture, at a reduced scale where its format allows that without loss for `bounds`.
pub(crate) fn decode(
    bytes: &[u8],
    bounds: Bounds,
    limits: &Limits,
) -> Result<Decoded, PictureError> {
    limits.admit_input(bytes.len())?;
    let format = Format::of(bytes)?;
    let read = match format {
        Format::Jpeg => jpeg::decode,
        Format::Png => png::decode,
        Format::WebP => webp::decode,
    };
    // The JPEG decoder reports errors by unwinding. The others need the net as well: fuzzing found
    // that image-webp 0.2.4 indexes out of bounds where an animation contradicts the size of its
    // own frame. A bug in a decoder must cost one picture, not the process.
    catch_unwind(AssertUnwindSafe(|| read(bytes, bounds, limits)))
        .unwrap_or_else(|payload| Err(PictureError::corrupt(format, reason_of(&*payload))))
}

/// Brings a picture to its final size and turns it upright. Bounds it already fits leave its size.
pub(crate) fn resize(decoded: &Decoded, bounds: Bounds) -> Result<Pixels, PictureError> {
    let (width, height) = bounds.fit(decoded.source_width, decoded.source_height);
    let (width, height) = stored_size(decoded.orientation, width, height);
    let source = &decoded.pixels;
    if (width, height) == (source.width(), source.height()) {
        return Ok(source.clone().turned(decoded.orientation));
    }
    let resizing =
        |reason: &dyn std::fmt::Display| PictureError::Resizing { reason: reason.to_string() };
    let from = ImageRef::new(source.width(), source.height(), source.rgb(), PixelType::U8x3)
        .map_err(|error| resizing(&error))?;
    let mut to = Image::new(width, height, PixelType::U8x3);
    let (across, down) = decoded.extent();
    let options = ResizeOptions::new()
        .crop(0.0, 0.0, across, down)
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&from, &mut to, &options).map_err(|error| resizing(&error))?;
    Ok(Pixels::new(width, height, to.into_vec()).turned(decoded.orientation))
}

/// Writes a JPEG of quality 75 with 4:2:0 chroma and no metadata.
pub(crate) fn encode(pixels: &Pixels) -> Result<Vec<u8>, PictureError> {
    catch_unwind(|| jpeg::encode(pixels))
        .unwrap_or_else(|payload| Err(std::io::Error::other(reason_of(&*payload))))
        .map_err(|error| PictureError::Encoding { reason: error.to_string() })
}

/// Width and height before `orientation` is applied, given those after it, or the reverse.
pub(crate) fn stored_size(orientation: Orientation, width: u32, height: u32) -> (u32, u32) {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

fn reason_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("its decoder gave up").to_owned()
}

#[cfg(test)]
mod tests {
    use image::ExtendedColorType;

    use super::error::Measure;
    use super::specimen::{BLUE, GREEN, Kind, Lots, RED, WHITE};
    use super::*;

    fn make(bytes: &[u8], bounds: &str) -> Result<Thumbnail, PictureError> {
        thumbnail(bytes, bounds.parse().expect("a valid box"), &Limits::default())
    }

    fn look(made: &Thumbnail) -> [[u8; 3]; 4] {
        let bounds = Bounds::new(4096, 4096).expect("a valid box");
        let decoded = decode(&made.jpeg, bounds, &Limits::default()).expect("its own work");
        specimen::quadrants_of(&decoded.pixels)
    }

    #[test]
    fn all_eight_orientations_come_out_upright() {
        let jpeg = specimen::jpeg(&specimen::quadrants(96, 64), Kind::Baseline);
        // Where the stored quadrants belong once the picture is turned.
        let table = [
            (1, [RED, GREEN, BLUE, WHITE]),
            (2, [GREEN, RED, WHITE, BLUE]),
            (3, [WHITE, BLUE, GREEN, RED]),
            (4, [BLUE, WHITE, RED, GREEN]),
            (5, [RED, BLUE, GREEN, WHITE]),
            (6, [BLUE, RED, WHITE, GREEN]),
            (7, [WHITE, GREEN, BLUE, RED]),
            (8, [GREEN, WHITE, RED, BLUE]),
        ];
        for (orientation, expected) in table {
            let exif = [&b"Exif\0\0"[..], &specimen::exif(orientation)].concat();
            let made = make(&specimen::with_segment(&jpeg, 0xE1, &exif), "48x24").expect("sound");
            let upright = if orientation < 5 { (96, 64, 36, 24) } else { (64, 96, 16, 24) };
            let sizes = (made.source_width, made.source_height, made.width, made.height);
            assert_eq!(sizes, upright, "orientation {orientation}");
            let found = look(&made);
            let same = expected.iter().zip(found).all(|(a, b)| specimen::alike(*a, b));
            assert!(same, "orientation {orientation}: {found:?}");
        }
    }

    #[test]
    fn an_orientation_that_does_not_exist_is_ignored() {
        let jpeg = specimen::jpeg(&specimen::quadrants(96, 64), Kind::Baseline);
        for orientation in [0, 9, 255] {
            let exif = [&b"Exif\0\0"[..], &specimen::exif(orientation)].concat();
            let made = make(&specimen::with_segment(&jpeg, 0xE1, &exif), "48x48").expect("sound");
            assert_eq!((made.width, made.height), (48, 32));
        }
    }

    #[test]
    fn every_format_gives_the_same_thumbnail() {
        let picture = specimen::quadrants(96, 64);
        let files = [
            (Format::Jpeg, specimen::jpeg(&picture, Kind::Baseline)),
            (Format::Jpeg, specimen::jpeg(&picture, Kind::Progressive)),
            (Format::Png, specimen::png(picture.rgb(), 96, 64, ExtendedColorType::Rgb8)),
            (Format::WebP, specimen::lossless_webp(picture.rgb(), 96, 64, false)),
        ];
        for (format, bytes) in files {
            let made = make(&bytes, "30x30").expect("sound");
            assert_eq!((made.format, made.width, made.height), (format, 30, 20));
            let found = look(&made);
            let same = [RED, GREEN, BLUE, WHITE].iter().zip(found);
            assert!(same.clone().all(|(a, b)| specimen::alike(*a, b)), "{format}: {found:?}");
        }
    }

    #[test]
    fn a_small_picture_keeps_its_size() {
        let made = make(&specimen::jpeg(&specimen::quadrants(30, 20), Kind::Baseline), "100x100");
        let made = made.expect("sound");
        assert_eq!((made.width, made.height), (30, 20));
    }

    #[test]
    fn the_thumbnail_is_a_plain_baseline_jpeg() {
        let exif = [&b"Exif\0\0"[..], &specimen::exif(1)].concat();
        let jpeg = specimen::jpeg(&specimen::quadrants(96, 64), Kind::Baseline);
        let made = make(&specimen::with_segment(&jpeg, 0xE1, &exif), "48x48").expect("sound");
        let header = jpeg_header::Header::read(&made.jpeg).expect("its own work");
        assert_eq!(header.sampling, [(2, 2), (1, 1), (1, 1)]);
        assert_eq!(header.scans, jpeg_header::Scans::Single);
        assert!(!made.jpeg.windows(4).any(|part| part == b"Exif"));
    }

    #[test]
    fn bombs_are_refused_by_what_they_declare() {
        let canvas = [0, 0, 0, 0, 0x2F, 0x75, 0, 0x2F, 0x75, 0];
        let bombs = [
            specimen::jpeg_declaring(0xC0, 30_000, 30_000),
            specimen::jpeg_declaring(0xC2, 30_000, 30_000),
            specimen::png_declaring(30_000, 30_000),
            specimen::png_declaring(u32::MAX, u32::MAX),
            specimen::png_declaring(1, 40_000),
            specimen::webp_of(b"VP8X", &canvas),
            specimen::webp_of(b"VP8L", &[0x2F, 0xFF, 0xFF, 0xFF, 0x0F]),
            specimen::webp_of(b"VP8 ", &[0x10, 0, 0, 0x9D, 1, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F]),
        ];
        for bomb in bombs {
            let refused = make(&bomb, "100x100").expect_err("a bomb");
            assert!(matches!(refused, PictureError::TooLarge { .. }), "{refused}");
        }
    }

    #[test]
    fn a_file_too_long_is_refused() {
        let limits = Limits { input_bytes_max: 10, ..Limits::default() };
        let refused = thumbnail(&[0xFF; 11], Bounds::new(9, 9).expect("a box"), &limits);
        let expected =
            PictureError::TooLarge { measure: Measure::InputBytes, declared: 11, allowed: 10 };
        assert_eq!(refused.expect_err("too long"), expected);
    }

    /// Whatever happens to a file, the answer is a thumbnail or an error.
    #[test]
    fn no_damage_makes_it_panic() {
        let picture = specimen::quadrants(40, 30);
        let alpha: Vec<u8> =
            picture.rgb().chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 99]).collect();
        let files = [
            specimen::jpeg(&picture, Kind::Baseline),
            specimen::jpeg(&specimen::noise(40, 30), Kind::Progressive),
            specimen::jpeg(&picture, Kind::Ycck),
            specimen::png(&alpha, 40, 30, ExtendedColorType::Rgba8),
            specimen::lossless_webp(&alpha, 40, 30, true),
        ];
        let mut lots = Lots(0x7115);
        for file in &files {
            for length in 0..file.len().min(300) {
                assert!(make(&file[..length], "20x20").is_err(), "{length} bytes of a file");
            }
            for _ in 0..600 {
                let mut bytes = file.clone();
                for _ in 0..=lots.below(4) {
                    let at = lots.below(bytes.len());
                    bytes[at] ^= 1 << lots.below(8);
                }
                bytes.truncate(bytes.len() - lots.below(2) * lots.below(bytes.len()));
                let _either = make(&bytes, "20x20");
            }
        }
    }
}
