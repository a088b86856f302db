//! Channels that are relayed from the start, to find what else would only happen in production.
//!
//! A runtime that is told so says here for which of its threads' channels that holds; without one
//! every channel begins at home in its process.

use std::sync::{Arc, OnceLock};

use crate::node::Node;

static CHOICE: OnceLock<Choice> = OnceLock::new();

/// The node whose coordinator shall be the home of a channel that this thread makes, or none.
type Choice = fn() -> Option<Arc<Node>>;

/// From now on every new channel is made where `choice` says. Only the first call counts.
pub fn choose_with(choice: fn() -> Option<Arc<Node>>) {
    CHOICE.get_or_init(|| choice);
}

pub(crate) fn node() -> Option<Arc<Node>> {
    CHOICE.get().and_then(|choice| choice())
}
