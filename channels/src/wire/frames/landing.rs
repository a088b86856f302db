//! Frames about channels that go home to a node; see `settling.rs`.

/// Hands all frames to a macro: those written here, and the others.
macro_rules! with_landing {
    ($then:ident $($others:tt)*) => { $then! {
        $($others)*

        /// Coordinator: all handles of the channel are with this node, which would do better
        /// without the coordinator. Answered by `Cleared` or `Keep`. See `settling.rs` for all six.
        80 Approach {
            /// The channel.
            channel: ChannelId,
            /// Which attempt this is; every answer repeats it.
            landings: u32,
        }
        /// Node: what it had to say about the channel is said. Answered by `Land` or `Stay`.
        81 Cleared {
            /// The channel.
            channel: ChannelId,
            /// The attempt.
            landings: u32,
        }
        /// Coordinator: the channel is the node's if it wants. Answered by `Landed` or `Keep`.
        82 Land {
            /// The channel.
            channel: ChannelId,
            /// The attempt.
            landings: u32,
            /// All that is in it. The handles in its values are the node's, whatever it answers.
            contents: Contents,
        }
        /// Coordinator: the channel stays, for a handle of it was on its way after all.
        83 Stay {
            /// The channel.
            channel: ChannelId,
            /// The attempt.
            landings: u32,
        }
        /// Node: the channel is at home in its process, and is to be forgotten.
        84 Landed {
            /// The channel.
            channel: ChannelId,
            /// The attempt.
            landings: u32,
        }
        /// Node: the channel stays where it was, and if `Land` was on its way, that has no effect.
        /// After `Export`: the channel was landed before, and so often was it tried.
        85 Keep {
            /// The channel.
            channel: ChannelId,
            /// The attempt.
            landings: u32,
        }
    } };
}
