//! Workers on a local Lambda: the real worker, the real SDK, and the faults of both.

mod faults;
mod job;
mod leaving;
mod platform;
mod site;
mod work;

/// What every environment runs: this program again, as a function. As a test it does nothing.
#[test]
fn worker_process() {
    runtime::serve_if_worker();
}
