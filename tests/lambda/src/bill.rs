//! What the invocations would have cost.

use std::fmt;

use coordinator::price::{Architecture, Prices};

use crate::fleet::Invocation;
use crate::function::Function;

/// A bill, by the prices of the coordinator's table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bill {
    /// Invocations, those that failed included.
    pub invocations: u64,
    /// Of them, those that began with a cold start.
    pub cold: u64,
    /// Milliseconds, each begun one counted, cold starts included.
    pub billed_ms: u64,
    /// In dollars.
    pub dollars: f64,
}

impl Bill {
    pub(crate) fn of(function: &Function, invocations: &[Invocation]) -> Self {
        let prices = Prices::default();
        let architecture = if function.is_arm { Architecture::Arm } else { Architecture::X86 };
        let billed = |invocation: &Invocation| {
            let init = if prices.start_up_is_billed { invocation.init } else { None };
            prices.billed_ms(invocation.took + init.unwrap_or_default())
        };
        let billed_ms = invocations.iter().map(billed).sum();
        let count = invocations.len() as u64;
        let per_ms = prices.per_ms(architecture, function.memory_mb);
        Self {
            invocations: count,
            cold: invocations.iter().filter(|one| one.init.is_some()).count() as u64,
            billed_ms,
            dollars: per_ms * billed_ms as f64 + prices.requests(count),
        }
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invocations, cold, billed_ms, dollars } = self;
        let seconds = *billed_ms as f64 / 1000.0;
        write!(out, "{invocations} invocations ({cold} cold), {seconds:.3} s billed, ${dollars:.7}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fleet::Outcome;

    #[test]
    fn a_cold_start_is_billed_and_a_begun_millisecond_counts() {
        let function = Function::new("worker", "program");
        let ms = Duration::from_micros;
        let one = |init: Option<Duration>, took| Invocation {
            request: "1".to_owned(),
            process: 1,
            attempt: 1,
            init,
            took,
            memory_mb: 10,
            outcome: Outcome::Answered(String::new()),
        };
        let cold = one(Some(ms(20_100)), ms(100_200));
        let bill = Bill::of(&function, &[cold, one(None, ms(1))]);
        assert_eq!((bill.invocations, bill.cold, bill.billed_ms), (2, 1, 121 + 1));
        let expected = 122.0 * 3.3333e-8 + 2.0 * 0.2e-6;
        assert!((bill.dollars - expected).abs() < 1e-10, "{}", bill.dollars);
    }
}
