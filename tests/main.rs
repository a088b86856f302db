//! All tests that need more than one crate. They are one program: one link, and one "test" that its
//! worker processes run.

mod children;
mod cluster;
mod coordinator;
mod examples;
mod failure;
mod fairness;
mod handshake;
mod histories;
mod landing;
mod large;
mod leases;
mod links;
mod macros;
mod message;
mod migration;
mod policies;
mod proxy;
mod report;
mod resume;
mod select;
mod site;
mod spawn;
mod thumbnails;
mod tidy;
mod turns;

/// What a worker process of these tests runs. In an ordinary run it does nothing.
#[test]
fn worker_process() {
    runtime::serve_if_worker();
}
