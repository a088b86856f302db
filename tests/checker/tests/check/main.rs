//! The checker is silent about legal histories, and says of a planted violation what it is.

mod clean;
mod large;
mod planted;
mod recording;
mod script;
mod witnessed;
