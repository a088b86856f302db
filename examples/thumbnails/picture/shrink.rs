//! A picture reduced while it is read: rows go in, and of each square of pixels the average stays.
//! So it is never in memory whole.

use super::pixels::Pixels;

/// The rows that came so far.
pub(crate) struct Shrink {
    side: usize,
    width: usize,
    height: usize,
    /// Of the squares that are not complete yet, the sums of each channel.
    sums: Vec<u32>,
    /// How many rows are in the sums.
    rows: usize,
    rgb: Vec<u8>,
}

impl Shrink {
    /// For `height` rows of `width` pixels, of which squares of `side` become one; at the right and
    /// at the bottom, what is left of them.
    pub(crate) fn new(width: u32, height: u32, side: u32) -> Self {
        let [width, height, side] = [width, height, side].map(|length| length as usize);
        let columns = width.div_ceil(side);
        let rgb = Vec::with_capacity(columns * height.div_ceil(side) * 3);
        Self { side, width, height, sums: vec![0; columns * 3], rows: 0, rgb }
    }

    /// Takes the next row, three bytes a pixel.
    pub(crate) fn push(&mut self, row: &[u8]) {
        for (sums, square) in self.sums.chunks_exact_mut(3).zip(row.chunks(self.side * 3)) {
            for pixel in square.chunks_exact(3) {
                sums.iter_mut().zip(pixel).for_each(|(sum, sample)| *sum += u32::from(*sample));
            }
        }
        self.rows += 1;
        if self.rows == self.side {
            self.close();
        }
    }

    /// The picture, when all rows have come; `None` if not all have.
    pub(crate) fn finish(mut self) -> Option<Pixels> {
        if self.rows > 0 {
            self.close();
        }
        let [columns, rows] = [self.width, self.height].map(|length| length.div_ceil(self.side));
        let complete = self.rgb.len() == columns * rows * 3;
        complete.then(|| Pixels::new(columns as u32, rows as u32, self.rgb))
    }

    fn close(&mut self) {
        for (column, sums) in self.sums.chunks_exact_mut(3).enumerate() {
            let pixels = self.rows * self.side.min(self.width - column * self.side);
            for sum in sums {
                let average = (*sum as usize + pixels / 2) / pixels;
                self.rgb.push(u8::try_from(average).unwrap_or(u8::MAX));
                *sum = 0;
            }
        }
        self.rows = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_become_their_average_and_edges_that_of_what_is_left() {
        let grey = |samples: &[u8]| samples.iter().flat_map(|grey| [*grey; 3]).collect::<Vec<_>>();
        let mut shrink = Shrink::new(5, 3, 2);
        for row in [[0, 2, 10, 10, 7], [4, 6, 10, 11, 8], [1, 2, 255, 255, 9]] {
            shrink.push(&grey(&row));
        }
        let expected = Pixels::new(3, 2, grey(&[3, 10, 8, 2, 255, 9]));
        assert_eq!(shrink.finish(), Some(expected));
    }

    #[test]
    fn squares_of_one_pixel_change_nothing() {
        let mut shrink = Shrink::new(2, 2, 1);
        shrink.push(&[1, 2, 3, 4, 5, 6]);
        shrink.push(&[7, 8, 9, 255, 0, 1]);
        let same = Pixels::new(2, 2, vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 0, 1]);
        assert_eq!(shrink.finish(), Some(same));
    }

    #[test]
    fn rows_that_are_missing_are_noticed() {
        let mut shrink = Shrink::new(2, 5, 2);
        shrink.push(&[0; 6]);
        assert_eq!(shrink.finish(), None);
    }
}
