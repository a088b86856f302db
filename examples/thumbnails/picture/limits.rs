//! What one input may cost. Declared sizes are compared with these before memory is asked for.

use super::error::{Measure, PictureError};

/// The most that one input may be, say of itself, or need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "every limit is named like one")]
pub(crate) struct Limits {
    /// Bytes of the file.
    pub(crate) input_bytes_max: u64,
    /// Pixels of the longer side, as declared.
    pub(crate) edge_max: u32,
    /// Width times height, as declared.
    pub(crate) pixels_max: u64,
    /// Memory that decoding will need, estimated from the declared size.
    pub(crate) memory_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes_max: 64 << 20,
            edge_max: 32_768,
            pixels_max: 100_000_000,
            memory_bytes_max: 256 << 20,
        }
    }
}

impl Limits {
    pub(crate) fn admit_input(&self, bytes: usize) -> Result<(), PictureError> {
        at_most(Measure::InputBytes, bytes as u64, self.input_bytes_max)
    }

    pub(crate) fn admit_size(&self, width: u32, height: u32) -> Result<(), PictureError> {
        at_most(Measure::Edge, u64::from(width.max(height)), u64::from(self.edge_max))?;
        at_most(Measure::Pixels, u64::from(width) * u64::from(height), self.pixels_max)
    }

    pub(crate) fn admit_memory(&self, bytes: u64) -> Result<(), PictureError> {
        at_most(Measure::MemoryBytes, bytes, self.memory_bytes_max)
    }
}

pub(crate) fn at_most(measure: Measure, declared: u64, allowed: u64) -> Result<(), PictureError> {
    if declared > allowed {
        return Err(PictureError::TooLarge { measure, declared, allowed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_inclusive_and_names_itself() {
        let limits =
            Limits { input_bytes_max: 10, edge_max: 20, pixels_max: 300, memory_bytes_max: 40 };
        assert!(limits.admit_input(10).is_ok());
        assert!(limits.admit_size(20, 15).is_ok());
        assert!(limits.admit_memory(40).is_ok());
        let table = [
            (limits.admit_input(11), Measure::InputBytes),
            (limits.admit_size(1, 21), Measure::Edge),
            (limits.admit_size(20, 16), Measure::Pixels),
            (limits.admit_memory(41), Measure::MemoryBytes),
        ];
        for (refused, expected) in table {
            let Err(PictureError::TooLarge { measure, .. }) = refused else {
                panic!("{expected:?} was admitted")
            };
            assert_eq!(measure, expected);
        }
    }

    #[test]
    fn the_largest_sizes_do_not_overflow() {
        assert!(Limits::default().admit_size(u32::MAX, u32::MAX).is_err());
    }
}
