//! An S3 server for tests: [`server::start`] serves the folders of a folder as buckets.

pub mod server;
