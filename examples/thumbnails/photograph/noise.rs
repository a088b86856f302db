//! Numbers that look random and depend on a seed and a place alone.

/// A stream of numbers out of one seed (a Weyl sequence, scrambled).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(scramble(seed ^ 0x5DEE_CE66_D1CE_4E5B))
    }

    /// Another stream, independent of what is still drawn from this one.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scramble(self.0)
    }

    /// A number from `low` up to `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * unit(self.draw())
    }
}

/// Smooth noise over a plane: a random value at each corner of a grid, blended in between. It is
/// read row by row, top down, because that needs two rows of corners and nothing more.
#[derive(Debug)]
pub(crate) struct Texture {
    seed: u64,
    cell_width: f32,
    cell_height: f32,
    above: Vec<f32>,
    below: Vec<f32>,
    grid_row: Option<u32>,
}

impl Texture {
    /// Noise for rows of `width` pixels, each cell of the grid `cell_width` x `cell_height`.
    pub(crate) fn new(dice: &mut Dice, width: u32, cell_width: f32, cell_height: f32) -> Self {
        let (cell_width, cell_height) = (cell_width.max(1.0), cell_height.max(1.0));
        let corners = floor(pixel(width) / cell_width) as usize + 2;
        let (above, below) = (vec![0.0; corners], vec![0.0; corners]);
        Self { seed: dice.draw(), cell_width, cell_height, above, below, grid_row: None }
    }

    /// Adds `strength` times the noise of a row, -1 to 1, to `values`.
    pub(crate) fn add(&mut self, row: u32, strength: f32, values: &mut [f32]) {
        let place = pixel(row) / self.cell_height;
        let grid_row = floor(place);
        if self.grid_row != Some(grid_row) {
            corners(self.seed, grid_row, &mut self.above);
            corners(self.seed, grid_row + 1, &mut self.below);
            self.grid_row = Some(grid_row);
        }
        let down = ease(place - pixel(grid_row));
        let step = 1.0 / self.cell_width;
        let corner = |index: usize| {
            strength * (self.above[index] + (self.below[index] - self.above[index]) * down)
        };
        let (mut index, mut across) = (0, 0.0);
        let (mut left, mut right) = (corner(0), corner(1));
        for value in values {
            *value += left + (right - left) * ease(across);
            across += step;
            if across >= 1.0 {
                across -= 1.0;
                index += 1;
                left = right;
                right = corner((index + 1).min(self.above.len() - 1));
            }
        }
    }
}

fn corners(seed: u64, grid_row: u32, values: &mut [f32]) {
    let mut dice = Dice(scramble(seed ^ (u64::from(grid_row) << 32)));
    values.fill_with(|| dice.between(-1.0, 1.0));
}

/// A crest line over `width` columns: sharp peaks between 0 and 1, finer and finer.
pub(crate) fn crest(dice: &mut Dice, width: u32, widest: f32) -> Vec<f32> {
    let mut heights = vec![0.0; width as usize];
    let (mut cell, mut strength, mut sum) = (widest, 1.0, 0.0);
    while cell >= 2.0 && strength > 0.004 {
        let mut octave = vec![0.0; width as usize];
        Texture::new(dice, width, cell, 1.0).add(0, 1.0, &mut octave);
        for (height, value) in heights.iter_mut().zip(octave) {
            *height += strength * (1.0 - value.abs());
        }
        sum += strength;
        (cell, strength) = (cell * 0.5, strength * 0.45);
    }
    heights.iter().map(|height| height / f32::max(sum, 1.0)).collect()
}

/// A pixel's place. Exact: a picture has fewer than 2^24 columns and rows.
#[expect(clippy::cast_precision_loss, reason = "places in a picture are below 2^24")]
pub(crate) fn pixel(place: u32) -> f32 {
    place as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, from zero on")]
pub(crate) fn floor(place: f32) -> u32 {
    place as u32
}

/// Zero to one, without the corners that a straight line would leave.
fn ease(share: f32) -> f32 {
    share * share * (3.0 - 2.0 * share)
}

/// Zero up to one out of the top 24 bits.
fn unit(random: u64) -> f32 {
    pixel(u32::try_from(random >> 40).unwrap_or(0)) / 16_777_216.0
}

fn scramble(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_in_its_range_and_is_smooth() {
        let mut texture = Texture::new(&mut Dice::new(1), 500, 20.0, 10.0);
        for row in 0..40 {
            let mut values = vec![0.0; 500];
            texture.add(row, 1.0, &mut values);
            assert!(values.iter().all(|value| (-1.0..=1.0).contains(value)));
            assert!(values.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.2));
        }
    }

    #[test]
    fn crests_lie_between_zero_and_one() {
        let heights = crest(&mut Dice::new(2), 1000, 300.0);
        assert!(heights.iter().all(|height| (0.0..=1.0).contains(height)));
        let highest = heights.iter().copied().fold(0.0, f32::max);
        let lowest = heights.iter().copied().fold(1.0, f32::min);
        assert!(highest - lowest > 0.1);
    }
}
