//! `farspawn coordinator` as a service, as a process, from outside.
//!
//! - `quotas`: what one application does costs no other anything. `keys`: new ones. `chaos`: all
//!   that can break does.
//! - `gate`: who gets in, and who does not. `jobs`: tasks over HTTP. `clients`: programs, several
//!   at once, through TLS, and what becomes of them when the coordinator stops.

mod chaos;
mod clients;
mod gate;
mod jobs;
mod keys;
mod quotas;
