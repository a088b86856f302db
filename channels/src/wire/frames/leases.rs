//! Frames about values on lease, about sends of selects, and about what is known to be home.

/// Hands all frames to a macro: those written here, and the others.
macro_rules! with_leases {
    ($then:ident $($others:tt)*) => { $then! {
        $($others)*

        /// Node: the offered value is in a task's hands, under a lease. Its send ends; it stays the
        /// channel's until `Accept` or `Decline`. Handles in it are the node's, besides.
        71 Lease {
            /// The channel.
            channel: ChannelId,
            /// The receive that it was offered to.
            operation: OperationId,
        }
        /// Node: the same of an early offer, which goes by an operation from now on.
        72 LeaseEarly {
            /// The channel.
            channel: ChannelId,
            /// The early offer.
            number: u64,
            /// The node's name for the lease.
            operation: OperationId,
        }
        /// Node: of a channel being exported, a value that stays in its process under a lease. In
        /// order among those that are restored. It is ended by `Accept` or `Return`, and the value
        /// dies with the node.
        73 Lend {
            /// The channel being exported.
            channel: ChannelId,
            /// The node's name for the lease.
            operation: OperationId,
        }
        /// Node: the value of a `Lend`, which goes back to its place.
        74 Return {
            /// The channel.
            channel: ChannelId,
            /// The lease.
            operation: OperationId,
            /// For which time it was on lease.
            attempts: u32,
            /// The value.
            parcel: Parcel,
        }
        /// Node: the answer to `Ready`: the select has chosen this send, and here is its value.
        /// Answered by `Sent`, `Refused` or `Aborted`. (The other answer is `CancelSend`.)
        79 Prepared {
            /// The channel.
            channel: ChannelId,
            /// The `Watch`.
            operation: OperationId,
            /// The value.
            parcel: Parcel,
        }
        /// Coordinator: the partner of a prepared send has gone elsewhere, and the value was
        /// dropped. The `Watch` stands where it stood; the select is open again.
        87 Aborted {
            /// The `Watch`.
            operation: OperationId,
        }
        /// Node: the same as `Restore`, of a value that was on lease before.
        77 RestoreLeased {
            /// The channel being exported.
            channel: ChannelId,
            /// How often.
            attempts: u32,
            /// The value.
            parcel: Parcel,
        }
        /// Node: of a channel being exported, before anything else of it: no value may ever be
        /// taken after a younger one.
        78 Strict {
            /// The channel being exported.
            channel: ChannelId,
        }
        /// Node: all that it sent before is to be home. Answered by `Flushed`.
        75 Flush {
            /// The sender's name for the question.
            operation: OperationId,
        }
        /// Coordinator: all that was sent before the question is home.
        76 Flushed {
            /// The question.
            operation: OperationId,
        }
    } };
}
