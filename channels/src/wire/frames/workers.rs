//! Frames about workers: what they measure, what they cost, and how they leave.

/// Hands all frames to a macro: those written here, and the others.
macro_rules! with_workers {
    ($then:ident $($others:tt)*) => { $then! {
        $($others)*

        /// Worker: what it measures of itself, a few times a second.
        47 Measures {
            /// The readings.
            vitals: Vitals,
        }
        /// Node: what has it cost? Answered by `Billed`.
        48 Bill {
            /// The sender's name for it.
            operation: OperationId,
        }
        /// Coordinator: what it has cost.
        49 Billed {
            /// The question.
            operation: OperationId,
            /// The report, as JSON.
            report: Bytes,
        }
        /// Worker: it will leave, and wants no more tasks. Answered by `Shutdown`.
        38 Draining {
            /// Why, in words.
            reason: String,
        }
        /// Worker: a task that was given to it and not begun. Its arguments come back, and the
        /// handles in them go from the worker after this.
        39 Unstarted {
            /// The task.
            task: TaskId,
            /// Which attempt was not made.
            attempt: u32,
            /// The arguments, as they came.
            arguments: Parcel,
        }
        /// Worker: an attempt that is under way now that it must go. `Goodbye` follows.
        93 CutOff {
            /// The task.
            task: TaskId,
            /// Which attempt.
            attempt: u32,
            /// For how long it ran.
            ran_ms: u64,
            /// How long the worker was there, if it goes because its time is over; else 0.
            life_ms: u64,
        }
    } };
}
