//! A picture in memory: rows of RGB, eight bits a channel.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

/// Pixels from top left, three bytes each, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Pixels {
    /// # Panics
    ///
    /// If `rgb` is not exactly `width * height` pixels: a bug of the caller.
    #[must_use]
    pub(crate) fn new(width: u32, height: u32, rgb: Vec<u8>) -> Self {
        assert_eq!(rgb.len() as u64, u64::from(width) * u64::from(height) * 3);
        Self { width, height, rgb }
    }

    #[must_use]
    pub(crate) fn width(&self) -> u32 {
        self.width
    }

    #[must_use]
    pub(crate) fn height(&self) -> u32 {
        self.height
    }

    #[must_use]
    pub(crate) fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Turned and mirrored as the EXIF orientation asks for.
    #[must_use]
    pub(crate) fn turned(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let whole = RgbImage::from_raw(self.width, self.height, self.rgb);
        let mut picture = DynamicImage::ImageRgb8(whole.expect("the length was checked by new"));
        picture.apply_orientation(orientation);
        let (width, height) = (picture.width(), picture.height());
        Self::new(width, height, picture.into_rgb8().into_raw())
    }
}

/// How the samples of one pixel lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
}

/// Turns samples of any layout into RGB on a white ground. Layouts of three bytes a pixel or more
/// are rewritten in place, so that a large picture is never in memory twice.
pub(crate) fn on_white(mut samples: Vec<u8>, layout: Layout) -> Vec<u8> {
    let stride = match layout {
        Layout::Grey => 1,
        Layout::GreyAlpha => 2,
        Layout::Rgb => return samples,
        Layout::Rgba => 4,
    };
    if stride < 3 {
        let pixels = samples.chunks_exact(stride);
        return pixels.flat_map(|pixel| rgb_of(pixel, layout)).collect();
    }
    let count = samples.len() / stride;
    for index in 0..count {
        let rgb = rgb_of(&samples[index * stride..][..stride], layout);
        samples[index * 3..][..3].copy_from_slice(&rgb);
    }
    samples.truncate(count * 3);
    samples
}

#[inline]
fn rgb_of(pixel: &[u8], layout: Layout) -> [u8; 3] {
    match layout {
        Layout::Grey => [pixel[0]; 3],
        Layout::GreyAlpha => [over_white(pixel[0], pixel[1]); 3],
        Layout::Rgb => [pixel[0], pixel[1], pixel[2]],
        Layout::Rgba => [0, 1, 2].map(|channel| over_white(pixel[channel], pixel[3])),
    }
}

fn over_white(sample: u8, alpha: u8) -> u8 {
    let (sample, alpha) = (u32::from(sample), u32::from(alpha));
    let mixed = sample * alpha + 255 * (255 - alpha);
    u8::try_from((mixed + 127) / 255).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_laid_on_white() {
        let table: [(&[u8], Layout, &[u8]); 4] = [
            (&[10, 200], Layout::Grey, &[10, 10, 10, 200, 200, 200]),
            (&[0, 255, 0, 0], Layout::GreyAlpha, &[0, 0, 0, 255, 255, 255]),
            (&[1, 2, 3], Layout::Rgb, &[1, 2, 3]),
            (&[255, 0, 0, 128, 9, 9, 9, 0], Layout::Rgba, &[255, 127, 127, 255, 255, 255]),
        ];
        for (samples, layout, expected) in table {
            assert_eq!(on_white(samples.to_vec(), layout), expected, "{layout:?}");
        }
    }
}
