//! The box that a thumbnail has to fit into.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The largest side a box may have.
pub(crate) const EDGE_MAX: u32 = 4096;

/// A box of 1 to [`EDGE_MAX`] pixels each side; written as `100x100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub(crate) struct Bounds {
    width: u32,
    height: u32,
}

/// A text that is no box.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{found:?} is no thumbnail size: expected WIDTHxHEIGHT, such as 100x100, two whole numbers \
     from 1 to {EDGE_MAX}"
)]
pub(crate) struct BoundsError {
    pub(crate) found: String,
}

impl TryFrom<(u32, u32)> for Bounds {
    type Error = BoundsError;

    fn try_from((width, height): (u32, u32)) -> Result<Self, BoundsError> {
        Self::new(width, height)
    }
}

impl From<Bounds> for (u32, u32) {
    fn from(bounds: Bounds) -> Self {
        (bounds.width, bounds.height)
    }
}

impl Bounds {
    /// A box, unless a side is outside 1..=[`EDGE_MAX`].
    pub(crate) fn new(width: u32, height: u32) -> Result<Self, BoundsError> {
        let allowed = 1..=EDGE_MAX;
        if allowed.contains(&width) && allowed.contains(&height) {
            Ok(Self { width, height })
        } else {
            Err(BoundsError { found: format!("{width}x{height}") })
        }
    }

    pub(crate) fn width(self) -> u32 {
        self.width
    }

    pub(crate) fn height(self) -> u32 {
        self.height
    }

    /// The box with neither side above `edge`.
    #[must_use]
    pub(crate) fn at_most(self, edge: u32) -> Self {
        let edge = edge.max(1);
        Self { width: self.width.min(edge), height: self.height.min(edge) }
    }

    /// An upper bound of what reducing a decoded picture of `width` x `height` into the box takes
    /// beside the picture itself: rows reduced in width alone, the result, and the result turned.
    pub(crate) fn resizing_bytes(self, width: u32, height: u32) -> u64 {
        let edge = u64::from(self.width.max(self.height).min(width.max(height)));
        3 * edge * (u64::from(height) + 2 * edge)
    }

    /// The size of a picture of `width` x `height` inside the box: never larger than it is, its
    /// proportions kept, at least one pixel. One side touches the box; the other is rounded up or
    /// down, whichever comes closer to the source's proportions, as Pillow's `thumbnail` does.
    #[must_use]
    pub(crate) fn fit(self, width: u32, height: u32) -> (u32, u32) {
        if width <= self.width && height <= self.height {
            return (width, height);
        }
        let aspect = f64::from(width) / f64::from(height);
        let (box_width, box_height) = (f64::from(self.width), f64::from(self.height));
        if box_width / box_height >= aspect {
            let error = |side: f64| (aspect - side / box_height).abs();
            (closer(box_height * aspect, error), self.height)
        } else {
            // A side of zero counts as exact: Pillow takes it and then raises it to one.
            let error = |side: f64| {
                if side == 0.0 { 0.0 } else { (aspect - box_width / side).abs() }
            };
            (self.width, closer(box_width / aspect, error))
        }
    }
}

/// `side` rounded down or up, whichever has the smaller error (down if equal), at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a side lies between 0 and EDGE_MAX"
)]
fn closer(side: f64, error: impl Fn(f64) -> f64) -> u32 {
    let (down, up) = (side.floor(), side.ceil());
    let rounded = if error(up) < error(down) { up } else { down };
    (rounded as u32).clamp(1, EDGE_MAX)
}

impl FromStr for Bounds {
    type Err = BoundsError;

    fn from_str(text: &str) -> Result<Self, BoundsError> {
        let refused = || BoundsError { found: text.chars().take(40).collect() };
        let (width, height) = text.trim().split_once(['x', 'X']).ok_or_else(refused)?;
        let side = |digits: &str| digits.parse::<u32>().map_err(|_| refused());
        Self::new(side(width)?, side(height)?).map_err(|_| refused())
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_two_sides_from_1_to_4096() {
        for (text, sides) in [("100x100", (100, 100)), (" 1X4096 ", (1, 4096))] {
            let bounds: Bounds = text.parse().expect(text);
            assert_eq!((bounds.width(), bounds.height()), sides, "{text}");
        }
        for text in ["", "100", "x", "0x10", "10x0", "4097x1", "-1x5", "1x2x3", "axb", "1e9x1"] {
            let refused = text.parse::<Bounds>().expect_err(text);
            assert!(refused.to_string().contains("1 to 4096"), "{refused}");
        }
    }

    #[test]
    fn fitting_follows_pillow() {
        // Box, source, and what Pillow's thumbnail() makes of it.
        let table = [
            ("100x100", (5472, 3648), (100, 67)),
            ("100x100", (2991, 3992), (75, 100)),
            ("100x100", (60, 40), (60, 40)),
            ("100x100", (100, 100), (100, 100)),
            ("100x100", (10_000, 3), (100, 1)),
            ("100x100", (3, 10_000), (1, 100)),
            ("128x64", (640, 480), (85, 64)),
            ("33x77", (640, 480), (33, 25)),
            ("1x1", (640, 480), (1, 1)),
            ("50x500", (500, 100), (50, 10)),
            ("100x100", (1, 101), (1, 100)),
        ];
        for (bounds, (width, height), expected) in table {
            let bounds: Bounds = bounds.parse().expect(bounds);
            assert_eq!(bounds.fit(width, height), expected, "{bounds} of {width}x{height}");
        }
    }
}
