//! Photographs made by the program itself, to have pictures without shipping any.
//!
//! A seed gives one landscape: sky, sun, mountain ridges, water, with texture and grain enough
//! that the JPEG is as hard to decode as a camera's (about two bits a pixel, 3 MB at 12
//! megapixels). The same seed gives the same bytes.
//!
//! * [`noise`]: numbers that look random and depend on the seed and the place alone;
//! * [`scene`]: what is to be seen in which colour.

mod noise;
mod scene;

use mozjpeg::{ColorSpace, Compress, Marker};

use self::noise::Dice;
use self::scene::Scene;

/// What an ordinary camera is set to.
const QUALITY: f32 = 91.0;
/// One row of the largest chroma blocks.
const ROWS_A_STRIP: u32 = 16;

/// Which photograph to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shot {
    pub(crate) seed: u64,
    /// The size as stored, before any rotation that `orientation` asks for.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The EXIF orientation, 1 to 8, if the file is to have EXIF data.
    pub(crate) orientation: Option<u8>,
}

impl Shot {
    /// The photograph of a seed as a camera of 12 megapixels would take it: mostly landscape.
    pub(crate) fn of(seed: u64) -> Self {
        const SIZES: [(u32, u32); 5] =
            [(4000, 3000), (3000, 4000), (4240, 2832), (4000, 3000), (4608, 2592)];
        let index = usize::try_from(seed % SIZES.len() as u64).unwrap_or(0);
        let (width, height) = SIZES[index];
        Self { seed, width, height, orientation: None }
    }

    /// The same landscape in another size.
    pub(crate) fn sized(seed: u64, width: u32, height: u32) -> Self {
        Self { seed, width, height, orientation: None }
    }
}

/// Takes the photograph: a baseline JPEG with 4:2:0 chroma.
///
/// # Panics
///
/// If a side is zero or more than 65,500 pixels, which JPEG has no room for.
pub(crate) fn photograph(shot: Shot) -> Vec<u8> {
    let jpeg = written(shot);
    jpeg.expect("memory accepts every byte, and the size is one that JPEG has room for")
}

fn written(shot: Shot) -> std::io::Result<Vec<u8>> {
    let mut encoder = Compress::new(ColorSpace::JCS_RGB);
    encoder.set_fastest_defaults();
    encoder.set_size(shot.width as usize, shot.height as usize);
    encoder.set_quality(QUALITY);
    encoder.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
    let mut encoder = encoder.start_compress(Vec::new())?;
    if let Some(orientation) = shot.orientation {
        encoder.write_marker(Marker::APP(1), &exif(orientation));
    }
    let mut scene = Scene::new(shot.width, shot.height, Dice::new(shot.seed));
    let mut strip = Vec::new();
    for top in (0..shot.height).step_by(ROWS_A_STRIP as usize) {
        strip.clear();
        for row in top..shot.height.min(top + ROWS_A_STRIP) {
            scene.paint(row, &mut strip);
        }
        encoder.write_scanlines(&strip)?;
    }
    encoder.finish()
}

/// EXIF data that holds the orientation alone.
fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"Exif\0\0MM\0*\0\0\0\x08".to_vec();
    // A directory of one entry: tag 0x0112, type 3 (a 16-bit number), one of it, its value.
    bytes.extend([0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    bytes.extend([0; 4]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::picture::{Bounds, Limits, decode, thumbnail};
    use super::*;

    fn bounds(side: u32) -> Bounds {
        Bounds::new(side, side).expect("a valid box")
    }

    #[test]
    fn a_seed_is_one_photograph() {
        let shot = Shot::sized(7, 320, 240);
        assert_eq!(photograph(shot), photograph(shot));
        assert_ne!(photograph(shot), photograph(Shot { seed: 8, ..shot }));
    }

    #[test]
    fn seeds_look_different() {
        let limits = Limits::default();
        let small = |seed| {
            let jpeg = photograph(Shot::sized(seed, 320, 240));
            decode(&jpeg, bounds(32), &limits).expect("its own work").pixels
        };
        for seed in 0..6 {
            let (one, other) = (small(seed), small(seed + 1));
            let pairs = one.rgb().iter().zip(other.rgb());
            let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = sum / one.rgb().len() as u64;
            assert!(mean > 8, "seeds {seed} and {} differ by {mean} of 255", seed + 1);
        }
    }

    #[test]
    fn it_is_as_dense_as_a_camera_picture() {
        for seed in 0..3 {
            let jpeg = photograph(Shot::sized(seed, 800, 600));
            let bits_a_pixel = jpeg.len() * 8 * 100 / (800 * 600);
            assert!((130..320).contains(&bits_a_pixel), "seed {seed}: {bits_a_pixel} / 100");
        }
    }

    #[test]
    fn its_orientation_is_understood() {
        let shot = Shot { orientation: Some(6), ..Shot::sized(1, 160, 120) };
        let made = thumbnail(&photograph(shot), bounds(40), &Limits::default());
        let made = made.expect("its own work");
        assert_eq!((made.source_width, made.source_height), (120, 160));
        assert_eq!((made.width, made.height), (30, 40));
    }

    #[test]
    fn odd_sizes_work() {
        for (width, height) in [(1, 1), (1, 50), (50, 1), (17, 33)] {
            let jpeg = photograph(Shot::sized(3, width, height));
            let made = thumbnail(&jpeg, bounds(16), &Limits::default()).expect("its own work");
            assert_eq!((made.source_width, made.source_height), (width, height));
        }
    }
}
