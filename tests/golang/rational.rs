//! Rational numbers in lowest terms, for the programs that compute with power series.

use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};

use serde::{Deserialize, Serialize};

/// A fraction; its denominator is positive, and the end of a series has the denominator 0.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rational {
    numerator: i64,
    denominator: i64,
}

pub(crate) const ZERO: Rational = Rational { numerator: 0, denominator: 1 };
pub(crate) const ONE: Rational = Rational { numerator: 1, denominator: 1 };
/// The mark at the end of a finite series.
pub(crate) const END: Rational = Rational { numerator: 1, denominator: 0 };

fn greatest_common_divisor(left: i64, right: i64) -> i64 {
    if left == 0 { right.abs() } else { greatest_common_divisor(right % left, left) }
}

pub(crate) fn ratio(numerator: i64, denominator: i64) -> Rational {
    assert_ne!(denominator, 0, "a denominator of zero");
    let divisor = greatest_common_divisor(numerator, denominator) * denominator.signum();
    Rational { numerator: numerator / divisor, denominator: denominator / divisor }
}

pub(crate) fn whole(n: i64) -> Rational {
    ratio(n, 1)
}

impl Rational {
    pub(crate) fn is_end(self) -> bool {
        self == END
    }

    pub(crate) fn inverse(self) -> Self {
        ratio(self.denominator, self.numerator)
    }
}

impl Add for Rational {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let divisor = greatest_common_divisor(self.denominator, other.denominator);
        let (own_part, other_part) = (self.denominator / divisor, other.denominator / divisor);
        let numerator = self.numerator * other_part + other.numerator * own_part;
        ratio(numerator, self.denominator * other_part)
    }
}

impl Neg for Rational {
    type Output = Self;

    fn neg(self) -> Self {
        Self { numerator: -self.numerator, ..self }
    }
}

impl Sub for Rational {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Rational {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        // Across first, so that intermediate products stay small.
        let left = ratio(self.numerator, other.denominator);
        let right = ratio(other.numerator, self.denominator);
        Self {
            numerator: left.numerator * right.numerator,
            denominator: left.denominator * right.denominator,
        }
    }
}

impl fmt::Debug for Rational {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(out, "{}", self.numerator),
            denominator => write!(out, "{}/{denominator}", self.numerator),
        }
    }
}

#[test]
fn fractions_are_in_lowest_terms() {
    assert_eq!(format!("{:?} {:?}", ratio(6, -4), ratio(8, 4)), "-3/2 2");
    assert_eq!(ratio(1, 6) + ratio(1, 3), ratio(1, 2));
    assert_eq!(ratio(1, 6) - ratio(1, 6), ZERO);
    assert_eq!(ratio(2, 3) * ratio(-3, 4), ratio(-1, 2));
    assert_eq!(ratio(-2, 3).inverse(), ratio(-3, 2));
    assert_eq!(ZERO * ratio(5, 7), ZERO);
}
