//! The function that workers run in: is it there, do its workers find the coordinator, and does it
//! cost more than it must?

use std::time::Duration;

use super::{Finding, ill, note, well};
use crate::platform::aws::{Aws, Events, Function, Options};
use crate::price::Prices;

/// A worker that lives for less is at its end when it has hardly begun.
const LIFE_MIN: Duration = Duration::from_secs(60);
/// A launch that waits for longer is of no use any more: the coordinator has given it up.
const AGE_MAX: Duration = Duration::from_secs(60);
/// A function with so much memory, in MB, has one CPU.
const MB_PER_CPU: u32 = 1769;

pub(super) async fn look(name: String, coordinator: &str, tell: &mut impl FnMut(Finding)) {
    let options = Options::new(name.clone());
    let connect = move || Aws::connect(Options::new(name)).map(|aws| aws.function().clone());
    let function = match tokio::task::spawn_blocking(connect).await {
        Ok(Ok(function)) => function,
        Ok(Err(error)) => {
            return tell(ill("function", error.to_string(), "no worker can be launched"));
        }
        Err(error) => return tell(ill("function", error.to_string(), "please report it")),
    };
    tell(well("function", function.to_string()));
    tell(judge_coordinator(function.coordinator.as_deref(), coordinator));
    tell(judge_life(function.timeout));
    tell(judge_memory(function.memory_mb));
    match Events::look(&options).await {
        Ok(events) => tell(judge_events(&events)),
        Err(error) => tell(note("retries", error)),
    }
    tell(judge_cost(&function, &Prices::default()));
}

/// Compares where a function's workers go with where the coordinator is.
fn judge_coordinator(configured: Option<&str>, coordinator: &str) -> Finding {
    let bare = |url: &str| url.trim_end_matches('/').trim_end_matches(":443").to_owned();
    match configured {
        Some(url) if bare(url) == bare(coordinator) => {
            well("workers", "FARSPAWN_COORDINATOR of the function names this coordinator")
        }
        Some(url) => note(
            "workers",
            format!("FARSPAWN_COORDINATOR of the function is {url}: is that this coordinator?"),
        ),
        None => ill(
            "workers",
            "the function's configuration does not say where the coordinator is",
            format!("set its environment variable FARSPAWN_COORDINATOR to {coordinator}"),
        ),
    }
}

/// No task can be longer than a worker's life, and each life is a cold start, or a warm one.
fn judge_life(timeout: Duration) -> Finding {
    let text = format!("a worker lives for {timeout:?}, and takes no more tasks after 80 % of it");
    if timeout < LIFE_MIN {
        let text = format!("{text}: raise the function's timeout, to 900 s say; what is not used");
        return note("time limit", format!("{text} is not billed"));
    }
    well("time limit", text)
}

fn judge_memory(memory_mb: u32) -> Finding {
    let cpus = f64::from(memory_mb) / f64::from(MB_PER_CPU);
    let text = format!("{memory_mb} MB, and by that {cpus:.2} CPUs");
    if memory_mb < MB_PER_CPU {
        let more = "a task that computes takes longer by as much as a CPU lacks, at the same price";
        return note("memory", format!("{text}: {more}; with {MB_PER_CPU} MB a worker has one"));
    }
    well("memory", text)
}

/// The coordinator launches again by itself, and a token is good once: what Lambda runs again is
/// turned away, and billed.
fn judge_events(events: &Events) -> Finding {
    let Events { retries, age_max, is_configured } = *events;
    let by = if is_configured { "it is configured so" } else { "that is Lambda's default" };
    let mut costs = Vec::new();
    if retries > 0 {
        costs.push(format!(
            "a launch that failed is run {retries} times more, each of which is turned away and \
             billed"
        ));
    }
    if age_max > AGE_MAX {
        costs.push(format!(
            "a launch may wait for {} s, when nobody waits for it any more",
            age_max.as_secs()
        ));
    }
    if costs.is_empty() {
        return well("retries", "none: the coordinator launches again by itself");
    }
    let mend = "set MaximumRetryAttempts to 0 and MaximumEventAgeInSeconds to 60: aws lambda \
                put-function-event-invoke-config";
    note("retries", format!("{} ({by}): it costs money; {mend}", costs.join("; ")))
}

fn judge_cost(function: &Function, prices: &Prices) -> Finding {
    let hour = function.dollars(prices, Duration::from_secs(3600), 1);
    let text = format!("a worker costs ${hour:.3} an hour");
    match function.reserved {
        Some(reserved) => {
            let all = hour * reserved as f64;
            well("cost", format!("{text}; all {reserved} at once, which are reserved, ${all:.2}"))
        }
        None => note(
            "cost",
            format!(
                "{text}, and nothing bounds their number but --workers: reserve concurrency for \
                 the function, so that they leave the rest of the account what it needs"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::price::Architecture;

    fn text(finding: &Finding) -> (bool, &str) {
        match &finding.verdict {
            Verdict::Well(text) => (true, text),
            Verdict::Note(text) | Verdict::Ill(text, _) => (false, text),
        }
    }

    #[test]
    fn workers_must_find_the_coordinator() {
        let verdict = |configured| judge_coordinator(configured, "wss://a.example").verdict;
        for same in ["wss://a.example", "wss://a.example:443/"] {
            assert!(matches!(verdict(Some(same)), Verdict::Well(_)), "{same}");
        }
        assert!(matches!(verdict(Some("wss://b.example")), Verdict::Note(_)));
        let Verdict::Ill(_, mend) = verdict(None) else { panic!("they find nobody") };
        assert!(mend.contains("FARSPAWN_COORDINATOR to wss://a.example"), "{mend}");
    }

    #[test]
    fn what_costs_money_is_noted() {
        let of = |retries, seconds| Events {
            retries,
            age_max: Duration::from_secs(seconds),
            is_configured: true,
        };
        assert!(text(&judge_events(&of(0, 60))).0);
        for (events, why) in [(of(2, 60), "run 2 times more"), (of(0, 21_600), "21600 s")] {
            let finding = judge_events(&events);
            let (is_well, told) = text(&finding);
            assert!(!is_well && told.contains(why), "{told}");
            assert!(told.contains("MaximumRetryAttempts to 0"), "{told}");
        }
        assert!(text(&judge_life(Duration::from_secs(900))).0);
        let brief = judge_life(Duration::from_secs(3));
        assert!(text(&brief).1.contains("lives for 3s"), "{brief}");
        assert!(text(&judge_memory(1769)).0);
        let small = judge_memory(128);
        assert!(text(&small).1.contains("0.07 CPUs"), "{small}");
    }

    #[test]
    fn the_price_of_all_workers_is_told() {
        let function = |reserved| Function {
            name: "worker".to_owned(),
            arn: String::new(),
            memory_mb: 1769,
            timeout: Duration::from_secs(900),
            architecture: Architecture::Arm,
            reserved,
            coordinator: None,
        };
        let bounded = judge_cost(&function(Some(50)), &Prices::default());
        assert_eq!(
            text(&bounded),
            (true, "a worker costs $0.083 an hour; all 50 at once, which are reserved, $4.15")
        );
        assert!(!text(&judge_cost(&function(None), &Prices::default())).0);
    }
}
