//! A contact sheet: all thumbnails of a run on one PNG, so that one look tells whether they are
//! right. A picture that failed is a red cross, and what does not fit is counted in the last cell:
//! any number of thumbnails has a sheet.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use thiserror::Error;

use super::picture::{Bounds, Limits, PictureError, Pixels, decode, resize};

/// The most cells a sheet has.
pub(crate) const CELLS_MAX: usize = 400;
/// The largest side of a cell; larger thumbnails are reduced, so that the pixels of a full
/// sheet stay below 90 MB.
pub(crate) const CELL_EDGE_MAX: u32 = 256;

const MARGIN: u32 = 8;
const GROUND: [u8; 3] = [38, 38, 40];
const CELL: [u8; 3] = [52, 52, 55];
const CROSS: [u8; 3] = [214, 60, 52];
const INK: [u8; 3] = [226, 226, 226];

/// No contact sheet, because of this.
#[derive(Debug, Error)]
pub(crate) enum SheetError {
    #[error("a contact sheet needs at least one thumbnail")]
    Empty,
    #[error("thumbnail {index} cannot be shown: {error}")]
    Thumbnail { index: usize, error: PictureError },
    #[error("the contact sheet could not be written")]
    Writing(#[from] image::ImageError),
}

/// How many of so many thumbnails a sheet shows. Those above it are counted in its last cell.
pub(crate) fn shown_of(thumbnails: usize) -> usize {
    if thumbnails > CELLS_MAX { CELLS_MAX - 1 } else { thumbnails }
}

/// Draws the thumbnails (JPEG files; `None` for one that failed) in about as many rows as columns,
/// each centred in a cell that is as large as `cell`, up to [`CELL_EDGE_MAX`]. Those that it does
/// not show are not looked at.
pub(crate) fn contact_sheet(
    thumbnails: &[Option<Vec<u8>>],
    cell: Bounds,
) -> Result<Vec<u8>, SheetError> {
    if thumbnails.is_empty() {
        return Err(SheetError::Empty);
    }
    let cell = cell.at_most(CELL_EDGE_MAX);
    let cells = thumbnails.len().min(CELLS_MAX);
    let mut sheet = Sheet::new(cells, cell);
    let hidden = thumbnails.len() - shown_of(thumbnails.len());
    for (index, thumbnail) in thumbnails[..cells].iter().enumerate() {
        let corner = sheet.open_cell(index);
        if hidden > 0 && index + 1 == cells {
            sheet.write_count(corner, hidden);
        } else if let Some(jpeg) = thumbnail {
            let picture =
                small(jpeg, cell).map_err(|error| SheetError::Thumbnail { index, error })?;
            sheet.place(corner, &picture);
        } else {
            sheet.cross_out(corner);
        }
    }
    sheet.into_png()
}

fn small(jpeg: &[u8], cell: Bounds) -> Result<Pixels, PictureError> {
    resize(&decode(jpeg, cell, &Limits::default())?, cell)
}

struct Sheet {
    width: u32,
    height: u32,
    columns: usize,
    cell: Bounds,
    rgb: Vec<u8>,
}

/// A place on the sheet, from its top left.
type Place = (u32, u32);

impl Sheet {
    fn new(cells: usize, cell: Bounds) -> Self {
        let columns = (1..).find(|columns| columns * columns >= cells).unwrap_or(cells);
        let side = |count: usize, cell: u32| {
            MARGIN + u32::try_from(count).unwrap_or(u32::MAX) * (cell + MARGIN)
        };
        let width = side(columns, cell.width());
        let height = side(cells.div_ceil(columns), cell.height());
        let rgb = GROUND.repeat(width as usize * height as usize);
        Self { width, height, columns, cell, rgb }
    }

    /// Paints the ground of a cell, and tells where it is.
    fn open_cell(&mut self, index: usize) -> Place {
        let start = |position: usize, cell: u32| {
            MARGIN + u32::try_from(position).unwrap_or(u32::MAX) * (cell + MARGIN)
        };
        let left = start(index % self.columns, self.cell.width());
        let top = start(index / self.columns, self.cell.height());
        self.fill((left, top), (self.cell.width(), self.cell.height()), CELL);
        (left, top)
    }

    fn place(&mut self, (left, top): Place, picture: &Pixels) {
        let left = left + (self.cell.width() - picture.width()) / 2;
        let top = top + (self.cell.height() - picture.height()) / 2;
        let length = picture.width() as usize * 3;
        for (row, line) in (top..).zip(picture.rgb().chunks_exact(length)) {
            let start = self.offset((left, row));
            self.rgb[start..start + length].copy_from_slice(line);
        }
    }

    fn cross_out(&mut self, (left, top): Place) {
        let (width, height) = (self.cell.width(), self.cell.height());
        let pen = (width.min(height) / 24).max(1);
        // One stroke a row or a column, whichever is more, leaves no gap.
        let steps = width.max(height);
        for step in steps / 5..steps - steps / 5 {
            let right = (step * width / steps).min(width - pen);
            let down = (step * height / steps).min(height - pen);
            self.fill((left + right, top + down), (pen, pen), CROSS);
            self.fill((left + width - pen - right, top + down), (pen, pen), CROSS);
        }
    }

    /// Writes `+` and a number as large as the cell allows; too small a cell stays empty.
    fn write_count(&mut self, (left, top): Place, count: usize) {
        let glyphs: Vec<[u8; 5]> = format!("+{count}").bytes().map(glyph).collect();
        let columns = u32::try_from(glyphs.len()).unwrap_or(u32::MAX) * 4 - 1;
        let dot = (self.cell.width() / (columns + 2)).min(self.cell.height() / 7).min(6);
        let left = left + (self.cell.width() - columns * dot) / 2;
        let top = top + (self.cell.height() - 5 * dot) / 2;
        for (position, rows) in (0..).zip(glyphs) {
            for (y, row) in (0..).zip(rows) {
                for x in (0..3).filter(|x| row & (4 >> x) != 0) {
                    let corner = (left + (position * 4 + x) * dot, top + y * dot);
                    self.fill(corner, (dot, dot), INK);
                }
            }
        }
    }

    fn fill(&mut self, (left, top): Place, (width, height): (u32, u32), color: [u8; 3]) {
        for row in top..top + height {
            let start = self.offset((left, row));
            let line = &mut self.rgb[start..start + width as usize * 3];
            line.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&color));
        }
    }

    fn offset(&self, (column, row): Place) -> usize {
        (row as usize * self.width as usize + column as usize) * 3
    }

    fn into_png(self) -> Result<Vec<u8>, SheetError> {
        let mut png = Vec::new();
        let color = ExtendedColorType::Rgb8;
        PngEncoder::new(&mut png).write_image(&self.rgb, self.width, self.height, color)?;
        Ok(png)
    }
}

/// A digit, or a plus sign for anything else: five rows of three dots.
fn glyph(letter: u8) -> [u8; 5] {
    match letter {
        b'0' => [7, 5, 5, 5, 7],
        b'1' => [2, 6, 2, 2, 7],
        b'2' => [7, 1, 7, 4, 7],
        b'3' => [7, 1, 7, 1, 7],
        b'4' => [5, 5, 7, 1, 1],
        b'5' => [7, 4, 7, 1, 7],
        b'6' => [7, 4, 7, 5, 7],
        b'7' => [7, 1, 2, 2, 2],
        b'8' => [7, 5, 7, 5, 7],
        b'9' => [7, 5, 7, 1, 7],
        _ => [0, 2, 7, 2, 0],
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::{encode, specimen};
    use super::*;

    fn cell(side: u32) -> Bounds {
        Bounds::new(side, side).expect("a valid box")
    }

    fn read(png: &[u8]) -> Pixels {
        let whole = Bounds::new(4096, 4096).expect("a valid box");
        decode(png, whole, &Limits::default()).expect("its own work").pixels
    }

    fn at(pixels: &Pixels, column: u32, row: u32) -> [u8; 3] {
        let start = (row * pixels.width() + column) as usize * 3;
        [pixels.rgb()[start], pixels.rgb()[start + 1], pixels.rgb()[start + 2]]
    }

    #[test]
    fn thumbnails_are_centred_and_failures_crossed_out() {
        let wide = encode(&specimen::quadrants(40, 20)).expect("a sound picture");
        let png = contact_sheet(&[Some(wide), None, None], cell(40)).expect("a sheet");
        let sheet = read(&png);
        assert_eq!((sheet.width(), sheet.height()), (2 * 48 + 8, 2 * 48 + 8));
        assert_eq!(at(&sheet, 2, 2), GROUND);
        assert_eq!(at(&sheet, 10, 10), CELL, "above the wide thumbnail");
        assert!(specimen::alike(at(&sheet, 16, 22), specimen::RED));
        assert_eq!(at(&sheet, 56 + 20, 8 + 20), CROSS);
        assert_eq!(at(&sheet, 8 + 20, 56 + 20), CROSS);
        assert_eq!(at(&sheet, 56 + 20, 56 + 20), GROUND, "a cell that no thumbnail needs");
    }

    #[test]
    fn more_than_fit_are_counted() {
        let many = vec![None; CELLS_MAX + 25];
        let sheet = read(&contact_sheet(&many, cell(30)).expect("a sheet"));
        assert_eq!((sheet.width(), sheet.height()), (20 * 38 + 8, 20 * 38 + 8));
        let last = 8 + 19 * 38;
        let place = (last..last + 30).flat_map(|row| (last..last + 30).map(move |at| (at, row)));
        let colors: Vec<_> = place.map(|(column, row)| at(&sheet, column, row)).collect();
        assert!(colors.contains(&INK) && !colors.contains(&CROSS));
    }

    #[test]
    fn any_number_has_a_sheet() {
        for number in [1, 2, 3, 17, CELLS_MAX - 1, CELLS_MAX, CELLS_MAX + 1, 1601, 100_000] {
            let sheet = read(&contact_sheet(&vec![None; number], cell(1)).expect("a sheet"));
            let cells = (sheet.width() - MARGIN) / 9 * ((sheet.height() - MARGIN) / 9);
            assert!(cells as usize >= number.min(CELLS_MAX), "{number} on {cells} cells");
        }
        assert_eq!([0, 1, 400, 401, 1601].map(shown_of), [0, 1, 400, 399, 399]);
    }

    #[test]
    fn requests_without_a_sheet_are_refused() {
        assert!(matches!(contact_sheet(&[], cell(9)), Err(SheetError::Empty)));
        let text = Some(b"no picture".to_vec());
        let refused = contact_sheet(&[None, text], cell(9)).expect_err("text is no thumbnail");
        assert!(refused.to_string().starts_with("thumbnail 1 cannot be shown: not a picture"));
    }

    #[test]
    fn the_smallest_cells_work() {
        let mut thumbnails = vec![None; CELLS_MAX + 2];
        thumbnails[0] = encode(&specimen::quadrants(5, 3)).ok();
        assert!(contact_sheet(&thumbnails, cell(1)).is_ok());
    }
}
