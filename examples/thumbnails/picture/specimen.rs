//! Pictures made for the tests: small sound ones of every kind, and headers that promise too much.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use mozjpeg::{ColorSpace, Compress};

use super::pixels::Pixels;

pub(crate) const RED: [u8; 3] = [255, 0, 0];
pub(crate) const GREEN: [u8; 3] = [0, 255, 0];
pub(crate) const BLUE: [u8; 3] = [0, 0, 255];
pub(crate) const WHITE: [u8; 3] = [255, 255, 255];

/// Red and green above blue and white.
pub(crate) fn quadrants(width: u32, height: u32) -> Pixels {
    let mut rgb = Vec::new();
    for row in 0..height {
        for column in 0..width {
            rgb.extend(match (row < height / 2, column < width / 2) {
                (true, true) => RED,
                (true, false) => GREEN,
                (false, true) => BLUE,
                (false, false) => WHITE,
            });
        }
    }
    Pixels::new(width, height, rgb)
}

/// Every sample drawn by lot: the most data that a picture of its size can have.
pub(crate) fn noise(width: u32, height: u32) -> Pixels {
    let mut lots = Lots(1);
    let rgb = (0..width * height * 3).map(|_| lots.draw().to_le_bytes()[0]).collect();
    Pixels::new(width, height, rgb)
}

/// Reproducible random numbers.
pub(crate) struct Lots(pub(crate) u64);

impl Lots {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw() % bound as u64).unwrap_or(0)
    }
}

/// The colour in the middle of each quadrant, in the order of reading.
pub(crate) fn quadrants_of(pixels: &Pixels) -> [[u8; 3]; 4] {
    let (width, height) = (pixels.width(), pixels.height());
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| {
        let index = (y * height / 4) * width + x * width / 4;
        let at = index as usize * 3;
        [pixels.rgb()[at], pixels.rgb()[at + 1], pixels.rgb()[at + 2]]
    })
}

/// Whether two colours are the same but for what a JPEG changes.
pub(crate) fn alike(one: [u8; 3], other: [u8; 3]) -> bool {
    one.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= 24)
}

/// How a JPEG is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Baseline,
    Progressive,
    Grey,
    /// Four inks with an Adobe segment, which says that they are inverted.
    Cmyk,
    /// The same, as luminance, chroma and black.
    Ycck,
}

/// A JPEG at full chroma resolution, so that its colours can be compared.
pub(crate) fn jpeg(pixels: &Pixels, kind: Kind) -> Vec<u8> {
    let (space, stored) = match kind {
        Kind::Baseline | Kind::Progressive => (ColorSpace::JCS_RGB, ColorSpace::JCS_YCbCr),
        Kind::Grey => (ColorSpace::JCS_GRAYSCALE, ColorSpace::JCS_GRAYSCALE),
        Kind::Cmyk => (ColorSpace::JCS_CMYK, ColorSpace::JCS_CMYK),
        Kind::Ycck => (ColorSpace::JCS_CMYK, ColorSpace::JCS_YCCK),
    };
    let samples: Vec<u8> = match kind {
        Kind::Baseline | Kind::Progressive => pixels.rgb().to_vec(),
        Kind::Grey => pixels.rgb().chunks_exact(3).map(|rgb| rgb[1]).collect(),
        // Inverted inks without black are the light itself.
        Kind::Cmyk | Kind::Ycck => {
            pixels.rgb().chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect()
        }
    };
    let mut encoder = Compress::new(space);
    encoder.set_fastest_defaults();
    encoder.set_color_space(stored);
    encoder.set_size(pixels.width() as usize, pixels.height() as usize);
    encoder.set_quality(95.0);
    if space == ColorSpace::JCS_RGB {
        encoder.set_chroma_sampling_pixel_sizes((1, 1), (1, 1));
    }
    if kind == Kind::Progressive {
        encoder.set_progressive_mode();
    }
    let mut encoder = encoder.start_compress(Vec::new()).expect("a sound request");
    encoder.write_scanlines(&samples).expect("memory has room");
    encoder.finish().expect("memory has room")
}

/// The same JPEG with a segment put in front of all others.
pub(crate) fn with_segment(jpeg: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).expect("a short segment");
    let mut bytes = vec![0xFF, 0xD8, 0xFF, marker];
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    bytes.extend(&jpeg[2..]);
    bytes
}

/// TIFF data, as EXIF has it, that holds the orientation alone.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0\x01\0".to_vec();
    bytes.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    bytes.extend([0; 4]);
    bytes
}

pub(crate) fn png(samples: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new(&mut bytes);
    encoder.write_image(samples, width, height, color).expect("a sound request");
    bytes
}

pub(crate) fn lossless_webp(samples: &[u8], width: u32, height: u32, alpha: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let color = if alpha { image_webp::ColorType::Rgba8 } else { image_webp::ColorType::Rgb8 };
    let encoder = image_webp::WebPEncoder::new(&mut bytes);
    encoder.encode(samples, width, height, color).expect("a sound request");
    bytes
}

/// A JPEG that declares a size and three components, and ends after its scan header.
pub(crate) fn jpeg_declaring(marker: u8, width: u16, height: u16) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8, 0xFF, marker, 0, 17, 8];
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend([3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]);
    bytes.extend([0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    bytes
}

/// A PNG that declares a size and eight-bit RGBA, and ends after its header.
pub(crate) fn png_declaring(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 6, 0, 0, 0]);
    let sum = checksum(&bytes[12..]);
    bytes.extend(sum.to_be_bytes());
    bytes
}

/// A WebP of one chunk.
pub(crate) fn webp_of(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let mut chunk = kind.to_vec();
    chunk.extend(u32::try_from(body.len()).expect("a short chunk").to_le_bytes());
    chunk.extend(body);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(u32::try_from(chunk.len() + 4).expect("a short file").to_le_bytes());
    bytes.extend(b"WEBP");
    bytes.extend(chunk);
    bytes
}

/// The cyclic redundancy check that PNG chunks end with.
fn checksum(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for &byte in bytes {
        register ^= u32::from(byte);
        for _ in 0..8 {
            let feedback = if register & 1 == 1 { 0xEDB8_8320 } else { 0 };
            register = (register >> 1) ^ feedback;
        }
    }
    !register
}
